import { encodeHex } from '../../../src/bytes/hex.js';
import { manifestFor, pinned } from '../bundle.js';
import type { DocumentOverrides } from '../document.js';
import {
  enclavePcrs,
  nitroTpmPcrs,
  SECURE_BOOT_OFF_PCR7,
  sha384,
  withPcrs,
  ZERO_PCR,
} from '../pcrs.js';
import type { CaseKit, CaseOverrides, Expectation } from '../vector-case.js';

const PCRS = nitroTpmPcrs();
const ENCLAVE = enclavePcrs();

/** The signed PCRs against manifests: mismatches, missing PCRs, debug mode, enclaves. */
export async function appraisalCases(kit: CaseKit): Promise<void> {
  await mismatches(kit);
  await platforms(kit);
}

async function mismatches(kit: CaseKit): Promise<void> {
  const passer = 'who boots another image';
  const bad = (id: string, title: string, overrides: DocumentOverrides, rest: CaseOverrides = {}) =>
    kit.document('pcr.mismatch', [`pcr-mismatch-${id}`, title, passer], overrides, rest);
  await bad('4', 'another boot manager', { pcrs: withPcrs(PCRS, { 4: sha384('other') }) });
  await bad('12', 'command line overridden from outside', {
    pcrs: withPcrs(PCRS, { 12: sha384('init=/bin/sh') }),
  });
  await bad(
    '7',
    'another Secure Boot policy',
    { pcrs: withPcrs(PCRS, { 7: SECURE_BOOT_OFF_PCR7 }) },
    {
      manifest: manifestFor(PCRS, 'nitrotpm', [7]),
    },
  );
  await bad('last-byte', 'PCR4 that differs in its last bit', {
    pcrs: withPcrs(PCRS, { 4: lastBitFlipped(PCRS.get(4) as Uint8Array) }),
  });
  await bad('zero', 'PCR4 zero where it is pinned', { pcrs: withPcrs(PCRS, { 4: ZERO_PCR }) });
  await kit.bundle(
    'pcr.mismatch',
    ['pcr-mismatch-bundle', 'bundle that is sound in itself, of another image', passer],
    { pcrs: nitroTpmPcrs('another image') },
  );
  await kit.document(
    'pcr.missing',
    ['pcr-missing', 'the manifest pins a PCR that the document does not carry', passer],
    { pcrs: withPcrs(PCRS, { 12: undefined }) },
  );
  await kit.document(
    'pcr.missing',
    ['pcr-missing-enclave', 'the manifest pins PCR16 of an enclave that has 16 PCRs', passer],
    { platform: 'enclave' },
    { manifest: manifestFor(withPcrs(ENCLAVE, { 16: ZERO_PCR }), 'enclave', [0, 16]) },
  );
}

const lastBitFlipped = (value: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(value);
  copy[47] = (copy[47] as number) ^ 1;
  return copy;
};

async function platforms(kit: CaseKit): Promise<void> {
  const enclave = (
    expected: Expectation,
    id: string,
    title: string,
    attacker: string,
    overrides: DocumentOverrides,
    rest: CaseOverrides = {},
  ) => kit.document(expected, [id, title, attacker], { platform: 'enclave', ...overrides }, rest);
  const operator =
    'the operator of the parent instance, who reads console and memory of a debug enclave';
  for (const index of [0, 1, 2])
    await enclave(
      'pcr.debug-mode',
      `debug-pcr${index}`,
      `enclave whose PCR${index} is all zero`,
      operator,
      {
        pcrs: withPcrs(ENCLAVE, { [index]: ZERO_PCR }),
      },
    );
  const debug = withPcrs(ENCLAVE, { 0: ZERO_PCR, 1: ZERO_PCR, 2: ZERO_PCR });
  await enclave('pcr.debug-mode', 'debug-all', 'enclave in debug mode', operator, { pcrs: debug });
  await enclave(
    'pcr.debug-mode',
    'debug-no-manifest',
    'enclave in debug mode, no manifest given',
    operator,
    { pcrs: debug },
    { manifest: null },
  );
  const zeros = manifestFor(debug, 'enclave', [0, 1, 2]);
  await enclave(
    'manifest.incomplete',
    'debug-pinned',
    'manifest that pins the zeros of debug mode, which every debug enclave has',
    operator,
    { pcrs: debug },
    { manifest: zeros },
  );
  await enclave(
    'pcr.debug-mode',
    'debug-pinned-partial',
    'the same with allowPartialManifest, but without allowDebug',
    operator,
    { pcrs: debug },
    { manifest: zeros, options: { nonce: encodeHex(kit.nonce), allowPartialManifest: true } },
  );
  await enclave(
    'verified',
    'debug-allowed',
    'enclave in debug mode, with allowDebug and a manifest that may pin its zeros',
    'none',
    { pcrs: debug },
    {
      manifest: zeros,
      options: { nonce: encodeHex(kit.nonce), allowDebug: true, allowPartialManifest: true },
    },
  );
  const passer = 'who runs an enclave of their own';
  await enclave('pcr.mismatch', 'pcr-mismatch-enclave', 'another enclave image', passer, {
    pcrs: withPcrs(ENCLAVE, { 0: sha384('other') }),
  });
  const pins = (indexes: number[], pcrs = ENCLAVE) => ({
    manifest: manifestFor(pcrs, 'enclave', indexes),
  });
  await enclave(
    'verified',
    'enclave-pcr0',
    'enclave manifest with PCR0 alone',
    'none',
    {},
    pins([0]),
  );
  await enclave(
    'verified',
    'enclave-pcr1-2',
    'enclave manifest with PCR1 and PCR2',
    'none',
    {},
    pins([1, 2]),
  );
  const signed = withPcrs(ENCLAVE, { 8: sha384('signing certificate') });
  await enclave(
    'verified',
    'enclave-pcr8',
    'enclave manifest with PCR8 alone',
    'none',
    { pcrs: signed },
    pins([8], signed),
  );
  await enclave(
    'manifest.incomplete',
    'enclave-pcr8-zero',
    'PCR8 alone, all zero: no enclave is signed so',
    passer,
    {},
    pins([8]),
  );
  await enclave(
    'manifest.incomplete',
    'enclave-pcr1-only',
    'PCR1 alone: the kernel, not the application',
    passer,
    {},
    pins([1]),
  );
  await enclave(
    'manifest.incomplete',
    'enclave-pcr3-only',
    'PCR3 alone: the role, not the image',
    passer,
    {},
    pins([3]),
  );
  await enclave(
    'verified',
    'enclave-aws-manifest',
    'AWS’s form for an enclave',
    'none',
    {},
    {
      manifest: {
        Measurements: {
          HashAlgorithm: 'SHA384',
          ...Object.fromEntries(
            Object.entries(pinned(ENCLAVE, [0, 1, 2])).map(([i, value]) => [`PCR${i}`, value]),
          ),
        },
      },
    },
  );
}
