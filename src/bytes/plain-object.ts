/**
 * Whether a value is an object as JSON makes them: not an array, bytes, a Map, a promise, or of a
 * class. Object.prototype of any realm is the one whose prototype is null.
 */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
