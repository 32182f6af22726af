import { constants, createDecipheriv, type KeyObject, privateDecrypt } from 'node:crypto';
import { encodeHex, equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { parseEnvelopedData } from './enveloped-data.js';

/** The RSA key that an envelope must be for. */
export interface EnvelopeKey {
  readonly privateKey: KeyObject;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly keyId: Uint8Array;
}

/**
 * Opens a `CiphertextForRecipient` with the key it is for. Copies that this makes on the way are
 * overwritten; the answer is the caller's to clear.
 *
 * Whatever fails in decrypting has one code and one text: who can send envelopes must not learn
 * from the answer how far a forged one came.
 * @throws ToolError `cms.*`
 */
export function openEnvelope(bytes: Uint8Array, key: EnvelopeKey): Uint8Array<ArrayBuffer> {
  const { recipientKeyId, encryptedKey, iv, encryptedContent } = parseEnvelopedData(bytes);
  if (!equalBytes(recipientKeyId, key.keyId))
    throw new ToolError('cms.recipient-mismatch', {
      expected: encodeHex(key.keyId),
      actual: encodeHex(recipientKeyId),
    });
  const secrets: Uint8Array[] = [];
  const clearLater = <T extends Uint8Array>(secret: T): T => {
    secrets.push(secret);
    return secret;
  };
  try {
    const contentKey = clearLater(
      privateDecrypt(
        {
          key: key.privateKey,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: 'sha256', // of MGF1, too
        },
        encryptedKey,
      ),
    );
    const decipher = createDecipheriv('aes-256-cbc', contentKey, iv);
    const start = clearLater(decipher.update(encryptedContent));
    const end = clearLater(decipher.final());
    const plaintext = new Uint8Array(start.length + end.length);
    plaintext.set(start);
    plaintext.set(end, start.length);
    return plaintext;
  } catch {
    // Not even as a cause: OpenSSL's reason tells OAEP from padding.
    throw new ToolError('cms.decrypt-failed');
  } finally {
    for (const secret of secrets) secret.fill(0);
  }
}
