import { InvalidArgumentError } from 'commander';

/** Reads the value of an option: a whole number in decimal digits, from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`Expected a whole number of ${min} to ${max}.`);
    return value;
  };
}
