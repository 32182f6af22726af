import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SECURE_BOOT_OFF_PCR7 } from '../../test-vectors/mint/index.js';
import { encodeHex } from '../bytes/hex.js';
import { runFlowSync } from '../crypto/flow.js';
import type { Code } from '../result/codes.js';
import { expectCode, notes, valueOrCode } from '../test-support/rejection.js';
import { checkCompleteness, PCR7_SECURE_BOOT_OFF } from './completeness.js';
import { loadManifest } from './load-manifest.js';
import { type ManifestInput, parseManifest } from './parse-manifest.js';

const A = 'a1'.repeat(48);
const B = 'b2'.repeat(48);
const ZERO = '00'.repeat(48);
const ONES = 'ff'.repeat(48);
// biome-ignore lint/suspicious/noExplicitAny: rows edit it in every possible way
type Json = any;
const own = (): Json => ({
  version: 1,
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'release', pcrs: { '4': A, '12': ZERO } }],
});
const full = (): Json => ({
  $schema: 'https://example.org/manifest.schema.json',
  ...own(),
  name: 'image',
  imageVersion: '1.2.3',
  measurementSets: [
    {
      label: 'release',
      pcrs: { '12': ZERO, '4': A.toUpperCase() },
      notBefore: '2026-01-01T00:00:00Z',
      notAfter: '2026-12-31T23:59:59.5+01:00',
      events: [{ pcr: 4, digest: B.toUpperCase(), description: 'UKI', kind: 'uki' }],
    },
    { label: 'old', pcrs: { '4': B }, revoked: { reason: 'CVE' } },
  ],
  provenance: { sourceRevision: 'abc', builder: 'nix', imageDigest: 'x', verityRootHash: 'y' },
});
const edited = (edit: (manifest: Json) => void, from = full): Json => {
  const manifest = from();
  edit(manifest);
  return manifest;
};
const parse = (input: unknown) => parseManifest(input as ManifestInput);
const load = (input: unknown, allowPartial = false, keys?: Json): string[] => {
  const { heard, note } = notes();
  runFlowSync(loadManifest(input as ManifestInput, keys, allowPartial, note));
  return heard;
};

