import { encodeHex } from '../../../src/bytes/hex.js';
import type { Code } from '../../../src/result/codes.js';
import { manifestFor, type OwnManifest, pinned } from '../bundle.js';
import { nitroTpmPcrs, SECURE_BOOT_OFF_PCR7, sha384, withPcrs, ZERO_PCR } from '../pcrs.js';
import {
  type CaseKit,
  type CaseOverrides,
  documentInput,
  type Expectation,
} from '../vector-case.js';

type AcceptedSet = OwnManifest['measurementSets'][number];

const PCRS = nitroTpmPcrs();

/** Reference manifests in every shape, and the appraisal of PCRs against them. */
export async function manifestCases(kit: CaseKit): Promise<void> {
  const document = documentInput(await kit.mintDocument());
  const row = (
    expected: Expectation,
    id: string,
    title: string,
    attacker: string,
    manifest: unknown,
    rest: CaseOverrides = {},
  ): void => kit.add(expected, [id, title, attacker], { input: document, ...rest, manifest });

  shapes(row);
  malformed(row);
  incomplete(kit, row);
  sets(kit, row);
}

type Row = (
  expected: Expectation,
  id: string,
  title: string,
  attacker: string,
  manifest: unknown,
  rest?: CaseOverrides,
) => void;

const aws = (indexes: number[], pcrs = PCRS): unknown => ({
  Measurements: { HashAlgorithm: 'SHA384', ...named(indexes, pcrs) },
});

const named = (indexes: number[], pcrs = PCRS): Record<string, string> =>
  Object.fromEntries(Object.entries(pinned(pcrs, indexes)).map(([i, value]) => [`PCR${i}`, value]));

function shapes(row: Row): void {
  row('verified', 'manifest-aws', 'AWS’s form, with PCR4, PCR7 and PCR12', 'none', aws([4, 7, 12]));
  row('verified', 'manifest-flat', 'flat form', 'none', named([4, 12]));
  row(
    'verified',
    'manifest-text',
    'our own form as JSON text',
    'none',
    JSON.stringify(manifestFor(PCRS)),
  );
  row(
    'verified',
    'manifest-aws-text',
    'AWS’s form as JSON text',
    'none',
    `${JSON.stringify(aws([4, 12]), null, 2)}\n`,
  );
  row(
    'verified',
    'manifest-every-pcr',
    'every PCR pinned',
    'none',
    manifestFor(PCRS, 'nitrotpm', [...PCRS.keys()]),
  );
}

function malformed(row: Row): void {
  const careless = 'a careless operator; a manifest that pins less than it seems to is a wrong yes';
  const good = manifestFor(PCRS);
  const edit = (set: unknown): unknown => ({ ...good, measurementSets: [set] });
  const pcr = (value: unknown): unknown =>
    edit({ label: 'release', pcrs: { 4: value, 12: '00'.repeat(48) } });
  const bad = (code: Code, id: string, title: string, manifest: unknown): void =>
    row(code, `manifest-${id}`, title, careless, manifest);
  bad('manifest.malformed', 'not-json', 'text that is not JSON', 'PCR4: anything');
  bad('manifest.malformed', 'array', 'an array', [good]);
  bad('manifest.malformed', 'number', 'a number', 384);
  bad('manifest.malformed', 'pcr-short', 'a PCR of 47 bytes', pcr('00'.repeat(47)));
  bad('manifest.malformed', 'pcr-long', 'a PCR of 64 bytes', pcr('00'.repeat(64)));
  bad('manifest.malformed', 'pcr-not-hex', 'a PCR that is not hex', pcr('latest'));
  bad('manifest.malformed', 'pcr-number', 'a PCR that is a number', pcr(0));
  bad('manifest.malformed', 'pcr-null', 'a PCR that is null', pcr(null));
  bad(
    'manifest.malformed',
    'index-32',
    'PCR index 32',
    edit({ label: 'release', pcrs: { ...pinned(PCRS, [4, 12]), 32: '00'.repeat(48) } }),
  );
  bad(
    'manifest.malformed',
    'index-text',
    'PCR index that is a word',
    edit({ label: 'release', pcrs: { boot: '00'.repeat(48) } }),
  );
  bad('manifest.malformed', 'sets-object', 'measurementSets is an object', {
    ...good,
    measurementSets: {},
  });
  bad('manifest.malformed', 'platform', 'unknown platform', { ...good, platform: 'sgx' });
  bad(
    'manifest.malformed',
    'date',
    'notAfter that is not a date',
    edit({ ...good.measurementSets[0], notAfter: 'next year' }),
  );
  bad('manifest.version-unsupported', 'version-2', 'version 2', { ...good, version: 2 });
  bad('manifest.hash-unsupported', 'sha256', 'hashAlgorithm SHA256', {
    ...good,
    hashAlgorithm: 'SHA256',
  });
  bad('manifest.hash-unsupported', 'aws-sha256', 'AWS’s form with SHA256', {
    Measurements: { HashAlgorithm: 'SHA256', ...named([4, 12]) },
  });
}

