import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createNobleProvider } from '../crypto/choose-provider.js';
import { createEngine } from '../crypto/engine.js';
import { runFlow } from '../crypto/flow.js';
import { describeManifest } from '../proven-claims.js';
import { expectRejection, notes, rejectionOf } from '../test-support/rejection.js';
import { createSigner } from './create-signer.js';
import { loadManifest } from './load-manifest.js';
import type { ManifestInput } from './parse-manifest.js';
import { signManifest } from './sign-manifest.js';
import type { ManifestKeys } from './signed-manifest.js';

const MANIFEST = { PCR4: 'a1'.repeat(48), PCR12: 'b2'.repeat(48), PCR0: 'c3'.repeat(48) };
const TEXT = `${JSON.stringify(MANIFEST, undefined, 1)}\n`;
const engine = createEngine('noble', createNobleProvider());
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function hashOf(input: ManifestInput, keys?: ManifestKeys): Promise<string> {
  const loaded = await runFlow(loadManifest(input, keys, false, notes().note));
  return (await runFlow(describeManifest(loaded, false, engine, 'noble'))).sha256;
}

describe('the hash of a manifest', () => {
  it('is that of the file, of an object its JSON, and signing does not change it', async () => {
    expect(await hashOf(TEXT)).toBe(sha256(TEXT));
    expect(await hashOf(new TextEncoder().encode(TEXT))).toBe(sha256(TEXT));
    expect(await hashOf(MANIFEST)).toBe(sha256(JSON.stringify(MANIFEST)));
    const { privateKey, publicKey } = await crypto.subtle.generateKey(
      { name: 'ECDSA', namedCurve: 'P-256' },
      true,
      ['sign', 'verify'],
    );
    const jwk = async (key: CryptoKey) => (await crypto.subtle.exportKey('jwk', key)) as never;
    const signer = await createSigner(await jwk(privateKey));
    const keys = [await jwk(publicKey)];
    for (const form of ['compact', 'json'] as const)
      expect(await hashOf(await signManifest(TEXT, signer, { form }), keys)).toBe(sha256(TEXT));
  });

  it('an object without JSON has a code', async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const set = { label: 'a', pcrs: { '4': 'a1'.repeat(48), '12': 'b2'.repeat(48) } };
    const manifest = {
      $schema: cyclic,
      version: 1,
      platform: 'nitrotpm',
      hashAlgorithm: 'SHA384',
      measurementSets: [set],
    };
    expectRejection(await rejectionOf(hashOf(manifest)), 'manifest.malformed');
  });
});

describe('a manifest that was read before', () => {
  it('is the same for the same text, and hashed once by each provider', async () => {
    const load = (input: ManifestInput) =>
      runFlow(loadManifest(input, undefined, false, notes().note));
    const loaded = await load(TEXT);
    expect(await load(TEXT)).toBe(loaded);
    expect(await load(`${TEXT} `)).not.toBe(loaded);
    expect(await load(new TextEncoder().encode(TEXT))).not.toBe(loaded);

    let calls = 0;
    const counting = createEngine('counting', {
      ...createNobleProvider(),
      digest: async (_algorithm, data) => new Uint8Array(32).fill(++calls + data.length * 0),
    });
    const describeWith = async (scope: string) =>
      (await runFlow(describeManifest(loaded, false, counting, scope))).sha256;
    expect(await describeWith('first')).toBe('01'.repeat(32));
    expect(await describeWith('first')).toBe('01'.repeat(32));
    // What one provider found is not reported for another.
    expect(await describeWith('second')).toBe('02'.repeat(32));
  });

  it('is judged anew: completeness, and that nobody asked for a signature', async () => {
    const partial = JSON.stringify({ PCR4: 'a1'.repeat(48) });
    const load = (allowPartial: boolean, keys?: ManifestKeys) =>
      runFlow(loadManifest(partial, keys, allowPartial, notes().note));
    await load(true);
    expectRejection(await rejectionOf(load(false)), 'manifest.incomplete');
    expect(await rejectionOf(load(true, []))).toMatchObject({
      code: 'manifest.signature-required',
    });
  });

  it('is not remembered when it was refused, or signed without keys to check it', async () => {
    for (const [text, code] of [
      ['{"PCR4": "00"}', 'manifest.malformed'],
      ['{"payload": "", "signatures": []}', 'manifest.keys-missing'],
    ] as const)
      for (let i = 0; i < 2; i++)
        expect(
          await rejectionOf(runFlow(loadManifest(text, undefined, true, notes().note))),
        ).toMatchObject({ code });
  });
});
