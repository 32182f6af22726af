import { InvalidArgumentError } from 'commander';

const TPM_PCRS: readonly number[] = Array.from({ length: 24 }, (_, pcr) => pcr);

/** An option\u2019s list of PCRs, e.g. `4,7,12`: decimal numbers, nothing else. */
export function parsePcrList(text: string): number[] {
  return parseAmong(text, TPM_PCRS, 'a list of PCRs from 0 to 23, e.g. 4,7,12.');
}

/** The same, of some PCRs only. */
export function parsePcrsAmong(allowed: readonly number[]): (text: string) => number[] {
  return (text) => parseAmong(text, allowed, `choose among ${allowed.join(', ')}.`);
}

function parseAmong(text: string, allowed: readonly number[], expected: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  const pcrs = parts.map(Number);
  if (parts.some((part) => !/^\d{1,2}$/.test(part)) || pcrs.some((pcr) => !allowed.includes(pcr)))
    throw new InvalidArgumentError(expected);
  return [...new Set(pcrs)];
}