function incomplete(kit: CaseKit, row: Row): void {
  const passer = 'who boots an image of their own where the manifest pins too little';
  const bad = (id: string, title: string, manifest: unknown): void =>
    row('manifest.incomplete', `manifest-${id}`, title, passer, manifest);
  bad('empty-object', 'empty object', {});
  bad('no-sets', 'no measurement sets', { ...manifestFor(PCRS), measurementSets: [] });
  bad('empty-set', 'a set that pins nothing', manifestFor(PCRS, 'nitrotpm', []));
  bad('aws-empty', 'AWS’s form without PCRs', aws([]));
  bad(
    'pcr4-only',
    'PCR4 alone: the command line is measured in PCR12',
    manifestFor(PCRS, 'nitrotpm', [4]),
  );
  bad('pcr12-only', 'PCR12 alone', manifestFor(PCRS, 'nitrotpm', [12]));
  bad(
    'pcr11-only',
    'PCR11 alone, which the system can extend itself',
    manifestFor(PCRS, 'nitrotpm', [11]),
  );
  bad('flat-pcr4', 'flat form with PCR4 alone', named([4]));
  bad(
    'secure-boot-off',
    'PCR7 alone, with the value of every machine whose Secure Boot is off',
    manifestFor(withPcrs(PCRS, { 7: SECURE_BOOT_OFF_PCR7 }), 'nitrotpm', [7]),
  );
  bad(
    'pcr7-zero',
    'PCR7 alone, all zero',
    manifestFor(withPcrs(PCRS, { 7: ZERO_PCR }), 'nitrotpm', [7]),
  );
  bad('loose-second-set', 'a second set that pins too little', {
    ...manifestFor(PCRS),
    measurementSets: [
      ...manifestFor(PCRS).measurementSets,
      { label: 'loose', pcrs: pinned(PCRS, [4]) },
    ],
  });
  row(
    'verified',
    'manifest-partial-allowed',
    'PCR4 alone, with allowPartialManifest',
    'none',
    manifestFor(PCRS, 'nitrotpm', [4]),
    { options: { nonce: encodeHex(kit.nonce), allowPartialManifest: true } },
  );
}

function sets(kit: CaseKit, row: Row): void {
  const other = nitroTpmPcrs('image 2.0');
  const release: AcceptedSet = { label: 'release', pcrs: pinned(PCRS, [4, 12]) };
  const next: AcceptedSet = { label: 'next', pcrs: pinned(other, [4, 12]) };
  const of = (...measurementSets: AcceptedSet[]): OwnManifest => ({
    ...manifestFor(PCRS),
    measurementSets,
  });
  const iso = (offsetMs: number): string => new Date(kit.nowMs + offsetMs).toISOString();
  const hour = 3_600_000;
  row(
    'verified',
    'manifest-second-set',
    'the second of two accepted sets matches',
    'none',
    of(next, release),
  );
  row(
    'verified',
    'manifest-in-window',
    'a set within its time',
    'none',
    of({ ...release, notBefore: iso(-hour), notAfter: iso(hour) }),
  );
  row(
    'verified',
    'manifest-other-revoked',
    'another set is revoked',
    'none',
    of(release, { ...next, revoked: { reason: 'CVE-2026-0001' } }),
  );
  const downgrader = 'who boots an old image with known holes, which was accepted once';
  row(
    'pcr.revoked',
    'pcr-revoked',
    'the matching set is revoked',
    downgrader,
    of(next, { ...release, revoked: { reason: 'CVE-2026-0001' } }),
  );
  row(
    'pcr.set-outside-validity',
    'pcr-set-expired',
    'the matching set is past its notAfter',
    downgrader,
    of(next, { ...release, notAfter: iso(-hour) }),
  );
  row(
    'pcr.set-outside-validity',
    'pcr-set-early',
    'the matching set is before its notBefore',
    downgrader,
    of(next, { ...release, notBefore: iso(hour) }),
  );
  row(
    'manifest.no-accepted-set',
    'manifest-all-revoked',
    'every set is revoked, none matches',
    downgrader,
    of({ ...next, revoked: { reason: 'CVE-2026-0001' } }),
  );
  row(
    'manifest.no-accepted-set',
    'manifest-all-expired',
    'every set is past its time, none matches',
    downgrader,
    of({ ...next, notAfter: iso(-hour) }),
  );
  const mixer = 'who combines the boot manager of one release with the command line of another';
  const override = withPcrs(PCRS, { 12: sha384('init=/bin/sh') });
  row(
    'pcr.mismatch',
    'pcr-mixed-sets',
    'PCR4 of one set, PCR12 of another',
    mixer,
    of(
      { label: 'a', pcrs: pinned(override, [4, 12]) },
      { label: 'b', pcrs: pinned(other, [4, 12]) },
    ),
  );
}
