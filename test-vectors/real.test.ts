import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Decoder } from 'cbor-x';
import { type Code, inspectAttestation, verifyAttestation } from 'tee-verify';
import { describe, expect, it } from 'vitest';
import { PROVIDERS } from './providers.js';

/**
 * Real documents and bundles, signed by AWS, at their own time. They are other people's data and
 * stay outside the repository; their README says what a verifier must say about each.
 */
const folder = fileURLToPath(new URL('../../shared/vectors/', import.meta.url));
const present = existsSync(`${folder}README.md`);

/** The README's words → the verdict or code. */
const WORDS: readonly (readonly [RegExp, 'verified' | Code])[] = [
  [/^valid/, 'verified'],
  [/^debug mode: refused/, 'pcr.debug-mode'],
  [/TPM2_Certify/, 'quote.not-a-quote'],
  [/another platform/, 'evidence.platform-unsupported'],
  [/cbor: truncated/, 'cbor.truncated'],
  [/cose: signature/, 'cose.signature-invalid'],
  // The payload is a plain text, which CBOR reads as a short item with bytes after it.
  [/payload is not an attestation map/, 'cbor.trailing-bytes'],
];

interface RealVector {
  readonly file: string;
  readonly expected: 'verified' | Code;
}

function readTable(): RealVector[] {
  const rows = readFileSync(`${folder}README.md`, 'utf8').matchAll(
    /^\| ((?:bundles|documents)\/\S+) \|[^|]*\| ([^|]+) \|/gm,
  );
  return [...rows].map(([, file, words]) => {
    const expected = WORDS.find(([pattern]) => pattern.test(words as string))?.[1];
    if (expected === undefined) throw new Error(`README says of ${file}: ${words}`);
    return { file: file as string, expected };
  });
}

/** The evidence as a caller would have it: bytes of a document, text of a bundle. */
const evidenceOf = (file: string): Uint8Array | string =>
  file.endsWith('.json')
    ? readFileSync(folder + file, 'utf8')
    : new Uint8Array(readFileSync(folder + file));

/** A manifest of the document's own PCRs, read by another CBOR decoder than ours. */
function manifestOf(document: Uint8Array, change: (hex: string) => string = (hex) => hex) {
  const decoder = new Decoder({ mapsAsObjects: false });
  const [, , payload] = decoder.decode(document) as [unknown, unknown, Uint8Array];
  const fields = decoder.decode(payload) as Map<string, Map<number, Uint8Array>>;
  const nitrotpm = fields.get('nitrotpm_pcrs');
  const pcrs = nitrotpm ?? (fields.get('pcrs') as Map<number, Uint8Array>);
  const pinned = (nitrotpm ? [4, 12] : [0, 1, 2]).map((index) => [
    index,
    change(Buffer.from(pcrs.get(index) as Uint8Array).toString('hex')),
  ]);
  return {
    version: 1,
    name: 'as found',
    imageVersion: '1',
    platform: nitrotpm ? 'nitrotpm' : 'enclave',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: 'as found', pcrs: Object.fromEntries(pinned) }],
  };
}

const documentOf = (evidence: Uint8Array | string): Uint8Array =>
  typeof evidence === 'string'
    ? Buffer.from(JSON.parse(evidence).attestation.nitro.document, 'hex')
    : evidence;

if (!present && process.env.CI === undefined)
  console.warn(`SKIPPED: no real documents are checked, because ${folder} is absent`);

describe.skipIf(!present && process.env.CI === undefined)('real evidence', () => {
  it('is there', () => {
    expect(present, `${folder} is absent; in CI it must be there`).toBe(true);
  });
  if (!present) return;

  const vectors = readTable();

  it('is all listed in its README', () => {
    const files = ['bundles', 'documents/enclave', 'documents/negative', 'documents/nitrotpm']
      .flatMap((part) => readdirSync(folder + part).map((name) => `${part}/${name}`))
      .sort();
    expect(vectors.map(({ file }) => file).sort()).toEqual(files);
    expect(files.length).toBeGreaterThan(25);
  });

  for (const provider of PROVIDERS)
    describe(`over ${provider.name}`, () => {
      const options = { now: 'document', provider, chainMemory: false } as const;

      it.each(vectors.map(({ file, expected }) => [file, expected] as const))(
        '%s: %s',
        async (file, expected) => {
          const evidence = evidenceOf(file);
          if (expected === 'verified') {
            const manifest = manifestOf(documentOf(evidence));
            expect(await inspectAttestation(evidence, manifest, options)).toMatchObject({
              verdict: 'verified',
            });
            await expect(verifyAttestation(evidence, manifest, options)).resolves.toBeDefined();
          } else {
            const report = await inspectAttestation(evidence, undefined, options);
            expect([report.verdict, report.code]).toEqual(['rejected', expected]);
          }
        },
      );
    });

  const [provider] = PROVIDERS;
  const options = { now: 'document', ...(provider && { provider }) } as const;
  const valid = vectors.filter(({ expected }) => expected === 'verified');

  it.each(valid.map(({ file }) => file))('%s: another image is refused', async (file) => {
    const evidence = evidenceOf(file);
    const other = manifestOf(documentOf(evidence), (hex) =>
      hex.replace(/.$/, (c) => (c === '1' ? '2' : '1')),
    );
    const report = await inspectAttestation(evidence, other, options);
    expect([report.verdict, report.code]).toEqual(['rejected', 'pcr.mismatch']);
  });

  it.each(valid.map(({ file }) => file))('%s: expired a day later', async (file) => {
    const evidence = evidenceOf(file);
    const atItsTime = await inspectAttestation(evidence, undefined, options);
    expect(atItsTime.verdict).toBe('unappraised');
    const later = new Date((atItsTime.time?.documentMs as number) + 86_400_000);
    const report = await inspectAttestation(evidence, undefined, { ...options, now: later });
    expect([report.verdict, report.code]).toEqual(['rejected', 'x509.expired']);
  });

  it('debug documents are authentic once debug mode is allowed', async () => {
    const debug = vectors.filter(({ expected }) => expected === 'pcr.debug-mode');
    expect(debug.length).toBeGreaterThan(5);
    for (const { file } of debug) {
      const report = await inspectAttestation(evidenceOf(file), undefined, {
        ...options,
        allowDebug: true,
      });
      expect(report.verdict, file).toBe('unappraised');
    }
  });

  it('the document inside the bundle with TPM2_Certify is good by itself', async () => {
    const bundle = evidenceOf('bundles/lockboot-nitro-20260201b.json');
    const document = documentOf(bundle);
    const report = await inspectAttestation(document, manifestOf(document), options);
    expect(report.verdict).toBe('verified');
  });
});
