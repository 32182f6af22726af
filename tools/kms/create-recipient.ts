import { createHash, generateKeyPair, type KeyObject } from 'node:crypto';
import { copyBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { openEnvelope } from './open-envelope.js';

/**
 * Makes the attestation document (COSE_Sign1) whose public_key is this SubjectPublicKeyInfo (DER).
 * On EC2 `attestWithNitroTpm`; in an enclave what talks to its NSM.
 */
export type Attester = (publicKey: Uint8Array) => Promise<Uint8Array>;

/** The receiving end of one attested call. */
export interface Recipient {
  /** For the `Recipient` of Decrypt, GenerateDataKey, GenerateDataKeyPair, GenerateRandom and others. */
  readonly parameter: {
    readonly AttestationDocument: Uint8Array;
    readonly KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256';
  };
  /**
   * Opens the `CiphertextForRecipient` of the answer. Works once: the private key is let go of,
   * whatever comes out. A second call is a TypeError.
   * @throws ToolError `cms.*`
   */
  open(ciphertextForRecipient: Uint8Array): Uint8Array;
}

/** KMS takes no larger document. */
const MAX_DOCUMENT_BYTES = 262_144;

/**
 * Makes a fresh RSA-2048 key pair and has the public key attested, for back ends that make their
 * calls themselves. The private key never leaves this process; JavaScript cannot overwrite it, so
 * it is gone when the garbage collector and OpenSSL free it.
 * @throws ToolError `kms.attestation-refused` for a document that KMS would not take; what `attest`
 *   throws
 */
export async function createRecipient(attest: Attester): Promise<Recipient> {
  const { publicKey, privateKey } = await makeKeyPair();
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const keyId = createHash('sha256').update(spki).digest();
  const document = copyBytes(await attest(spki));
  if (document.length === 0 || document.length > MAX_DOCUMENT_BYTES)
    throw new ToolError('kms.attestation-refused', {
      expected: `a document of 1 to ${MAX_DOCUMENT_BYTES} bytes`,
      actual: `${document.length}`,
    });
  let unused: KeyObject | undefined = privateKey;
  return {
    parameter: { AttestationDocument: document, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' },
    open(ciphertextForRecipient) {
      if (unused === undefined) throw new TypeError('a recipient opens one answer only');
      const key = { privateKey: unused, keyId };
      unused = undefined;
      return openEnvelope(ciphertextForRecipient, key);
    },
  };
}

function makeKeyPair(): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: 2048 }, (error, publicKey, privateKey) => {
      if (error === null) resolve({ publicKey, privateKey });
      else reject(error);
    });
  });
}