describe('our own format', () => {
  it.each([
    ['object', (m: Json) => m],
    ['text', (m: Json) => JSON.stringify(m)],
    ['bytes', (m: Json) => new TextEncoder().encode(JSON.stringify(m))],
  ] as const)('reads every field, as %s', (_name, form) => {
    const manifest = parse(form(full()));
    expect(manifest).toMatchObject({
      name: 'image',
      imageVersion: '1.2.3',
      platform: 'nitrotpm',
      provenance: full().provenance,
      trust: { source: 'caller' },
    });
    const [release, old] = manifest.sets;
    expect([...(release?.pcrs.keys() ?? [])]).toEqual([4, 12]);
    expect(encodeHex(release?.pcrs.get(4) as Uint8Array)).toBe(A);
    expect(release?.notBeforeMs).toBe(Date.UTC(2026, 0, 1));
    expect(release?.notAfterMs).toBe(Date.UTC(2026, 11, 31, 22, 59, 59, 500));
    expect(release?.revokedReason).toBeUndefined();
    expect(release?.events).toEqual([{ pcr: 4, digest: B, description: 'UKI', kind: 'uki' }]);
    expect(old?.revokedReason).toBe('CVE');
    expect(old?.notBeforeMs).toBeUndefined();
  });

  const set = (m: Json): Json => m.measurementSets[0];
  it.each<readonly [string, Code, (manifest: Json) => void]>([
    ['version 2', 'manifest.version-unsupported', (m) => (m.version = 2)],
    ['version "1"', 'manifest.version-unsupported', (m) => (m.version = '1')],
    ['version null', 'manifest.version-unsupported', (m) => (m.version = null)],
    ['no version', 'manifest.version-unsupported', (m) => delete m.version],
    ['unknown field', 'manifest.malformed', (m) => (m.revoked = [])],
    ['AWS beside ours', 'manifest.malformed', (m) => (m.Measurements = {})],
    [
      '__proto__',
      'manifest.malformed',
      (m) => Object.defineProperty(m, '__proto__', { value: {}, enumerable: true }),
    ],
    ['no platform', 'manifest.malformed', (m) => delete m.platform],
    ['platform TPM', 'manifest.malformed', (m) => (m.platform = 'NitroTPM')],
    ['platform list', 'manifest.malformed', (m) => (m.platform = ['nitrotpm'])],
    ['no hash', 'manifest.hash-unsupported', (m) => delete m.hashAlgorithm],
    ['SHA256', 'manifest.hash-unsupported', (m) => (m.hashAlgorithm = 'SHA256')],
    ['sha384', 'manifest.hash-unsupported', (m) => (m.hashAlgorithm = 'sha384')],
    ['name as number', 'manifest.malformed', (m) => (m.name = 5)],
    ['name null', 'manifest.malformed', (m) => (m.name = null)],
    ['imageVersion as number', 'manifest.malformed', (m) => (m.imageVersion = 1.2)],
    ['no sets', 'manifest.malformed', (m) => delete m.measurementSets],
    ['sets as object', 'manifest.malformed', (m) => (m.measurementSets = { '0': set(m) })],
    [
      '1025 sets',
      'manifest.malformed',
      (m) =>
        (m.measurementSets = Array.from({ length: 1025 }, (_, i) => ({
          label: `${i}`,
          pcrs: { '4': A },
        }))),
    ],
    ['set null', 'manifest.malformed', (m) => (m.measurementSets[0] = null)],
    ['set as list', 'manifest.malformed', (m) => (m.measurementSets[0] = [])],
    ['the same label twice', 'manifest.malformed', (m) => (m.measurementSets[1].label = 'release')],
    ['misspelled revoked', 'manifest.malformed', (m) => (set(m).revoke = { reason: 'x' })],
    ['Revoked', 'manifest.malformed', (m) => (set(m).Revoked = { reason: 'x' })],
    ['no label', 'manifest.malformed', (m) => delete set(m).label],
    ['label empty', 'manifest.malformed', (m) => (set(m).label = '')],
    ['label as number', 'manifest.malformed', (m) => (set(m).label = 5)],
    ['no pcrs', 'manifest.malformed', (m) => delete set(m).pcrs],
    ['pcrs null', 'manifest.malformed', (m) => (set(m).pcrs = null)],
    ['pcrs as list', 'manifest.malformed', (m) => (set(m).pcrs = [A])],
    ['PCR 32', 'manifest.malformed', (m) => (set(m).pcrs['32'] = A)],
    ['PCR 99', 'manifest.malformed', (m) => (set(m).pcrs['99'] = A)],
    ['PCR 04', 'manifest.malformed', (m) => (set(m).pcrs['04'] = A)],
    ['PCR " 4"', 'manifest.malformed', (m) => (set(m).pcrs[' 4'] = A)],
    ['PCR -1', 'manifest.malformed', (m) => (set(m).pcrs['-1'] = A)],
    ['PCR 1e1', 'manifest.malformed', (m) => (set(m).pcrs['1e1'] = A)],
    ['PCR PCR4', 'manifest.malformed', (m) => (set(m).pcrs.PCR4 = A)],
    ['PCR empty', 'manifest.malformed', (m) => (set(m).pcrs[''] = A)],
    ['value of 47 bytes', 'manifest.malformed', (m) => (set(m).pcrs['4'] = 'a1'.repeat(47))],
    ['value of 32 bytes', 'manifest.malformed', (m) => (set(m).pcrs['4'] = 'a1'.repeat(32))],
    ['value with 0x', 'manifest.malformed', (m) => (set(m).pcrs['4'] = `0x${A.slice(2)}`)],
    ['value null', 'manifest.malformed', (m) => (set(m).pcrs['4'] = null)],
    ['value as list', 'manifest.malformed', (m) => (set(m).pcrs['4'] = [A])],
    ['value *', 'manifest.malformed', (m) => (set(m).pcrs['4'] = '*')],
    ['revoked true', 'manifest.malformed', (m) => (set(m).revoked = true)],
    ['revoked null', 'manifest.malformed', (m) => (set(m).revoked = null)],
    ['revoked false', 'manifest.malformed', (m) => (set(m).revoked = false)],
    ['revoked without reason', 'manifest.malformed', (m) => (set(m).revoked = {})],
    [
      'revoked with more',
      'manifest.malformed',
      (m) => (set(m).revoked = { reason: 'x', until: 'y' }),
    ],
    ['reason as number', 'manifest.malformed', (m) => (set(m).revoked = { reason: 5 })],
    ['time as number', 'manifest.malformed', (m) => (set(m).notAfter = 1_750_000_000)],
    ['time null', 'manifest.malformed', (m) => (set(m).notAfter = null)],
    ['time without zone', 'manifest.malformed', (m) => (set(m).notAfter = '2026-01-01T00:00:00')],
    ['date alone', 'manifest.malformed', (m) => (set(m).notBefore = '2026-01-01')],
    ['time with a space', 'manifest.malformed', (m) => (set(m).notBefore = '2026-01-01 00:00:00Z')],
    ['month 13', 'manifest.malformed', (m) => (set(m).notBefore = '2026-13-01T00:00:00Z')],
    ['day 32', 'manifest.malformed', (m) => (set(m).notBefore = '2026-01-32T00:00:00Z')],
    ['hour 25', 'manifest.malformed', (m) => (set(m).notBefore = '2026-01-01T25:00:00Z')],
    ['two lines', 'manifest.malformed', (m) => (set(m).notBefore = '2026-01-01T00:00:00Z\n')],
    ['events as object', 'manifest.malformed', (m) => (set(m).events = {})],
    ['event null', 'manifest.malformed', (m) => (set(m).events = [null])],
    ['event PCR 32', 'manifest.malformed', (m) => (set(m).events[0].pcr = 32)],
    ['event PCR 4.5', 'manifest.malformed', (m) => (set(m).events[0].pcr = 4.5)],
    ['event PCR as text', 'manifest.malformed', (m) => (set(m).events[0].pcr = '4')],
    ['event digest short', 'manifest.malformed', (m) => (set(m).events[0].digest = 'aa')],
    ['event without description', 'manifest.malformed', (m) => delete set(m).events[0].description],
    ['event kind as number', 'manifest.malformed', (m) => (set(m).events[0].kind = 5)],
    ['event with more', 'manifest.malformed', (m) => (set(m).events[0].more = 5)],
    [
      '4097 events',
      'manifest.malformed',
      (m) => (set(m).events = Array(4097).fill(set(m).events[0])),
    ],
    ['provenance as text', 'manifest.malformed', (m) => (m.provenance = 'x')],
    ['provenance with more', 'manifest.malformed', (m) => (m.provenance.more = 'x')],
    ['provenance as number', 'manifest.malformed', (m) => (m.provenance.builder = 5)],
  ])('%s', (_name, code, edit) => {
    expectCode(() => parse(edited(edit)), code);
    expectCode(() => parse(JSON.stringify(edited(edit))), code);
  });

  it.each<readonly [string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a number', 5],
    ['a list', []],
    ['a list as text', '[]'],
    ['text that is no JSON', 'manifest'],
    ['empty text', ''],
    ['empty bytes', new Uint8Array(0)],
    ['null as text', 'null'],
    ['two objects', '{}{}'],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['1 MiB and a byte', `{${' '.repeat(1_048_576)}`],
    ['a JSON text of a manifest', JSON.stringify(JSON.stringify(full()))],
  ])('%s is no manifest', (_name, input) => {
    expectCode(() => parse(input), 'manifest.malformed');
  });

  it('gives back what was written', () => {
    const hex = fc.uint8Array({ minLength: 48, maxLength: 48 }).map(encodeHex);
    const pcrs = fc.dictionary(fc.nat(31).map(String), hex, { minKeys: 1 });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 6 }),
        pcrs,
        (labels, values) => {
          const measurementSets = labels.map((label) => ({ label, pcrs: values }));
          const { sets } = parse(JSON.stringify({ ...own(), measurementSets }));
          expect(sets.map(({ label }) => label)).toEqual(labels);
          for (const set of sets)
            expect(Object.fromEntries([...set.pcrs].map(([i, v]) => [i, encodeHex(v)]))).toEqual(
              values,
            );
        },
      ),
    );
  });

  it('random JSON never throws anything but our error', () => {
    const keys = [
      'version',
      'platform',
      'measurementSets',
      'Measurements',
      'PCR4',
      'payload',
      'signature',
    ];
    const any = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 2 }), {
      maxKeys: 4,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          any,
          any.map((m) => JSON.stringify(m)),
          fc.string(),
          fc.uint8Array(),
        ),
        (input) => {
          const got = valueOrCode(() => load(input));
          if (typeof got === 'string') expect(got).toMatch(/^manifest\./);
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe('AWS\u2019s formats', () => {
  it.each<readonly [string, Json, readonly number[]]>([
    ['NitroTPM', { Measurements: { HashAlgorithm: 'SHA384', PCR4: A, PCR7: B } }, [4, 7]],
    [
      'enclave',
      { Measurements: { HashAlgorithm: 'Sha384 { ... }', PCR0: A, PCR1: B, PCR2: A } },
      [0, 1, 2],
    ],
    ['flat', { PCR12: ZERO, PCR4: A }, [4, 12]],
    ['flat with hash', { HashAlgorithm: 'SHA384', PCR8: A }, [8]],
  ])('%s', (_name, input, indices) => {
    const { platform, sets } = parse(JSON.stringify(input));
    expect(platform).toBeUndefined();
    expect(sets).toHaveLength(1);
    expect([...(sets[0]?.pcrs.keys() ?? [])]).toEqual(indices);
  });

  it.each<readonly [string, Code, Json]>([
    ['field beside Measurements', 'manifest.malformed', { Measurements: { PCR4: A }, PCR7: A }],
    ['Measurements null', 'manifest.malformed', { Measurements: null }],
    ['Measurements as list', 'manifest.malformed', { Measurements: [A] }],
    ['SHA256', 'manifest.hash-unsupported', { Measurements: { HashAlgorithm: 'SHA256', PCR4: A } }],
    ['hash null', 'manifest.hash-unsupported', { HashAlgorithm: null, PCR4: A }],
    ['hash as list', 'manifest.hash-unsupported', { HashAlgorithm: ['SHA384'], PCR4: A }],
    ['hash with more', 'manifest.hash-unsupported', { HashAlgorithm: 'SHA384, SHA256', PCR4: A }],
    ['SHA3-384', 'manifest.hash-unsupported', { HashAlgorithm: 'SHA3-384', PCR4: A }],
    ['pcr4', 'manifest.malformed', { pcr4: A }],
    ['PCR04', 'manifest.malformed', { PCR04: A }],
    ['PCR32', 'manifest.malformed', { PCR32: A }],
    ['4', 'manifest.malformed', { '4': A }],
    ['short value', 'manifest.malformed', { PCR4: 'aa' }],
    ['revoked beside', 'manifest.malformed', { PCR4: A, revoked: true }],
  ])('%s', (_name, code, input) => {
    expectCode(() => parse(input), code);
    expectCode(() => parse(JSON.stringify(input)), code);
  });
});

describe('completeness', () => {
  const OFF = PCR7_SECURE_BOOT_OFF;
  it('knows PCR7 of Secure Boot off, as UEFI makes it', () => {
    expect(OFF).toBe(encodeHex(SECURE_BOOT_OFF_PCR7));
  });

  const sets = (pcrs: Record<number, string>, platform = 'nitrotpm'): Json => ({
    ...own(),
    platform,
    measurementSets: [{ label: 'release', pcrs }],
  });

  it.each<readonly [string, boolean, Json]>([
    ['PCR4 and PCR12', true, sets({ 4: A, 12: ZERO })],
    ['PCR4 and PCR12 with a value', true, sets({ 4: A, 12: B })],
    ['PCR4 and PCR7', true, sets({ 4: A, 7: B })],
    ['PCR7 of Secure Boot on', true, sets({ 7: B })],
    ['PCR4, PCR12 and PCR7 off', true, sets({ 4: A, 12: ZERO, 7: OFF })],
    ['PCR4', false, sets({ 4: A })],
    ['PCR11', false, sets({ 11: A })],
    ['PCR12', false, sets({ 12: ZERO })],
    ['PCR4 and PCR11', false, sets({ 4: A, 11: B })],
    ['PCR4 and PCR7 off', false, sets({ 4: A, 7: OFF })],
    ['PCR7 off', false, sets({ 7: OFF })],
    ['PCR7 off and PCR12', false, sets({ 7: OFF, 12: ZERO })],
    ['PCR7 zero', false, sets({ 7: ZERO })],
    ['PCR7 all ones', false, sets({ 7: ONES })],
    ['PCR4 zero and PCR12', false, sets({ 4: ZERO, 12: ZERO })],
    ['PCR4 all ones and PCR12', false, sets({ 4: ONES, 12: ZERO })],
    ['PCR4 and PCR7 zero', false, sets({ 4: A, 7: ZERO })],
    ['all zero', false, sets(Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, ZERO])))],
    ['firmware', false, sets({ 0: A, 1: A, 2: A, 3: A })],
    ['enclave PCR0', true, sets({ 0: A }, 'enclave')],
    ['enclave PCR1 and 2', true, sets({ 1: A, 2: B }, 'enclave')],
    ['enclave PCR8', true, sets({ 8: A }, 'enclave')],
    ['enclave PCR1', false, sets({ 1: A }, 'enclave')],
    ['enclave PCR3 and 4', false, sets({ 3: A, 4: B, 12: ZERO }, 'enclave')],
    ['enclave PCR0 zero: debug', false, sets({ 0: ZERO, 1: ZERO, 2: ZERO }, 'enclave')],
    ['enclave PCR1 zero and 2', false, sets({ 1: ZERO, 2: B }, 'enclave')],
    ['enclave PCR8 zero', false, sets({ 8: ZERO }, 'enclave')],
    ['enclave PCR7', false, sets({ 7: B }, 'enclave')],
    ['AWS, either platform: PCR0', true, { PCR0: A }],
    ['AWS, either platform: PCR4 and 12', true, { PCR4: A, PCR12: ZERO }],
    ['AWS, neither: PCR4', false, { PCR4: A }],
    ['AWS, neither: PCR7 off', false, { PCR4: A, PCR7: OFF }],
  ])('%s: %s', (_name, complete, manifest) => {
    if (complete) expect(load(manifest)).toContain('pins what makes an image');
    else {
      expectCode(() => load(manifest), 'manifest.incomplete');
      expect(load(manifest, true)).toContain('completeness waived by the caller');
    }
  });

  it('asks again for the platform of the evidence', () => {
    expectCode(() => checkCompleteness(parse({ PCR0: A }), 'nitrotpm'), 'manifest.incomplete');
    checkCompleteness(parse({ PCR0: A }), 'enclave');
    expectCode(
      () => checkCompleteness(parse({ PCR4: A, PCR12: ZERO }), 'enclave'),
      'manifest.incomplete',
    );
  });

  it('one incomplete set spoils the manifest, unless it is revoked', () => {
    const two = (second: Json): Json =>
      edited((m) => m.measurementSets.push({ label: 'second', ...second }), own);
    expectCode(() => load(two({ pcrs: { 4: B } })), 'manifest.incomplete');
    load(two({ pcrs: { 4: B }, revoked: { reason: 'x' } }));
    expectCode(
      () => load(two({ pcrs: { 4: B }, notAfter: '2020-01-01T00:00:00Z' })),
      'manifest.incomplete',
    );
  });

  it.each<readonly [string, Json]>([
    ['no sets', edited((m) => (m.measurementSets = []), own)],
    ['a set without PCRs', sets({})],
    [
      'a revoked set without PCRs',
      edited((m) => m.measurementSets.push({ label: 'x', pcrs: {}, revoked: { reason: '' } }), own),
    ],
    ['AWS without PCRs', { Measurements: {} }],
    ['an empty object', {}],
  ])('%s is refused even where partial manifests are allowed', (_name, manifest) => {
    expectCode(() => load(manifest), 'manifest.incomplete');
    expectCode(() => load(manifest, true), 'manifest.incomplete');
  });

  it('says why PCR7 of Secure Boot off does not count', () => {
    const error = expectCode(() => load(sets({ 4: A, 7: OFF })), 'manifest.incomplete');
    expect(error.actual).toContain('Secure Boot off');
    expect(error.actual).toContain('release: PCR4, PCR7');
  });
});
