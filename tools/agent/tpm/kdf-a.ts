import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { HASH_NAMES } from './constants.js';

/** HMAC with a TPM_ALG hash. */
export function tpmHmac(
  algorithm: number,
  key: Uint8Array,
  ...parts: readonly Uint8Array[]
): Bytes {
  const hmac = createHmac(HASH_NAMES[algorithm] as string, key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

/**
 * KDFa (Part 1, 11.4.10.2): SP 800-108 in counter mode. `bits` is a multiple of 8 here; the label
 * is ASCII and gets its terminating zero here.
 */
export function kdfA(
  algorithm: number,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Bytes {
  const length = bits / 8;
  const text = new TextEncoder().encode(`${label}\0`);
  const blocks: Uint8Array[] = [];
  for (let counter = 1, made = 0; made < length; counter++) {
    const block = tpmHmac(
      algorithm,
      key,
      bigEndian32(counter),
      text,
      contextU,
      contextV,
      bigEndian32(bits),
    );
    blocks.push(block);
    made += block.length;
  }
  return concatBytes(...blocks).slice(0, length);
}

/** Key and IV of a session's parameter encryption, AES-128-CFB (Part 1, 21.3). */
export function parameterCipher(
  algorithm: number,
  sessionValue: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
): { encrypt: (data: Uint8Array) => Bytes; decrypt: (data: Uint8Array) => Bytes } {
  const material = kdfA(algorithm, sessionValue, 'CFB', nonceNewer, nonceOlder, 256);
  const key = material.subarray(0, 16);
  const iv = material.subarray(16, 32);
  return {
    encrypt: (data) => new Uint8Array(createCipheriv('aes-128-cfb', key, iv).update(data)),
    decrypt: (data) => new Uint8Array(createDecipheriv('aes-128-cfb', key, iv).update(data)),
  };
}

/** Compares two HMACs in constant time. */
export function equalHmac(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** An authorisation value loses its trailing zero bytes inside a TPM (Part 1, 19.6.4.3). */
export function trimAuthValue(value: Uint8Array): Uint8Array {
  let length = value.length;
  while (length > 0 && value[length - 1] === 0) length--;
  return value.subarray(0, length);
}

function bigEndian32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
