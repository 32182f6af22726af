import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ToolCode } from '../common/codes.js';
import { checkKeyPolicy } from './policy-check.js';
import { type PolicyConditions, type PolicyStatement, parseKeyPolicy } from './policy-document.js';
import { keyPolicyStatements } from './policy-statements.js';

const APP = 'arn:aws:iam::111122223333:role/app';
const NOW = new Date('2026-06-01T00:00:00Z');
const ZERO = '00'.repeat(48);
const pcr = (n: number): string => n.toString(16).padStart(2, '0').repeat(48);
const PREFIX = 'kms:RecipientAttestation:';
const [K4, K7, K12] = [4, 7, 12].map((n) => `${PREFIX}NitroTPMPCR${n}`) as [string, string, string];

const MANIFEST = {
  version: 1,
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [
    { label: 'one', pcrs: { 4: pcr(0xa1), 7: pcr(7), 12: ZERO } },
    { label: 'two', pcrs: { 4: pcr(0xa2), 7: pcr(7), 12: pcr(0x12) } },
    { label: 'old', pcrs: { 4: pcr(0xa0), 7: pcr(6), 12: ZERO }, revoked: { reason: 'CVE' } },
    { label: 'over', pcrs: { 4: pcr(0x9f), 12: ZERO }, notAfter: '2026-01-01T00:00:00Z' },
  ],
};
const GOOD = keyPolicyStatements(MANIFEST, { principals: [APP], now: NOW }).statements;

const allow = (
  Condition: PolicyConditions,
  more: Partial<PolicyStatement> = {},
): PolicyStatement => ({
  Sid: 'Test',
  Effect: 'Allow',
  Principal: { AWS: APP },
  Action: 'kms:Decrypt',
  Resource: '*',
  Condition,
  ...more,
});

function codes(...statements: readonly PolicyStatement[]): readonly string[] {
  return checkKeyPolicy({ Statement: statements }, MANIFEST, { now: NOW }).map(({ code }) => code);
}
/** Beside the good statements, so that only this one is found. */
const found = (statement: PolicyStatement): readonly string[] => codes(...GOOD, statement);
const equals = (pcrs: Readonly<Record<string, string | readonly string[]>>): PolicyConditions => ({
  StringEqualsIgnoreCase: pcrs,
});
const ONE = { [K4]: pcr(0xa1), [K12]: ZERO };

