import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { type Bytes, copyBytes, encodeBase64Url } from 'tee-verify/bytes';
import { ToolError } from '../../../common/tool-error.js';
import { DIGEST_SIZES, HASH_NAMES, TPM_ALG, TPM_CC, TPM_HT, TPM_RH, TPM_SE } from '../constants.js';
import { readStructure, refuse, written } from '../read-structure.js';
import { HmacSession, sessionKeyOf } from '../session.js';
import type { TpmClient } from '../tpm-client.js';
import { type RsaPublic, writeSymmetric } from '../tpmt-public.js';
import { checkHandleType, type LoadedKey } from './keys.js';

const SALT_SIZE = 32;

/** Options of `startHmacSession`. */
export interface HmacSessionOptions {
  /** TPM_ALG of the session. Default SHA-512, as AWS's tool has it. */
  readonly hashAlgorithm?: number;
}

/**
 * TPM2_StartAuthSession (Part 3, 11.1): an HMAC session salted with a secret that only the holder
 * of `saltKey` (an RSA decryption key of the TPM) can read, with AES-128-CFB for parameters.
 * @throws ToolError `tpm.unsupported` when the key is not RSA
 */
export async function startHmacSession(
  client: TpmClient,
  saltKey: LoadedKey,
  { hashAlgorithm = TPM_ALG.SHA512 }: HmacSessionOptions = {},
): Promise<HmacSession> {
  if (saltKey.publicArea.type !== 'rsa')
    throw new ToolError('tpm.unsupported', {
      expected: 'an RSA key to salt the session',
      actual: 'an ECC key',
    });
  const nonceSize = DIGEST_SIZES[hashAlgorithm] as number;
  const salt = new Uint8Array(randomBytes(SALT_SIZE));
  const nonceCaller = new Uint8Array(randomBytes(nonceSize));
  const { handle, parameters } = await client.execute({
    code: TPM_CC.StartAuthSession,
    handles: [saltKey.handle, TPM_RH.NULL],
    returnsHandle: true,
    parameters: written((writer) => {
      writer.sized16(nonceCaller).sized16(encryptSalt(saltKey.publicArea as RsaPublic, salt));
      writer.u8(TPM_SE.HMAC);
      writeSymmetric(writer, { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB });
      writer.u16(hashAlgorithm);
    }),
  });
  try {
    checkHandleType(handle, TPM_HT.LOADED_SESSION);
    const nonceTpm = readStructure(
      parameters,
      'StartAuthSession response',
      (reader) => {
        const nonce = copyBytes(reader.sized16('nonceTPM', 64));
        if (nonce.length < 16) refuse(reader, 'nonceTPM', 'at least 16 bytes', `${nonce.length}`);
        return nonce;
      },
      'tpm.response-malformed',
    );
    const sessionKey = sessionKeyOf(hashAlgorithm, salt, nonceTpm, nonceCaller);
    return new HmacSession({ handle, hashAlgorithm, sessionKey, nonceTpm });
  } catch (error) {
    client.markBroken();
    throw error;
  }
}

/** RSAES-OAEP with the key's name algorithm and the label "SECRET" (Part 1, B.10.2). */
function encryptSalt(key: RsaPublic, salt: Uint8Array): Bytes {
  const exponent = key.exponent === 0 ? 65537 : key.exponent;
  const exponentBytes = written((writer) => writer.u32(exponent));
  const from = exponentBytes.findIndex((byte) => byte !== 0);
  try {
    const publicKey = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'RSA',
        n: encodeBase64Url(key.modulus),
        e: encodeBase64Url(exponentBytes.subarray(from)),
      },
    });
    return new Uint8Array(
      publicEncrypt(
        {
          key: publicKey,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: HASH_NAMES[key.nameAlgorithm] ?? 'sha256',
          oaepLabel: new TextEncoder().encode('SECRET\0'),
        },
        salt,
      ),
    );
  } catch (cause) {
    throw new ToolError('tpm.response-malformed', {
      expected: 'a usable RSA key',
      actual: 'one that cannot encrypt',
      cause,
    });
  }
}
