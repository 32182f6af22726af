/**
 * Checks a value against the part of JSON Schema that test-vectors/schema.json uses, and refuses
 * schemas that use more. Returns what is wrong, one line each.
 */
type Schema = Readonly<Record<string, unknown>>;

const ANNOTATIONS: ReadonlySet<string> = new Set(['$schema', 'title', 'description']);

export function checkSchema(value: unknown, schema: Schema, path = '$'): string[] {
  return Object.entries(schema).flatMap(([keyword, rule]) => {
    if (ANNOTATIONS.has(keyword)) return [];
    const check = KEYWORDS[keyword];
    if (check === undefined) throw new TypeError(`schema keyword ${keyword} is not supported`);
    return check(value, rule, path, schema);
  });
}

type Check = (value: unknown, rule: unknown, path: string, schema: Schema) => string[];

const when = (wrong: boolean, message: string): string[] => (wrong ? [message] : []);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

const KEYWORDS: Readonly<Record<string, Check>> = {
  type: (value, rule, path) => when(typeOf(value) !== rule, `${path}: not of type ${rule}`),
  enum: (value, rule, path) =>
    when(!(rule as unknown[]).includes(value), `${path}: ${value} is not one of ${rule}`),
  const: (value, rule, path) => when(value !== rule, `${path}: is not ${rule}`),
  pattern: (value, rule, path) =>
    when(
      typeof value === 'string' && !new RegExp(rule as string).test(value),
      `${path}: does not match ${rule}`,
    ),
  minLength: (value, rule, path) =>
    when(typeof value === 'string' && value.length < (rule as number), `${path}: too short`),
  minimum: (value, rule, path) =>
    when(typeof value === 'number' && value < (rule as number), `${path}: less than ${rule}`),
  maximum: (value, rule, path) =>
    when(typeof value === 'number' && value > (rule as number), `${path}: more than ${rule}`),
  required: (value, rule, path) =>
    isObject(value)
      ? (rule as string[])
          .filter((key) => !Object.hasOwn(value, key))
          .map((key) => `${path}: ${key} is missing`)
      : [],
  properties: (value, rule, path) =>
    isObject(value)
      ? Object.entries(rule as Record<string, Schema>).flatMap(([key, schema]) =>
          Object.hasOwn(value, key) ? checkSchema(value[key], schema, `${path}.${key}`) : [],
        )
      : [],
  additionalProperties: (value, rule, path, schema) => {
    if (rule !== false) throw new TypeError('only additionalProperties: false is supported');
    const known = Object.keys((schema.properties ?? {}) as object);
    return isObject(value)
      ? Object.keys(value)
          .filter((key) => !known.includes(key))
          .map((key) => `${path}: unknown ${key}`)
      : [];
  },
  items: (value, rule, path) =>
    Array.isArray(value)
      ? value.flatMap((item, i) => checkSchema(item, rule as Schema, `${path}[${i}]`))
      : [],
  anyOf: (value, rule, path) =>
    when(
      !(rule as Schema[]).some((schema) => checkSchema(value, schema, path).length === 0),
      `${path}: matches none of anyOf`,
    ),
};
