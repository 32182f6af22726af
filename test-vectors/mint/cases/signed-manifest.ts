import { CompactSign, exportJWK } from 'jose';
import { manifestFor } from '../bundle.js';
import { generateKeys } from '../ecdsa.js';
import { nitroTpmPcrs } from '../pcrs.js';
import { type CaseKit, documentInput, type Expectation } from '../vector-case.js';

/** Manifests signed as a JWS (RFC 7515), and the keys that may sign them. */
export async function signedManifestCases(kit: CaseKit): Promise<void> {
  const publisher = await generateKeys('P-384');
  const stranger = await generateKeys('P-384');
  const manifest = manifestFor(nitroTpmPcrs());
  const keys = [await exportJWK(publisher.publicKey)];
  const document = documentInput(await kit.mintDocument());
  const nonce = Buffer.from(kit.nonce).toString('hex');
  const row = (
    expected: Expectation,
    id: string,
    title: string,
    attacker: string,
    input: unknown,
    manifestKeys: readonly object[] | undefined = keys,
  ): void =>
    kit.add(expected, [`manifest-signed-${id}`, title, attacker], {
      input: document,
      manifest: input,
      options: { nonce, ...(manifestKeys.length > 0 && { manifestKeys }) },
    });
  const signed = (key: CryptoKey, typ = 'tee-manifest+jws'): Promise<string> =>
    new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
      .setProtectedHeader({ alg: 'ES384', typ })
      .sign(key);

  const good = await signed(publisher.privateKey);
  row('verified', 'good', 'compact JWS by the given key', 'none', good);
  row('verified', 'second-key', 'the signer is the second of two keys', 'none', good, [
    await exportJWK(stranger.publicKey),
    ...keys,
  ]);
  const swapper = 'who replaces the manifest on its way with one that accepts their image';
  row(
    'manifest.signature-invalid',
    'stranger',
    'JWS by another key',
    swapper,
    await signed(stranger.privateKey),
  );
  const [header, , signature] = good.split('.');
  const evil = Buffer.from(JSON.stringify(manifestFor(nitroTpmPcrs('evil image')))).toString(
    'base64url',
  );
  row(
    'manifest.signature-invalid',
    'payload',
    'payload of the JWS replaced',
    swapper,
    `${header}.${evil}.${signature}`,
  );
  const none = Buffer.from('{"alg":"none","typ":"tee-manifest+jws"}').toString('base64url');
  row(
    'manifest.signature-invalid',
    'alg-none',
    'JWS with algorithm none',
    swapper,
    `${none}.${evil}.${signature}`,
  );
  row(
    'manifest.signature-invalid',
    'typ',
    'JWS of another type by the right key',
    'who has the publisher sign a token for another purpose',
    await signed(publisher.privateKey, 'JWT'),
  );
  row('manifest.keys-missing', 'no-keys', 'JWS, but no keys were given', swapper, good, []);
  row(
    'manifest.signature-required',
    'unsigned',
    'keys were given, the manifest is not signed',
    swapper,
    manifest,
  );
}
