import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { concatBytes } from 'tee-verify/bytes';
import type { KeyPolicy } from '../kms/policy-document.js';

/** A symmetric key of the emulator. */
export interface EmulatedKey {
  readonly id: string;
  readonly arn: string;
  policy: KeyPolicy;
  readonly material: Uint8Array;
}

/** The emulator's keys and their ciphertexts, which are its own: no real KMS reads them. */
export class KmsKeys {
  readonly #keys = new Map<string, EmulatedKey>();
  readonly #arnPrefix: string;

  constructor(region: string, accountId: string) {
    this.#arnPrefix = `arn:aws:kms:${region}:${accountId}:key/`;
  }

  create(policy: KeyPolicy, id: string = randomUUID()): EmulatedKey {
    const key = { id, arn: `${this.#arnPrefix}${id}`, policy, material: randomBytes(32) };
    this.#keys.set(id, key);
    return key;
  }

  /** By ID or ARN. */
  find(name: string): EmulatedKey | undefined {
    return this.#keys.get(
      name.startsWith(this.#arnPrefix) ? name.slice(this.#arnPrefix.length) : name,
    );
  }

  /** The key that made a ciphertext. */
  ofCiphertext(blob: Uint8Array): EmulatedKey | undefined {
    return this.#keys.get(new TextDecoder().decode(blob.subarray(2, 2 + (blob[1] ?? 0))));
  }
}

const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Version, ID of the key with its length, IV, AES-256-GCM ciphertext, tag. */
export function encryptWith(
  key: EmulatedKey,
  plaintext: Uint8Array,
  context: EncryptionContext,
): Uint8Array {
  const id = new TextEncoder().encode(key.id);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.material, iv);
  cipher.setAAD(contextBytes(context));
  const sealed = concatBytes(cipher.update(plaintext), cipher.final());
  return concatBytes(Uint8Array.of(VERSION, id.length), id, iv, sealed, cipher.getAuthTag());
}

/** The plaintext, or undefined when the key, the ciphertext or the context is not the right one. */
export function decryptWith(
  key: EmulatedKey,
  blob: Uint8Array,
  context: EncryptionContext,
): Uint8Array | undefined {
  const sealed = blob.subarray(2 + (blob[1] ?? 0));
  if (blob[0] !== VERSION || sealed.length < IV_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key.material, sealed.subarray(0, IV_BYTES));
  decipher.setAAD(contextBytes(context));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return concatBytes(decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), decipher.final());
  } catch {
    return undefined;
  }
}

/** Pairs that a ciphertext is bound to. */
export type EncryptionContext = Readonly<Record<string, string>>;

function contextBytes(context: EncryptionContext): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(Object.entries(context).sort()));
}
