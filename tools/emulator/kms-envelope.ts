import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { concatBytes, decodeHex } from 'tee-verify/bytes';

/** What a test may want to be otherwise than AWS KMS writes it. */
export interface EnvelopeOptions {
  /** Bytes of an OCTET STRING of the encryptedContent; default: all in one, as KMS does. */
  readonly chunkBytes?: number;
}

const hex = (text: string): Uint8Array => decodeHex(text) as Uint8Array;
const OID_ENVELOPED_DATA = hex('06092a864886f70d010703');
const OID_DATA = hex('06092a864886f70d010701');
const OID_AES_256_CBC = hex('060960864801650304012a');
const VERSION_2 = hex('020102');
/** RSAES-OAEP with SHA-256 and MGF1 with SHA-256, as KMS writes it: with NULL parameters. */
const RSAES_OAEP_SHA_256 = hex(
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500',
);
const END_OF_CONTENTS = hex('0000');

/**
 * Wraps a plaintext for the holder of an RSA key, as AWS KMS does: CMS EnvelopedData in BER with
 * indefinite lengths outside and definite ones inside (RFC 5652; spec of real answers).
 */
export function wrapForRecipient(
  spki: Uint8Array,
  plaintext: Uint8Array,
  { chunkBytes = Number.POSITIVE_INFINITY }: EnvelopeOptions = {},
): Uint8Array {
  const [contentKey, iv] = [randomBytes(32), randomBytes(16)];
  const encryptedKey = publicEncrypt(
    {
      key: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
    },
    contentKey,
  );
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv);
  const content = concatBytes(cipher.update(plaintext), cipher.final());
  const keyId = createHash('sha256').update(spki).digest();
  const recipient = definite(
    0x30,
    VERSION_2,
    definite(0x80, keyId),
    RSAES_OAEP_SHA_256,
    definite(0x04, encryptedKey),
  );
  const algorithm = definite(0x30, OID_AES_256_CBC, definite(0x04, iv));
  const enveloped = indefinite(
    0x30,
    VERSION_2,
    definite(0x31, recipient),
    indefinite(0x30, OID_DATA, algorithm, indefinite(0xa0, ...chunks(content, chunkBytes))),
  );
  return indefinite(0x30, OID_ENVELOPED_DATA, indefinite(0xa0, enveloped));
}

function chunks(content: Uint8Array, chunkBytes: number): Uint8Array[] {
  const size = Math.min(chunkBytes, content.length);
  return Array.from({ length: Math.ceil(content.length / size) }, (_, i) =>
    definite(0x04, content.subarray(i * size, (i + 1) * size)),
  );
}

/** X.690, 8.1.3.3 to 8.1.3.5. */
function definite(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const contents = concatBytes(...parts);
  const { length } = contents;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...size), contents);
}

/** X.690, 8.1.3.6. */
function indefinite(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(Uint8Array.of(tag, 0x80), ...parts, END_OF_CONTENTS);
}
