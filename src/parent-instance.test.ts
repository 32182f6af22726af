import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspectAttestation, type VerifyOptions } from 'tee-verify';
import { parentInstancePcr } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { enclavePcrs, mintDocument, mintPki, withPcrs } from '../test-vectors/mint/index.js';
import { decodeHex } from './bytes/hex.js';

const REAL = fileURLToPath(new URL('../../shared/vectors/documents/enclave/', import.meta.url));
const pki = await mintPki({ now: new Date('2026-03-01T12:00:00Z') });
const options: VerifyOptions = {
  now: 'document',
  trustAnchors: [pki.anchorPem],
  allowDebug: true,
};
const PARENT = 'i-0123456789abcdef0';
const OF_PARENT = decodeHex(parentInstancePcr(PARENT)) as Uint8Array;

async function claimed(
  pcr4: Uint8Array | undefined,
  moduleId = `${PARENT}-enc0123456789abcdef`,
): Promise<string | undefined> {
  const pcrs = withPcrs(enclavePcrs(), { 4: pcr4 });
  const document = await mintDocument(pki, { platform: 'enclave', pcrs, moduleId });
  const { claims, code } = await inspectAttestation(document, undefined, options);
  expect(code).toBeUndefined();
  return claims?.parentInstance;
}

describe('parentInstance', () => {
  it('says whether PCR4 is that of the instance in module_id', async () => {
    expect(await claimed(OF_PARENT)).toBe('matches');
    expect(await claimed(OF_PARENT, 'i-0123456789abcdef1-enc0123456789abcdef')).toBe('differs');
    expect(await claimed(new Uint8Array(48).fill(7))).toBe('differs');
    expect(await claimed(new Uint8Array(48))).toBe('absent');
    expect(await claimed(undefined)).toBe('absent');
    expect(await claimed(OF_PARENT, 'another-form')).toBe('absent');
  });

  it('is not said of NitroTPM documents', async () => {
    const { claims } = await inspectAttestation(await mintDocument(pki), undefined, options);
    expect(claims).not.toHaveProperty('parentInstance');
  });

  const present = existsSync(REAL);
  if (!present && process.env.CI !== undefined) throw new Error(`missing: ${REAL}`);
  if (!present) console.error(`SKIPPED: real enclave documents, for want of ${REAL}`);

  it.skipIf(!present)('agrees in real documents', async () => {
    const names = readdirSync(REAL);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) {
      const document = readFileSync(`${REAL}${name}`);
      const { claims } = await inspectAttestation(document, undefined, {
        now: 'document',
        allowDebug: true,
      });
      expect(claims?.parentInstance, name).toBe('matches');
    }
  });
});
