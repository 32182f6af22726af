/** An object of JSON data, whatever it holds. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value is an object, and not null or an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
