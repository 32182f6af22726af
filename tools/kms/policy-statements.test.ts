import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { isAllowed } from '../emulator/kms-authorisation.js';
import { checkKeyPolicy } from './policy-check.js';
import type { KeyPolicy, PolicyStatement } from './policy-document.js';
import { keyPolicyStatements, mergeStatements } from './policy-statements.js';

const APP = 'arn:aws:iam::111122223333:role/app';
const NOW = new Date('2026-06-01T00:00:00Z');
const ZERO = '00'.repeat(48);
const SECURE_BOOT_OFF =
  '98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35';
const pcr = (n: number): string => n.toString(16).padStart(2, '0').repeat(48);

interface TestSet {
  readonly label?: string;
  readonly pcrs: Readonly<Record<number, string>>;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly revoked?: { readonly reason: string };
}

const manifestOf = (sets: readonly TestSet[], platform = 'nitrotpm'): object => ({
  version: 1,
  platform,
  hashAlgorithm: 'SHA384',
  measurementSets: sets.map((set, i) => ({ label: `set ${i}`, ...set })),
});

function make(
  manifest: object,
  more: Partial<Parameters<typeof keyPolicyStatements>[1]> = {},
): readonly PolicyStatement[] {
  return keyPolicyStatements(manifest, { principals: [APP], now: NOW, ...more }).statements;
}

const compared = (statements: readonly PolicyStatement[]): unknown[] =>
  statements.map(({ Condition }) =>
    Object.fromEntries(
      Object.entries(Condition?.StringEqualsIgnoreCase ?? {}).map(([key, value]) => [
        key.replace('kms:RecipientAttestation:', ''),
        value,
      ]),
    ),
  );

/** What IAM would say to a machine with these PCRs. */
function admits(
  statements: readonly PolicyStatement[],
  pcrs: Readonly<Record<number, string>>,
  platform: string = 'nitrotpm',
  now: Date = NOW,
): boolean {
  const name = platform === 'nitrotpm' ? 'nitrotpmpcr' : 'pcr';
  return isAllowed(
    { Statement: statements },
    {
      principal: { arn: APP, iamActions: [] },
      accountId: '111122223333',
      action: 'kms:Decrypt',
      keyArn: 'arn:aws:kms:us-east-1:111122223333:key/x',
      context: new Map([
        ['aws:currenttime', now.toISOString()],
        ...Object.entries(pcrs).map(
          ([index, value]) => [`kms:recipientattestation:${name}${index}`, value] as const,
        ),
      ]),
    },
  );
}

