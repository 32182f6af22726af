import { describe, expect, it } from 'vitest';
import type { PolicyStatement } from '../kms/policy-document.js';
import { isAllowed } from './kms-authorisation.js';
import { conditionsHold, unknownOperator } from './kms-conditions.js';

const CONTEXT = new Map([
  ['kms:recipientattestation:nitrotpmpcr4', 'aabb'],
  ['aws:currenttime', '2026-06-01T12:00:00Z'],
]);
const [PCR4, PCR12] = [
  'kms:RecipientAttestation:NitroTPMPCR4',
  'kms:RecipientAttestation:NitroTPMPCR12',
];
const TIME = 'aws:CurrentTime';

describe('conditionsHold', () => {
  // IAM user guide: condition operators; the last column for a key that the request lacks.
  it.each([
    ['StringEquals', PCR4, 'aabb', true],
    ['StringEquals', PCR4, 'AABB', false],
    ['StringEquals', PCR12, 'aabb', false],
    ['StringEqualsIgnoreCase', PCR4, 'AABB', true],
    ['StringEqualsIgnoreCase', PCR4, 'aabbcc', false],
    ['StringEqualsIgnoreCase', PCR4, ['00', 'AABB'], true],
    ['StringEqualsIgnoreCase', PCR4, 'aab*', false],
    ['StringEqualsIgnoreCaseIfExists', PCR12, '00', true],
    ['StringEqualsIgnoreCaseIfExists', PCR4, '00', false],
    ['ForAllValues:StringEquals', PCR12, '00', true],
    ['ForAllValues:StringEquals', PCR4, '00', false],
    ['ForAnyValue:StringEquals', PCR12, '00', false],
    ['ForAnyValue:StringEquals', PCR4, 'aabb', true],
    ['StringNotEquals', PCR4, 'aabb', false],
    ['StringNotEquals', PCR4, ['00', 'aabb'], false],
    ['StringNotEquals', PCR4, 'AABB', true],
    ['StringNotEquals', PCR12, '00', true],
    ['ForAnyValue:StringNotEquals', PCR12, '00', false],
    ['StringNotEqualsIgnoreCase', PCR4, 'AABB', false],
    ['StringLike', PCR4, 'aa*', true],
    ['StringLike', PCR4, 'AA*', false],
    ['StringLike', PCR4, 'a?bb', true],
    ['StringLike', PCR4, '*', true],
    ['StringLike', PCR12, '*', false],
    ['StringNotLike', PCR4, 'a*', false],
    ['Null', PCR4, 'false', true],
    ['Null', PCR4, 'true', false],
    ['Null', PCR12, 'true', true],
    ['Null', PCR12, 'false', false],
    ['DateLessThan', TIME, '2026-06-01T12:00:00Z', false],
    ['DateLessThanEquals', TIME, '2026-06-01T12:00:00Z', true],
    ['DateLessThanEquals', TIME, '2026-06-01T11:59:59Z', false],
    ['DateGreaterThan', TIME, '2026-06-01T11:59:59Z', true],
    ['DateGreaterThanEquals', TIME, '2026-06-01T12:00:01Z', false],
    ['DateLessThan', TIME, 'tomorrow', false],
  ])('%s %s %s: %s', (operator, key, values, expected) => {
    expect(conditionsHold({ [operator]: { [key]: values } }, CONTEXT)).toBe(expected);
  });

  it('demands all operators and all keys', () => {
    const good = { StringEquals: { [PCR4]: 'aabb' } };
    expect(conditionsHold(good, CONTEXT)).toBe(true);
    expect(conditionsHold({ StringEquals: { [PCR4]: 'aabb', [PCR12]: '00' } }, CONTEXT)).toBe(
      false,
    );
    expect(conditionsHold({ ...good, Null: { [PCR4]: 'true' } }, CONTEXT)).toBe(false);
    expect(conditionsHold({}, CONTEXT)).toBe(true);
  });

  it('names operators that it does not evaluate', () => {
    expect(
      unknownOperator({ StringEquals: {}, 'ForAllValues:StringLikeIfExists': {}, Null: {} }),
    ).toBeUndefined();
    expect(unknownOperator({ IpAddress: {} })).toBe('IpAddress');
    expect(unknownOperator({ constructor: {} })).toBe('constructor');
  });
});

describe('isAllowed', () => {
  const arn = 'arn:aws:iam::111122223333:role/app';
  const allow: PolicyStatement = {
    Effect: 'Allow',
    Principal: { AWS: arn },
    Action: 'kms:Decrypt',
    Resource: '*',
  };
  const decide = (
    statements: readonly PolicyStatement[],
    iamActions: readonly string[] = [],
  ): boolean =>
    isAllowed(
      { Statement: statements },
      {
        principal: { arn, iamActions },
        accountId: '111122223333',
        action: 'kms:Decrypt',
        keyArn: 'arn:aws:kms:us-east-1:111122223333:key/k',
        context: CONTEXT,
      },
    );

  it.each<[string, PolicyStatement[], boolean]>([
    ['nothing', [], false],
    ['the caller', [allow], true],
    ['everybody', [{ ...allow, Principal: '*' }], true],
    ['another one', [{ ...allow, Principal: { AWS: `${arn}2` } }], false],
    ['another kind', [{ ...allow, Principal: { Service: arn } }], false],
    ['a pattern of actions', [{ ...allow, Action: ['KMS:De*'] }], true],
    ['another action', [{ ...allow, Action: 'kms:Encrypt' }], false],
    [
      'another resource',
      [{ ...allow, Resource: 'arn:aws:kms:us-east-1:111122223333:key/other' }],
      false,
    ],
    ['a condition that fails', [{ ...allow, Condition: { Null: { [PCR4]: 'true' } } }], false],
    ['allowed and denied', [allow, { ...allow, Effect: 'Deny' }], false],
    [
      'denied to the account',
      [allow, { ...allow, Effect: 'Deny', Principal: { AWS: '111122223333' } }],
      false,
    ],
    [
      'a denial that fails',
      [allow, { ...allow, Effect: 'Deny', Condition: { Null: { [PCR4]: 'true' } } }],
      true,
    ],
    [
      'the account, but not IAM',
      [{ ...allow, Principal: { AWS: 'arn:aws:iam::111122223333:root' } }],
      false,
    ],
  ])('%s', (_, statements, expected) => {
    expect(decide(statements)).toBe(expected);
  });

  it('counts what IAM allows where the policy leaves it to the account', () => {
    const account = { ...allow, Principal: { AWS: 'arn:aws:iam::111122223333:root' } };
    expect(decide([account], ['kms:*'])).toBe(true);
    expect(decide([account], ['kms:Encrypt'])).toBe(false);
    expect(decide([], ['kms:*'])).toBe(false);
  });
});
