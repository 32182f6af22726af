import { InvalidArgumentError } from 'commander';

/** An RFC 3339 time of the command line. */
export function parseTime(text: string): Date {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const date = new Date(isTime ? text : Number.NaN);
  if (Number.isNaN(date.getTime()))
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
