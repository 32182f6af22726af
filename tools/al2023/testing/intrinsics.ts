/** The functions of a template that these checks know; any other is reported. */
const FUNCTIONS = [
  'Ref',
  'Condition',
  'Fn::GetAtt',
  'Fn::Sub',
  'Fn::If',
  'Fn::Not',
  'Fn::Equals',
  'Fn::And',
  'Fn::Or',
  'Fn::ImportValue',
];

export interface Intrinsic {
  readonly name: string;
  readonly argument: unknown;
}

/** The function that a value calls, or undefined for plain data. */
export function asIntrinsic(value: unknown): Intrinsic | undefined {
  if (!isRecord(value)) return undefined;
  const [[name, argument] = ['', undefined], ...others] = Object.entries(value);
  if (others.length > 0) return undefined;
  const known = FUNCTIONS.includes(name) && name !== 'Condition';
  const condition = name === 'Condition' && typeof argument === 'string';
  return known || condition || name.startsWith('Fn::') ? { name, argument } : undefined;
}

export function isKnownFunction(name: string): boolean {
  return FUNCTIONS.includes(name);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The names in `${…}` of a `Fn::Sub`, without those its own map defines. */
export function namesInSub(argument: unknown): string[] {
  const [text, own] = Array.isArray(argument) ? argument : [argument, {}];
  const names = [...String(text).matchAll(/\$\{([^!][^}]*)\}/g)].map((match) => match[1] ?? '');
  return names.filter((name) => !(isRecord(own) && name in own));
}

/** A string or `Fn::Sub` as text, each `${Name}` replaced by `Name`; undefined for anything else. */
export function asText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const call = asIntrinsic(value);
  if (call?.name !== 'Fn::Sub' || typeof call.argument !== 'string') return undefined;
  return call.argument.replace(/\$\{([^!][^}]*)\}/g, '$1');
}