describe('checkKeyPolicy', () => {
  it('finds nothing in what tee-kms policy makes', () => {
    expect(codes(...GOOD)).toEqual([]);
    expect(found(allow(equals({ ...ONE, [K7]: pcr(7) })))).toEqual([]);
    // Names of condition keys have no letter case, nor have values here.
    expect(
      found(allow(equals({ [K4.toUpperCase()]: pcr(0xa1).toUpperCase(), [K12]: ZERO }))),
    ).toEqual([]);
    expect(found(allow({ StringEquals: ONE }))).toEqual([]);
    expect(found(allow({ 'ForAnyValue:StringLike': ONE }))).toEqual([]);
  });

  it.each<[string, PolicyStatement, ToolCode[]]>([
    ['PCR4 without PCR12', allow(equals({ [K4]: pcr(0xa1) })), ['policy.pcr12-missing']],
    ['PCR12 alone', allow(equals({ [K12]: pcr(0x12) })), ['policy.pins-too-little']],
    [
      'enclave keys',
      allow(equals({ [`${PREFIX}PCR4`]: pcr(0xa1), [`${PREFIX}PCR12`]: ZERO })),
      ['policy.wrong-platform-keys', 'policy.wrong-platform-keys'],
    ],
    [
      'ImageSha384',
      allow(equals({ [`${PREFIX}ImageSha384`]: pcr(1) })),
      ['policy.wrong-platform-keys'],
    ],
    [
      'upper-case hex',
      allow({ StringEquals: { ...ONE, [K4]: pcr(0xa1).toUpperCase() } }),
      ['policy.case-sensitive'],
    ],
    [
      'upper-case hex with StringLike',
      allow({ StringLike: { ...ONE, [K4]: pcr(0xa1).toUpperCase() } }),
      ['policy.case-sensitive'],
    ],
    [
      'a value of nobody',
      allow(equals({ ...ONE, [K4]: [pcr(0xa1), pcr(0xee)] })),
      ['policy.value-unknown'],
    ],
    [
      'a revoked set',
      allow(equals({ ...ONE, [K4]: [pcr(0xa1), pcr(0xa0)] })),
      ['policy.value-revoked'],
    ],
    [
      'a set whose time is over',
      allow(equals({ ...ONE, [K4]: pcr(0x9f) })),
      ['policy.value-revoked'],
    ],
    [
      'PCRs of two sets',
      allow(equals({ [K4]: [pcr(0xa1), pcr(0xa2)], [K12]: [ZERO, pcr(0x12)] })),
      ['policy.mixes-sets'],
    ],
    [
      'an old image with the PCR12 of a new one',
      allow(equals({ [K4]: [pcr(0xa2), pcr(0xa0)], [K12]: pcr(0x12) })),
      ['policy.mixes-sets'],
    ],
    [
      'a variable that is the PCR itself',
      allow(equals({ ...ONE, [K4]: [pcr(0xa1), `\${${K4}}`] })),
      ['policy.wildcard'],
    ],
    [
      'a variable for all PCRs',
      allow(equals({ [K4]: `\${${K4}}`, [K12]: `\${${K12}}` })),
      ['policy.wildcard', 'policy.wildcard'],
    ],
    [
      'IfExists',
      allow({ StringEqualsIgnoreCaseIfExists: ONE }),
      ['policy.if-exists', 'policy.if-exists', 'policy.unattested-use'],
    ],
    [
      'IfExists for one of two',
      allow({
        StringEqualsIgnoreCase: { [K4]: pcr(0xa1) },
        StringEqualsIgnoreCaseIfExists: { [K12]: ZERO },
      }),
      ['policy.if-exists', 'policy.pcr12-missing'],
    ],
    [
      'ForAllValues',
      allow({ 'ForAllValues:StringEqualsIgnoreCase': ONE }),
      ['policy.for-all-values', 'policy.for-all-values', 'policy.unattested-use'],
    ],
    [
      'a negation',
      allow({ StringNotEquals: { [K4]: pcr(0xa0) } }),
      ['policy.negated', 'policy.unattested-use'],
    ],
    [
      'a wildcard',
      allow({ StringLike: { ...ONE, [K12]: '0*' } }),
      ['policy.wildcard', 'policy.pcr12-missing'],
    ],
    ['nothing but wildcards', allow({ StringLike: { [K4]: '*' } }), ['policy.wildcard']],
    ['presence only', allow({ Null: { [K4]: 'false' } }), ['policy.null-condition']],
    [
      'absence',
      allow({ Null: { [K4]: 'true' } }),
      ['policy.null-condition', 'policy.unattested-use'],
    ],
    [
      'a number operator',
      allow({ NumericEquals: { [K4]: '4' } }),
      ['policy.operator-unsuitable', 'policy.unattested-use'],
    ],
    [
      'a misspelled key',
      allow(equals({ [`${PREFIX}NitroTPMPCR04`]: pcr(4) })),
      ['policy.key-unknown'],
    ],
    [
      'another misspelled key',
      allow(equals({ [`${PREFIX}NitroPCR4`]: pcr(4) })),
      ['policy.key-unknown'],
    ],
    ['a short value', allow(equals({ ...ONE, [K4]: 'a1' })), ['policy.value-malformed']],
    ['a variable', allow(equals({ ...ONE, [K4]: '$' + '{aws:username}' })), ['policy.wildcard']],
    ['a wildcard that is none', allow(equals({ ...ONE, [K4]: '*' })), ['policy.value-malformed']],
    ['everybody', allow(equals(ONE), { Principal: '*' }), ['policy.any-principal']],
    [
      'everybody, in a list',
      allow(equals(ONE), { Principal: { AWS: ['*', APP] } }),
      ['policy.any-principal'],
    ],
    ['use without attestation', allow({}), ['policy.unattested-use']],
    [
      'use under another condition',
      allow({ StringEquals: { 'kms:ViaService': 's3.us-east-1.amazonaws.com' } }),
      ['policy.unattested-use'],
    ],
    ['a pattern of actions', allow({}, { Action: ['kms:D*rypt'] }), ['policy.unattested-use']],
    ['data keys', allow({}, { Action: 'KMS:generatedatakey' }), ['policy.unattested-use']],
    [
      'NotAction',
      allow({}, { Action: undefined, NotAction: 'kms:Put*' } as never),
      ['policy.not-action', 'policy.unattested-use', 'policy.way-around'],
    ],
    [
      'NotPrincipal',
      allow({}, { Principal: undefined, NotPrincipal: { AWS: APP } } as never),
      ['policy.not-principal', 'policy.unattested-use'],
    ],
    [
      'the account',
      allow({}, { Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'kms:*' }),
      ['policy.root-delegates'],
    ],
    [
      'the account by its number',
      allow({}, { Principal: { AWS: '111122223333' } }),
      ['policy.root-delegates'],
    ],
    ['grants', allow({}, { Action: 'kms:CreateGrant' }), ['policy.way-around']],
    [
      'its own policy',
      allow({}, { Action: ['kms:PutKeyPolicy', 'kms:Describe*'] }),
      ['policy.way-around'],
    ],
    ['replicas', allow({}, { Action: 'kms:ReplicateKey' }), ['policy.way-around']],
    ['another key', allow({}, { Action: 'kms:ReEncrypt*' }), ['policy.way-around']],
  ])('finds %s', (_, statement, expected) => {
    expect(found(statement)).toEqual(expected);
  });

  it('finds a policy that attests nobody, and sets that are forgotten', () => {
    expect(codes()).toEqual(['policy.no-attestation']);
    expect(codes(allow(equals(ONE)))).toEqual(['policy.set-not-admitted']);
    expect(
      checkKeyPolicy({ Statement: [allow(equals(ONE))] }, MANIFEST, { now: NOW })[0],
    ).toMatchObject({ severity: 'warning', detail: 'two' });
  });

  it('finds a statement that outlives its set', () => {
    const manifest = {
      ...MANIFEST,
      measurementSets: [
        { label: 'one', pcrs: { 4: pcr(1), 12: ZERO }, notAfter: '2026-12-31T00:00:00Z' },
      ],
    };
    const check = (more: PolicyConditions): readonly string[] =>
      checkKeyPolicy(
        { Statement: [allow({ ...equals({ [K4]: pcr(1), [K12]: ZERO }), ...more })] },
        manifest,
        { now: NOW },
      ).map(({ code }) => code);
    expect(check({})).toEqual(['policy.time-unbound']);
    expect(check({ DateLessThan: { 'aws:CurrentTime': '2027-01-01T00:00:00Z' } })).toEqual([
      'policy.time-unbound',
    ]);
    expect(check({ DateLessThan: { 'aws:CurrentTime': '2026-12-31T00:00:00Z' } })).toEqual([]);
  });

  it('finds a statement that begins before its set', () => {
    const [one, notBefore] = [{ 4: pcr(1), 12: ZERO }, '2026-12-31T00:00:00Z'];
    const manifest = { ...MANIFEST, measurementSets: [{ label: 'one', pcrs: one, notBefore }] };
    const check = (more: PolicyConditions, now: Date = NOW): readonly string[] =>
      checkKeyPolicy(
        { Statement: [allow({ ...equals({ [K4]: pcr(1), [K12]: ZERO }), ...more })] },
        manifest,
        { now },
      ).map(({ code }) => code);
    expect(check({})).toEqual(['policy.time-unbound']);
    const from = (time: string): PolicyConditions => ({
      DateGreaterThanEquals: { 'aws:CurrentTime': time },
    });
    expect(check(from('2026-12-30T23:59:59Z'))).toEqual(['policy.time-unbound']);
    expect(check(from(notBefore))).toEqual([]);
    expect(check({}, new Date(notBefore))).toEqual([]);
  });

  it('finds a revoked set that differs in no PCR of the policy', () => {
    const sets = [
      { label: 'good', pcrs: { 4: pcr(1), 7: pcr(7), 12: ZERO } },
      { label: 'bad', pcrs: { 7: pcr(8) }, revoked: { reason: 'weak db' } },
    ];
    const check = (pcrs: Readonly<Record<string, string>>): readonly string[] =>
      checkKeyPolicy(
        { Statement: [allow(equals(pcrs))] },
        { ...MANIFEST, measurementSets: sets },
        { now: NOW },
      ).map(({ code }) => code);
    expect(check({ [K4]: pcr(1), [K12]: ZERO })).toEqual(['policy.value-revoked']);
    expect(check({ [K4]: pcr(1), [K7]: pcr(7), [K12]: ZERO })).toEqual([]);
  });

  it('takes patterns for callers only when they name an account or an organisation', () => {
    const check = (conditions: PolicyConditions): readonly string[] =>
      found(allow({ ...equals(ONE), ...conditions }, { Principal: '*' }));
    for (const arn of ['**', 'arn:*', 'arn:aws:iam::*:role/app', '1111*'])
      expect(check({ StringLike: { 'aws:PrincipalArn': arn } })).toEqual(['policy.any-principal']);
    const ours = 'arn:aws:iam::111122223333:role/*';
    expect(check({ ArnLike: { 'aws:PrincipalArn': ours } })).toEqual([]);
    expect(check({ ArnLike: { 'aws:PrincipalArn': [ours, '*'] } })).toEqual([
      'policy.any-principal',
    ]);
    expect(check({ StringEquals: { 'aws:PrincipalOrgID': 'o-abcdefghij' } })).toEqual([]);
  });

  it('lets nobody in by a policy in which it finds nothing', () => {
    const value = fc.integer({ min: 1, max: 2 }).map(pcr);
    const set = fc.record({
      pcrs: fc.record({ 4: value, 12: value }),
      isRevoked: fc.constantFrom(true, false, false, false),
    });
    const list = fc.uniqueArray(value, { minLength: 1, maxLength: 2 });
    let fine = 0;
    fc.assert(
      fc.property(
        fc.array(set, { minLength: 1, maxLength: 5 }),
        fc.array(fc.record({ [K4]: list, [K12]: list }), { minLength: 1, maxLength: 2 }),
        (sets, bindings) => {
          const measurementSets = sets.map(({ pcrs, isRevoked }, i) => ({
            label: `${i}`,
            pcrs,
            ...(isRevoked && { revoked: { reason: 'x' } }),
          }));
          const policy = { Statement: bindings.map((pcrs) => allow(equals(pcrs))) };
          const isFound = checkKeyPolicy(policy, { ...MANIFEST, measurementSets }).some(
            ({ code }) => code !== 'policy.set-not-admitted',
          );
          let isOpen = false;
          for (const four of [1, 2].map(pcr))
            for (const twelve of [1, 2].map(pcr)) {
              const admitted = bindings.some(
                (pcrs) => pcrs[K4]?.includes(four) && pcrs[K12]?.includes(twelve),
              );
              const same = sets.filter(({ pcrs }) => pcrs[4] === four && pcrs[12] === twelve);
              const accepted = same.length > 0 && same.every(({ isRevoked }) => !isRevoked);
              if (admitted && !accepted) isOpen = true;
            }
          expect(isFound).toBe(isOpen);
          if (!isOpen) fine++;
        },
      ),
      { numRuns: 1000 },
    );
    expect(fine).toBeGreaterThan(20);
  });

  it('finds NitroTPM keys in the policy of an enclave', () => {
    const enclave = {
      version: 1,
      platform: 'enclave',
      hashAlgorithm: 'SHA384',
      measurementSets: [{ label: 'e', pcrs: { 0: pcr(1), 1: pcr(2), 2: pcr(3) } }],
    };
    const check = (conditions: PolicyConditions): readonly string[] =>
      checkKeyPolicy({ Statement: [allow(conditions)] }, enclave).map(({ code }) => code);
    expect(check(equals({ [`${PREFIX}ImageSha384`]: pcr(1) }))).toEqual([]);
    expect(check(equals({ [`${PREFIX}PCR0`]: pcr(1), [`${PREFIX}PCR1`]: pcr(2) }))).toEqual([]);
    expect(check(equals({ [`${PREFIX}PCR1`]: pcr(2) }))).toEqual(['policy.pins-too-little']);
    expect(check(equals({ [`${PREFIX}NitroTPMPCR0`]: pcr(1) }))).toEqual([
      'policy.wrong-platform-keys',
      'policy.no-attestation',
    ]);
  });

  it('tells administrators from those who use the key', () => {
    const severity = (AWS: string): unknown =>
      checkKeyPolicy(
        { Statement: [...GOOD, allow({}, { Principal: { AWS }, Action: 'kms:PutKeyPolicy' })] },
        MANIFEST,
        { now: NOW },
      )[0]?.severity;
    expect(severity(APP)).toBe('error');
    expect(severity('*')).toBe('error');
    expect(severity('arn:aws:iam::111122223333:role/admin')).toBe('warning');
  });

  it('takes the account of another for a stranger', () => {
    const root = (account: string): readonly string[] =>
      found(allow({}, { Principal: { AWS: account }, Action: 'kms:*' }));
    expect(root('arn:aws:iam::111122223333:root')).toEqual(['policy.root-delegates']);
    expect(root('111122223333')).toEqual(['policy.root-delegates']);
    for (const other of ['arn:aws:iam::999999999999:root', '999999999999'])
      expect(root(other)).toEqual(['policy.unattested-use', 'policy.way-around']);
  });

  it('leaves alone what does not lead to the secret', () => {
    expect(found(allow({}, { Action: ['kms:Encrypt', 'kms:Describe*', 'kms:List*'] }))).toEqual([]);
    expect(found(allow({}, { Effect: 'Deny' }))).toEqual([]);
    // An attested kms:* gives no more than the attested operations.
    expect(found(allow(equals(ONE), { Action: 'kms:*' }))).toEqual([]);
  });

  it('does not count Deny statements', () => {
    const deny = allow({ StringNotEqualsIgnoreCase: ONE }, { Effect: 'Deny', Principal: '*' });
    expect(codes(...GOOD, deny, allow({}))).toEqual(['policy.unattested-use']);
  });
});

