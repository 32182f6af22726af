import { matchesWildcard, type PolicyConditions } from '../kms/policy-document.js';

/** Condition keys of a request, in lower case, and their values; what is not there is not known. */
export type RequestContext = ReadonlyMap<string, string>;

type Compare = (actual: string, wanted: string) => boolean;

const byTime =
  (holds: (difference: number) => boolean): Compare =>
  (actual, wanted) =>
    holds(Date.parse(actual) - Date.parse(wanted));

/** Operators that hold when one of the values matches. */
const POSITIVE: Readonly<Record<string, Compare>> = {
  StringEquals: (actual, wanted) => actual === wanted,
  StringEqualsIgnoreCase: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase(),
  StringLike: (actual, wanted) => matchesWildcard(wanted, actual, false),
  ArnEquals: (actual, wanted) => matchesWildcard(wanted, actual, false),
  ArnLike: (actual, wanted) => matchesWildcard(wanted, actual, false),
  Bool: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase(),
  DateEquals: byTime((difference) => difference === 0),
  DateLessThan: byTime((difference) => difference < 0),
  DateLessThanEquals: byTime((difference) => difference <= 0),
  DateGreaterThan: byTime((difference) => difference > 0),
  DateGreaterThanEquals: byTime((difference) => difference >= 0),
};

/** Operators that hold when none of the values matches the named one: also when nothing is there. */
const NEGATED: Readonly<Record<string, string>> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
  DateNotEquals: 'DateEquals',
};

const FORM = /^(ForAnyValue:|ForAllValues:)?([A-Za-z]+?)(IfExists)?$/;

/** The first operator that the emulator does not know, or undefined. */
export function unknownOperator(conditions: PolicyConditions): string | undefined {
  return Object.keys(conditions).find((name) => {
    const [, , operator = ''] = FORM.exec(name) ?? [];
    return (
      operator !== 'Null' && !Object.hasOwn(POSITIVE, operator) && !Object.hasOwn(NEGATED, operator)
    );
  });
}

/** Whether all conditions of a statement hold (IAM: AND over operators and keys, OR over values). */
export function conditionsHold(conditions: PolicyConditions, context: RequestContext): boolean {
  return Object.entries(conditions).every(([name, keys]) => {
    const [, set, operator = '', ifExists] = FORM.exec(name) ?? [];
    return Object.entries(keys).every(([key, values]) => {
      const actual = context.get(key.toLowerCase());
      const wanted = typeof values === 'string' ? [values] : values;
      if (operator === 'Null')
        return wanted.some((value) => (value.toLowerCase() === 'true') === (actual === undefined));
      const positive = Object.hasOwn(POSITIVE, operator);
      if (actual === undefined)
        return (
          ifExists !== undefined || set === 'ForAllValues:' || (!positive && set !== 'ForAnyValue:')
        );
      const compare = POSITIVE[positive ? operator : (NEGATED[operator] ?? '')];
      return wanted.some((value) => compare?.(actual, value) === true) === positive;
    });
  });
}
