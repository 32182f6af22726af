import type {
  DecryptCommandInput,
  GenerateDataKeyCommandInput,
  GenerateRandomCommandInput,
  KMSClient,
} from '@aws-sdk/client-kms';
import { copyBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { type Attester, createRecipient, type Recipient } from './create-recipient.js';
import { serviceError } from './service-error.js';

/** Options of every attested call. */
export interface AttestedCallOptions {
  /** Ends the call. The attestation has its own (`attestWithNitroTpm`). */
  readonly signal?: AbortSignal | undefined;
}

/** What an attested Decrypt gives. */
export interface DecryptedSecret {
  /** Yours to overwrite (`fill(0)`) when it is no longer needed. */
  readonly plaintext: Uint8Array;
  /** ARN of the key that was used. */
  readonly keyId: string;
}

/** What an attested GenerateDataKey gives. */
export interface AttestedDataKey extends DecryptedSecret {
  /** The same key, encrypted by the KMS key: what to store. */
  readonly ciphertextBlob: Uint8Array;
}

/**
 * kms:Decrypt for this machine only: a fresh RSA key, attested, and the answer opened with it.
 * `KeyId` must be named, and the answer must say that this key was used.
 * @throws ToolError `kms.*`, `cms.*`, and what `attest` throws
 */
export async function decryptAttested(
  client: KMSClient,
  input: Omit<DecryptCommandInput, 'Recipient'> & { readonly KeyId: string },
  attest: Attester,
  options: AttestedCallOptions = {},
): Promise<DecryptedSecret> {
  const [{ DecryptCommand }, recipient] = await prepare(attest);
  const answer = await sent(() =>
    client.send(new DecryptCommand({ ...input, Recipient: recipient.parameter }), abort(options)),
  );
  const plaintext = open(recipient, answer);
  return clearedUnless(plaintext, () => ({ plaintext, keyId: sameKey(input.KeyId, answer.KeyId) }));
}

/**
 * kms:GenerateDataKey for this machine only: a new data key, and its encrypted copy.
 * @throws ToolError `kms.*`, `cms.*`, and what `attest` throws
 */
export async function generateDataKeyAttested(
  client: KMSClient,
  input: Omit<GenerateDataKeyCommandInput, 'Recipient'> & { readonly KeyId: string },
  attest: Attester,
  options: AttestedCallOptions = {},
): Promise<AttestedDataKey> {
  const [{ GenerateDataKeyCommand }, recipient] = await prepare(attest);
  const answer = await sent(() =>
    client.send(
      new GenerateDataKeyCommand({ ...input, Recipient: recipient.parameter }),
      abort(options),
    ),
  );
  const plaintext = open(recipient, answer);
  const expected = input.NumberOfBytes ?? (input.KeySpec === 'AES_128' ? 16 : 32);
  demandLength(plaintext, expected);
  return clearedUnless(plaintext, () => {
    const { CiphertextBlob } = answer;
    if (CiphertextBlob === undefined || CiphertextBlob.length === 0)
      throw incomplete('CiphertextBlob');
    const keyId = sameKey(input.KeyId, answer.KeyId);
    return { plaintext, keyId, ciphertextBlob: copyBytes(CiphertextBlob) };
  });
}

/**
 * kms:GenerateRandom for this machine only: bytes of KMS's hardware.
 * @throws ToolError `kms.*`, `cms.*`, and what `attest` throws
 */
export async function generateRandomAttested(
  client: KMSClient,
  input: Omit<GenerateRandomCommandInput, 'Recipient'> & { readonly NumberOfBytes: number },
  attest: Attester,
  options: AttestedCallOptions = {},
): Promise<Uint8Array> {
  const [{ GenerateRandomCommand }, recipient] = await prepare(attest);
  const answer = await sent(() =>
    client.send(
      new GenerateRandomCommand({ ...input, Recipient: recipient.parameter }),
      abort(options),
    ),
  );
  const random = open(recipient, answer);
  demandLength(random, input.NumberOfBytes);
  return random;
}

/** The SDK loads while the TPM works. */
function prepare(attest: Attester): Promise<[typeof import('@aws-sdk/client-kms'), Recipient]> {
  return Promise.all([import('@aws-sdk/client-kms'), createRecipient(attest)]);
}

function abort({ signal }: AttestedCallOptions): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

async function sent<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw serviceError(cause);
  }
}

interface Answer {
  readonly Plaintext?: Uint8Array | undefined;
  readonly CiphertextForRecipient?: Uint8Array | undefined;
}

/** The secret of an answer; one that came in the clear is refused and overwritten. */
function open(recipient: Recipient, { Plaintext, CiphertextForRecipient }: Answer): Uint8Array {
  if (Plaintext !== undefined && Plaintext.length > 0) {
    Plaintext.fill(0);
    throw new ToolError('kms.recipient-ignored', {
      expected: 'CiphertextForRecipient and no Plaintext',
      actual: 'a Plaintext',
    });
  }
  if (CiphertextForRecipient === undefined || CiphertextForRecipient.length === 0)
    throw incomplete('CiphertextForRecipient');
  return recipient.open(CiphertextForRecipient);
}

/**
 * The ARN of the answer, which must be of the key asked for. An alias says nothing about the key:
 * then only its account and region are compared, when it is an ARN.
 */
function sameKey(asked: string, used: string | undefined): string {
  if (used === undefined) throw incomplete('KeyId');
  const isAlias = /(^|:)alias\//.test(asked);
  const same = isAlias
    ? !asked.startsWith('arn:') || used.startsWith(`${asked.replace(/alias\/.*$/, '')}key/`)
    : asked.startsWith('arn:')
      ? used === asked
      : used === asked || used.endsWith(`:key/${asked}`);
  if (!same) throw new ToolError('kms.key-mismatch', { expected: asked, actual: used });
  return used;
}

/** A secret that is not handed out is overwritten. */
function clearedUnless<T>(secret: Uint8Array, work: () => T): T {
  try {
    return work();
  } catch (error) {
    secret.fill(0);
    throw error;
  }
}

function demandLength(secret: Uint8Array, expected: number): void {
  if (secret.length === expected) return;
  const actual = `${secret.length}`;
  secret.fill(0);
  throw new ToolError('kms.answer-incomplete', { expected: `${expected} bytes`, actual });
}

function incomplete(field: string): ToolError {
  return new ToolError('kms.answer-incomplete', { expected: field, actual: 'none' });
}
