import { createHash, createPublicKey, verify } from 'node:crypto';
import { encodeBase64Url, encodeHex } from 'tee-verify/bytes';
import { expect } from 'vitest';
import { type LoadedKey, quote, readPublicArea } from '../../tpm/commands/keys.js';
import { readPcrs } from '../../tpm/commands/pcrs.js';
import { TPM_ALG } from '../../tpm/constants.js';
import { allPcrs } from '../../tpm/pcr-selection.js';
import type { TpmSession } from '../../tpm/session.js';
import type { TpmClient } from '../../tpm/tpm-client.js';
import { TpmResponseError } from '../../tpm/tpm-response-error.js';
import { decodeAttest } from '../../tpm/tpms-attest.js';
import { ecdsaToDer } from '../../tpm/tpmt-signature.js';

/** SHA-256 over the parts. */
export const SHA256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** The command must be refused with exactly this response code. */
export async function refused(work: Promise<unknown>, responseCode: number): Promise<void> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TpmResponseError)) throw error;
  expect(`0x${error.responseCode.toString(16)}`).toBe(`0x${responseCode.toString(16)}`);
}

/** Quotes the SHA-384 bank and checks everything about the quote with node:crypto. */
export async function checkQuote(
  client: TpmClient,
  key: LoadedKey,
  session: TpmSession,
  nonce: Uint8Array,
): Promise<void> {
  const selection = allPcrs(TPM_ALG.SHA384);
  const { attest, signature } = await quote(client, key, nonce, [selection], { session });
  const { values } = await readPcrs(client, selection);
  const { attested, extraData, qualifiedSigner } = decodeAttest(attest);
  const { qualifiedName } = await readPublicArea(client, key.handle);
  expect(encodeHex(qualifiedSigner)).toBe(encodeHex(qualifiedName));
  expect(encodeHex(extraData)).toBe(encodeHex(nonce));
  if (attested.type !== 'quote' || signature.type !== 'ecdsa') throw new Error('not a quote');
  expect(attested.pcrSelections).toEqual([selection]);
  expect(encodeHex(attested.pcrDigest)).toBe(encodeHex(SHA256(...values.values())));
  expect(verify('sha256', attest, publicKeyOf(key), ecdsaToDer(signature))).toBe(true);
}

export function publicKeyOf({ publicArea }: LoadedKey): ReturnType<typeof createPublicKey> {
  if (publicArea.type !== 'ecc') throw new Error('not an ECC key');
  return createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: encodeBase64Url(publicArea.x),
      y: encodeBase64Url(publicArea.y),
    },
  });
}