describe('keyPolicyStatements', () => {
  it('binds PCR4 and PCR12 of a NitroTPM manifest, without regard to case', () => {
    const [statement, ...others] = make(
      manifestOf([{ pcrs: { 4: pcr(0xab).toUpperCase(), 7: pcr(7), 12: ZERO } }]),
    );
    expect(others).toEqual([]);
    expect(statement).toEqual({
      Sid: 'AttestedUse',
      Effect: 'Allow',
      Principal: { AWS: APP },
      Action: 'kms:Decrypt',
      Resource: '*',
      Condition: {
        StringEqualsIgnoreCase: {
          'kms:RecipientAttestation:NitroTPMPCR4': pcr(0xab),
          'kms:RecipientAttestation:NitroTPMPCR12': ZERO,
        },
      },
    });
  });

  it('binds PCR7 of a Secure Boot manifest, and those that are named', () => {
    expect(compared(make(manifestOf([{ pcrs: { 7: pcr(7) } }])))).toEqual([
      { NitroTPMPCR7: pcr(7) },
    ]);
    const full = manifestOf([{ pcrs: { 4: pcr(4), 7: pcr(7), 12: ZERO } }]);
    expect(compared(make(full, { pcrs: [7] }))).toEqual([{ NitroTPMPCR7: pcr(7) }]);
    expect(compared(make(full, { pcrs: [12, 7, 4] }))).toEqual([
      { NitroTPMPCR4: pcr(4), NitroTPMPCR7: pcr(7), NitroTPMPCR12: ZERO },
    ]);
  });

  it("says which of the manifest's PCRs are not compared, and what is left out", () => {
    const { notes } = keyPolicyStatements(
      manifestOf([
        { pcrs: { 4: pcr(4), 7: pcr(7), 12: ZERO } },
        { label: 'old', pcrs: { 4: pcr(5), 12: ZERO }, revoked: { reason: 'CVE' } },
        { label: 'over', pcrs: { 4: pcr(6), 12: ZERO }, notAfter: '2026-01-01T00:00:00Z' },
      ]),
      { principals: [APP], now: NOW },
    );
    expect(notes).toEqual([
      'left out: old (revoked)',
      'left out: over (its time is over)',
      'pinned by the manifest but not compared: PCR7 (--pcrs names others)',
    ]);
  });

  it('binds all that an enclave manifest pins', () => {
    const enclave = { 0: pcr(1), 1: pcr(2), 2: pcr(3), 8: pcr(8) };
    const expected = { PCR0: pcr(1), PCR1: pcr(2), PCR2: pcr(3), PCR8: pcr(8) };
    expect(compared(make(manifestOf([{ pcrs: enclave }], 'enclave')))).toEqual([expected]);
    const aws = Object.fromEntries(Object.entries(enclave).map(([i, value]) => [`PCR${i}`, value]));
    expect(compared(make({ Measurements: { HashAlgorithm: 'Sha384 { ... }', ...aws } }))).toEqual([
      expected,
    ]);
  });

  it('makes a list where one PCR varies', () => {
    const statements = make(manifestOf([1, 2, 3].map((n) => ({ pcrs: { 4: pcr(n), 12: ZERO } }))));
    expect(compared(statements)).toEqual([
      { NitroTPMPCR4: [pcr(1), pcr(2), pcr(3)], NitroTPMPCR12: ZERO },
    ]);
  });

  it('never mixes PCRs of two sets', () => {
    const [a, b] = [
      { 4: pcr(1), 12: ZERO },
      { 4: pcr(2), 12: pcr(0x12) },
    ];
    const statements = make(manifestOf([{ pcrs: a }, { pcrs: b }]));
    expect(statements).toHaveLength(2);
    expect(statements.map(({ Sid }) => Sid)).toEqual(['AttestedUse', 'AttestedUse2']);
    expect(admits(statements, a)).toBe(true);
    expect(admits(statements, b)).toBe(true);
    // The command line of B was never meant for A.
    expect(admits(statements, { 4: a[4], 12: b[12] })).toBe(false);
    expect(admits(statements, { 4: b[4], 12: a[12] })).toBe(false);
  });

  it('makes lists where all combinations are sets', () => {
    const sets = [1, 2].flatMap((x) => [3, 4].map((y) => ({ pcrs: { 4: pcr(x), 12: pcr(y) } })));
    expect(compared(make(manifestOf(sets)))).toEqual([
      { NitroTPMPCR4: [pcr(1), pcr(2)], NitroTPMPCR12: [pcr(3), pcr(4)] },
    ]);
    expect(make(manifestOf(sets.slice(1)))).toHaveLength(2);
  });

  it('makes conditions of time windows', () => {
    const notBefore = '2026-03-01T00:00:00.500Z';
    const notAfter = '2026-09-01T00:00:00.900Z';
    const statements = make(manifestOf([{ pcrs: { 4: pcr(4), 12: ZERO }, notBefore, notAfter }]));
    expect(statements[0]?.Condition).toMatchObject({
      DateGreaterThanEquals: { 'aws:CurrentTime': '2026-03-01T00:00:01Z' },
      DateLessThanEquals: { 'aws:CurrentTime': '2026-09-01T00:00:00Z' },
    });
    const at = (time: string): boolean =>
      admits(statements, { 4: pcr(4), 12: ZERO }, 'nitrotpm', new Date(time));
    expect(
      ['2026-03-01T00:00:00Z', '2026-03-01T00:00:01Z', '2026-09-01T00:00:00Z'].map(at),
    ).toEqual([false, true, true]);
    expect(at('2026-09-01T00:00:01Z')).toBe(false);
  });

  it('refuses PCRs by which a revoked set would get in', () => {
    const sets = [
      { pcrs: { 4: pcr(4), 7: pcr(7), 12: ZERO } },
      { pcrs: { 4: pcr(4), 7: pcr(8), 12: ZERO }, revoked: { reason: 'weak db' } },
    ];
    expect(() => make(manifestOf(sets))).toThrow(/policy\.revoked-accepted/);
    expect(make(manifestOf(sets), { pcrs: [4, 7, 12] })).toHaveLength(1);
    // A revoked set that shares no PCR cannot be told apart.
    const apart = [sets[0], { pcrs: { 11: pcr(1) }, revoked: { reason: 'x' } }] as TestSet[];
    expect(() => make(manifestOf(apart))).toThrow(/policy\.revoked-accepted/);
  });

  it('refuses PCRs by which a set would get in outside its time', () => {
    const [old, now] = [
      { pcrs: { 4: pcr(4), 7: pcr(6), 12: ZERO }, notAfter: '2026-05-01T00:00:00Z' },
      { pcrs: { 4: pcr(4), 7: pcr(7), 12: ZERO } },
    ];
    expect(() => make(manifestOf([old, now]))).toThrow(/policy\.revoked-accepted/);
    expect(make(manifestOf([old, now]), { pcrs: [4, 7, 12] })).toHaveLength(1);
    const ends = { ...old, notAfter: '2026-09-01T00:00:00Z' };
    expect(() => make(manifestOf([ends, now]))).toThrow(/policy\.revoked-accepted/);
    expect(make(manifestOf([ends, now]), { pcrs: [4, 7, 12] })).toHaveLength(2);
    // The same image again, in another time: accepted all the same, and no finding.
    const again = manifestOf([{ ...now, notAfter: old.notAfter }, now]);
    expect(make(again)).toHaveLength(1);
    expect(checkKeyPolicy({ Statement: make(again) }, again, { now: NOW })).toEqual([]);
  });

  const good = { pcrs: { 4: pcr(4), 7: pcr(7), 12: ZERO } };
  it.each([
    ['PCR4 alone', manifestOf([good]), { pcrs: [4] }, 'manifest.incomplete'],
    ['PCR12 alone', manifestOf([good]), { pcrs: [12] }, 'manifest.incomplete'],
    ['Secure Boot off', manifestOf([{ pcrs: { 7: SECURE_BOOT_OFF } }]), {}, 'manifest.incomplete'],
    ['a PCR4 of zero', manifestOf([{ pcrs: { 4: ZERO, 12: ZERO } }]), {}, 'manifest.incomplete'],
    [
      'a PCR that is not pinned',
      manifestOf([good]),
      { pcrs: [4, 11, 12] },
      'policy.pcr-not-pinned',
    ],
    ['only revoked sets', manifestOf([{ ...good, revoked: { reason: 'x' } }]), {}, 'policy.no-set'],
    [
      'only old sets',
      manifestOf([{ ...good, notAfter: '2026-05-31T23:59:59Z' }]),
      {},
      'policy.no-set',
    ],
    ['an unclear platform', { PCR4: pcr(4) }, {}, 'policy.platform-unclear'],
    ['another platform', manifestOf([good]), { platform: 'enclave' }, 'usage.option-conflict'],
    ['no manifest', [], {}, 'manifest.malformed'],
    ['no principal', manifestOf([good]), { principals: [] }, 'usage.option-invalid'],
    ['everybody', manifestOf([good]), { principals: ['*'] }, 'usage.option-invalid'],
    [
      'a wildcard in a name',
      manifestOf([good]),
      { principals: ['arn:aws:iam::111122223333:role/*'] },
      'usage.option-invalid',
    ],
    [
      'an action without Recipient',
      manifestOf([good]),
      { actions: ['kms:Encrypt'] },
      'usage.option-invalid',
    ],
    ['all actions', manifestOf([good]), { actions: ['kms:*'] }, 'usage.option-invalid'],
    ['a Sid with a blank', manifestOf([good]), { sid: 'A b' }, 'usage.option-invalid'],
  ] as const)('refuses %s', (_, manifest, options, code) => {
    expect(() => make(manifest as object, options as object)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it('admits exactly the sets, and the check agrees', () => {
    const value = fc.integer({ min: 1, max: 4 }).map(pcr);
    const set = fc.record({ 4: value, 7: value, 12: value });
    fc.assert(
      fc.property(
        fc.array(set, { minLength: 1, maxLength: 8 }),
        fc.constantFrom([4, 12], [4, 7, 12], [7]),
        fc.array(set, { maxLength: 20 }),
        (sets, pcrs, machines) => {
          const manifest = manifestOf(sets.map((one) => ({ pcrs: one })));
          const statements = make(manifest, { pcrs });
          for (const machine of [...sets, ...machines]) {
            const isSet = sets.some((one) =>
              pcrs.every((index) => one[index as 4] === machine[index as 4]),
            );
            expect(admits(statements, machine)).toBe(isSet);
          }
          expect(checkKeyPolicy({ Statement: statements }, manifest, { now: NOW })).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('mergeStatements', () => {
  let statements: readonly PolicyStatement[];
  const other = {
    Sid: 'AttestedUse7',
    Effect: 'Allow',
    Principal: '*',
    Action: 'kms:DescribeKey',
    Resource: '*',
  } as const;
  const admin = { ...other, Sid: 'Admin' };
  beforeAll(() => {
    statements = make(
      manifestOf([{ pcrs: { 4: pcr(1), 12: pcr(2) } }, { pcrs: { 4: pcr(3), 12: pcr(4) } }]),
    );
  });

  it('adds at the end and keeps the rest', () => {
    const policy: KeyPolicy = { Version: '2008-10-17', Id: 'k', Statement: [admin, other] };
    expect(mergeStatements(policy, statements)).toEqual({
      ...policy,
      Statement: [admin, other, ...statements],
    });
  });

  it('replaces what it made before, also when there is less now', () => {
    const before: KeyPolicy = { Statement: [admin, ...statements, other] };
    const [one] = make(manifestOf([{ pcrs: { 4: pcr(9), 12: ZERO } }]));
    expect(mergeStatements(before, [one as PolicyStatement]).Statement).toEqual([
      admin,
      one,
      // Its Sid looks like ours, but it is about something else.
      other,
    ]);
  });

  it('replaces neither a Deny nor a stranger with a Sid that it needs', () => {
    const deny: PolicyStatement = { ...(statements[0] as PolicyStatement), Effect: 'Deny' };
    const stranger: PolicyStatement = { ...other, Sid: 'AttestedUse2' };
    for (const taken of [deny, { ...deny, Sid: 'AttestedUse2' }, stranger])
      expect(() => mergeStatements({ Statement: [taken] }, statements)).toThrow(
        expect.objectContaining({ code: 'policy.sid-taken' }),
      );
    const kept = mergeStatements({ Statement: [{ ...deny, Sid: 'AttestedUse9' }] }, statements);
    expect(kept.Statement).toHaveLength(3);
  });

  it('refuses what KMS would not take', () => {
    const sets = Array.from({ length: 80 }, (_, n) => ({
      pcrs: { 4: pcr(n + 1), 12: pcr(n + 100) },
    }));
    expect(() => mergeStatements({ Statement: [] }, make(manifestOf(sets)))).toThrow(
      /policy\.too-large/,
    );
  });
});