describe('parseKeyPolicy', () => {
  const statement = '"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"';
  it.each([
    ['no JSON', 'policy'],
    ['a list', '[]'],
    ['no statement', '{"Version":"2012-10-17"}'],
    ['another version', '{"Version":"2020-01-01","Statement":[]}'],
    ['an unknown field', `{"Statement":[],"Statements":[]}`],
    ['a misspelled field', `{"Statement":[{${statement},"Conditions":{}}]}`],
    [
      'two conditions',
      `{"Statement":[{${statement},"Condition":{"StringEquals":{"a":"b"},"StringEquals":{"c":"d"}}}]}`,
    ],
    [
      'two conditions, one escaped',
      `{"Statement":[{${statement},"Condition":{"StringEquals":{"a":"b"},"String\\u0045quals":{"c":"d"}}}]}`,
    ],
    [
      'a condition key in two letter cases',
      `{"Statement":[{${statement},"Condition":{"StringEquals":{"aws:a":"b","AWS:A":"c"}}}]}`,
    ],
    [
      'an operator in two letter cases',
      `{"Statement":[{${statement},"Condition":{"StringLike":{"a":"b"},"stringlike":{"c":"d"}}}]}`,
    ],
    ['no effect', '{"Statement":[{"Principal":"*","Action":"kms:*","Resource":"*"}]}'],
    ['no principal', '{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}'],
    ['action and NotAction', `{"Statement":[{${statement},"NotAction":"kms:*"}]}`],
    ['a number for an action', '{"Statement":[{"Effect":"Allow","Principal":"*","Action":1}]}'],
    [
      'a condition without values',
      `{"Statement":[{${statement},"Condition":{"StringEquals":{"a":[]}}}]}`,
    ],
    ['a condition that is text', `{"Statement":[{${statement},"Condition":"x"}]}`],
    ['too much', `{"Statement":[]}${' '.repeat(300_000)}`],
  ])('refuses %s', (_, text) => {
    expect(() => parseKeyPolicy(text)).toThrow(
      expect.objectContaining({ code: 'policy.malformed' }),
    );
  });

  it('reads conditions without quotes', () => {
    const text = `{"Statement":[{${statement},"Condition":{"Bool":{"a":true},"NumericEquals":{"b":[1,"2"]}}}]}`;
    expect(parseKeyPolicy(text).Statement[0]?.Condition).toEqual({
      Bool: { a: 'true' },
      NumericEquals: { b: ['1', '2'] },
    });
  });

  it('reads one statement without a list, and repeated names in different objects', () => {
    expect(parseKeyPolicy(`{"Statement":{${statement}}}`).Statement).toHaveLength(1);
    expect(parseKeyPolicy(`{"Statement":[{${statement}},{${statement}}]}`).Statement).toHaveLength(
      2,
    );
  });
});
