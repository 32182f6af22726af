import { isObject, type JsonObject } from '../common/json-object.js';
import { ToolError } from '../common/tool-error.js';
import { findDuplicateName } from './duplicate-names.js';

/** A condition block: operator → condition key → value or values. */
export type PolicyConditions = Readonly<
  Record<string, Readonly<Record<string, string | readonly string[]>>>
>;

/** One statement of a key policy (IAM JSON policy grammar). */
export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: PolicyPrincipal;
  readonly NotPrincipal?: PolicyPrincipal;
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly NotResource?: string | readonly string[];
  readonly Condition?: PolicyConditions;
}

/** `*`, or ARNs and names by kind, e.g. `AWS`. */
export type PolicyPrincipal = '*' | Readonly<Record<string, string | readonly string[]>>;

/** A key policy as JSON. */
export interface KeyPolicy {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: readonly PolicyStatement[];
}

/** KMS takes 32 KiB; what is checked may have been written with more space. */
const MAX_POLICY_CHARACTERS = 262_144;
const MAX_STATEMENTS = 1000;
const STATEMENT_KEYS: readonly string[] = [
  ...['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction'],
  ...['Resource', 'NotResource', 'Condition'],
];

/**
 * Reads a key policy. Names that stand twice in one object are refused, because JSON readers would
 * silently take one of them; so are fields that no policy has.
 * @throws ToolError `policy.malformed`
 */
export function parseKeyPolicy(text: string): KeyPolicy {
  if (text.length > MAX_POLICY_CHARACTERS)
    throw malformed(`at most ${MAX_POLICY_CHARACTERS} characters`, `${text.length}`);
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch {
    throw malformed('JSON', JSON.stringify(text.slice(0, 24)));
  }
  const twice = findDuplicateName(text);
  if (twice !== undefined)
    throw malformed('every name once in an object', `${JSON.stringify(twice)} twice`);
  return toKeyPolicy(json);
}

/** Checks the shape of a policy that is an object already. @throws ToolError `policy.malformed` */
export function toKeyPolicy(json: unknown): KeyPolicy {
  const { Version, Id, Statement, ...others } = object(json, 'the policy');
  noOthers(others, 'the policy');
  if (Version !== undefined && Version !== '2012-10-17' && Version !== '2008-10-17')
    throw malformed('Version "2012-10-17"', show(Version));
  if (Id !== undefined && typeof Id !== 'string') throw malformed('Id as text', show(Id));
  const list = Array.isArray(Statement) ? (Statement as unknown[]) : [Statement];
  if (list.length > MAX_STATEMENTS)
    throw malformed(`at most ${MAX_STATEMENTS} statements`, `${list.length}`);
  return {
    ...(Version !== undefined && { Version: Version as string }),
    ...(Id !== undefined && { Id }),
    Statement: list.map((one, index) => readStatement(one, `Statement[${index}]`)),
  };
}

function readStatement(value: unknown, where: string): PolicyStatement {
  const json = object(value, where);
  noOthers(
    Object.fromEntries(Object.entries(json).filter(([key]) => !STATEMENT_KEYS.includes(key))),
    where,
  );
  const { Sid, Effect, Condition } = json;
  if (Sid !== undefined && typeof Sid !== 'string')
    throw malformed(`${where}.Sid as text`, show(Sid));
  if (Effect !== 'Allow' && Effect !== 'Deny')
    throw malformed(`${where}.Effect "Allow" or "Deny"`, show(Effect));
  for (const [one, other] of [
    ['Principal', 'NotPrincipal'],
    ['Action', 'NotAction'],
  ] as const)
    if (Object.hasOwn(json, one) === Object.hasOwn(json, other))
      throw malformed(
        `${where} with ${one} or ${other}`,
        Object.hasOwn(json, one) ? 'both' : 'none',
      );
  for (const name of ['Action', 'NotAction', 'Resource', 'NotResource'] as const)
    if (Object.hasOwn(json, name)) texts(json[name], `${where}.${name}`);
  for (const name of ['Principal', 'NotPrincipal'] as const)
    if (Object.hasOwn(json, name) && json[name] !== '*')
      for (const [kind, list] of Object.entries(object(json[name], `${where}.${name}`)))
        texts(list, `${where}.${name}.${kind}`);
  const conditions = Condition === undefined ? undefined : readConditions(Condition, where);
  return {
    ...(json as unknown as PolicyStatement),
    ...(conditions !== undefined && { Condition: conditions }),
  };
}

/** Numbers, true and false may stand without quotes. */
function readConditions(value: unknown, where: string): PolicyConditions {
  const toText = (one: unknown): unknown =>
    typeof one === 'boolean' || typeof one === 'number' ? String(one) : one;
  return mapObject(object(value, `${where}.Condition`), (keys, operator) =>
    mapObject(object(keys, `${where}.Condition.${operator}`), (values, key) => {
      const read = Array.isArray(values) ? (values as unknown[]).map(toText) : toText(values);
      texts(read, `${where}.Condition.${operator}.${key}`);
      return read as string | readonly string[];
    }),
  );
}

function mapObject<T>(
  json: JsonObject,
  read: (value: unknown, name: string) => T,
): Record<string, T> {
  // Neither operators nor condition keys have letter case.
  const names = new Set<string>();
  const twice = Object.keys(json).find((name) => {
    const size = names.size;
    return names.add(name.toLowerCase()).size === size;
  });
  if (twice !== undefined)
    throw malformed('every name once in a condition', `${JSON.stringify(twice)} twice`);
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, read(value, name)]));
}

/** One or many, as a list. */
export function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** Whether a text matches a pattern with `*` and `?`, letter case aside. */
export function matchesWildcard(
  pattern: string,
  text: string,
  ignoreCase: boolean = true,
): boolean {
  const [p, t] = ignoreCase ? [pattern.toLowerCase(), text.toLowerCase()] : [pattern, text];
  // Greedy with one step back, so that no pattern takes more than a product of the lengths.
  let [at, star, resume] = [0, -1, 0];
  let i = 0;
  while (i < t.length) {
    if (at < p.length && (p[at] === '?' || (p[at] === t[i] && p[at] !== '*'))) {
      at++;
      i++;
    } else if (p[at] === '*') {
      star = at++;
      resume = i;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  while (p[at] === '*') at++;
  return at === p.length;
}

function object(value: unknown, where: string): JsonObject {
  if (!isObject(value)) throw malformed(`${where} as object`, show(value));
  return value;
}

/** Text or a list of texts. */
function texts(value: unknown, where: string): void {
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  const wrong = list.find((one) => typeof one !== 'string');
  if (wrong !== undefined || list.length === 0)
    throw malformed(`${where} as text or a list of texts`, show(list.length === 0 ? [] : wrong));
}

function noOthers(others: JsonObject, where: string): void {
  const [name] = Object.keys(others);
  if (name !== undefined)
    throw malformed(`only fields of policies in ${where}`, JSON.stringify(name.slice(0, 40)));
}

function show(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? 'nothing').slice(0, 60);
  } catch {
    return 'something nested too deep';
  }
}

function malformed(expected: string, actual: string): ToolError {
  return new ToolError('policy.malformed', { expected, actual });
}
