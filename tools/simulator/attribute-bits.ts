/** Every bit that a table of attributes has; the others are reserved. */
export function allBits(attributes: Readonly<Record<string, number>>): number {
  return Object.values(attributes).reduce((all, bits) => all | bits, 0);
}
