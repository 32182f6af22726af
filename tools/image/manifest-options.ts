import { InvalidArgumentError } from 'commander';

const TIME = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** An RFC 3339 time of the command line, from 1970 on: nothing signs or verifies before. */
export function parseTime(text: string): Date {
  const [, year, month, day] = (TIME.exec(text) ?? []).map(Number);
  // `Date` alone takes 30 February for 2 March: an end that moves is no end.
  const lastDay = new Date(Date.UTC(year ?? Number.NaN, month ?? 0, 0)).getUTCDate();
  const date = new Date((day ?? Number.NaN) <= lastDay ? text : Number.NaN);
  if (!(date.getTime() >= 0))
    throw new InvalidArgumentError('Expected a time such as 2026-12-31T00:00:00Z.');
  return date;
}

/** A whole number of the command line. */
export function parseWhole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Expected a whole number.');
  return value;
}
