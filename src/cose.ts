import { asciiBytes, type Bytes, concatBytes } from './bytes/bytes.js';
import { CborMap, type CborValue, decodeCbor, describeCbor } from './cbor.js';
import { ALGORITHMS } from './crypto/algorithms.js';
import type { Engine } from './crypto/engine.js';
import { type Flow, type MaybePromise, wait } from './crypto/flow.js';
import { AttestationError } from './result/attestation-error.js';
import type { Note } from './result/note.js';
import { grantProof, type Proof } from './trust.js';

/** A COSE_Sign1 envelope whose signature nobody has checked yet. All fields are views. */
export interface UnverifiedEnvelope {
  /** The protected header as received: this, not a re-encoding, is signed. */
  readonly protectedBytes: Uint8Array;
  readonly payload: Uint8Array;
  /** The payload as CBOR. */
  readonly content: CborValue;
  /** r || s, 96 bytes. */
  readonly signature: Uint8Array;
  /** Whether the CBOR tag 18 stood in front. */
  readonly tagged: boolean;
}

/** CBOR tag 18, COSE_Sign1 (RFC 9052, 4.2), in its one-byte form. */
const TAG_SIGN1 = 0xd2;
/** Header labels (RFC 9052, 3.1). */
const LABEL_ALG = 1;
const LABEL_CRIT = 2;
const MAX_PAYLOAD_BYTES = 16_384;

/**
 * Takes a COSE_Sign1 envelope apart (RFC 9052, 4.2; AWS: "Validate a NitroTPM Attestation
 * Document"). Throws `cbor.*` and `cose.*`; checks no signature.
 */
export function parseEnvelope(bytes: Uint8Array, note: Note): UnverifiedEnvelope {
  const tagged = bytes[0] === TAG_SIGN1;
  const value = decodeCbor(tagged ? bytes.subarray(1) : bytes, 'COSE_Sign1');
  if (!Array.isArray(value)) malformed('an array of four', describeCbor(value));
  const [protectedBytes, unprotected, payload, signature, ...more] = value as readonly CborValue[];
  if (value.length < 4 || more.length > 0)
    malformed('an array of four', `an array of ${value.length}`);
  if (!(protectedBytes instanceof Uint8Array))
    malformed('protected header as byte string', describeCbor(protectedBytes));
  if (!(unprotected instanceof CborMap))
    malformed('unprotected header as map', describeCbor(unprotected));
  if (!(payload instanceof Uint8Array)) malformed('payload as byte string', describeCbor(payload));
  if (!(signature instanceof Uint8Array))
    malformed('signature as byte string', describeCbor(signature));

  checkProtectedHeader(protectedBytes);
  if (payload.length === 0 || payload.length > MAX_PAYLOAD_BYTES)
    throw new AttestationError('cose.payload-size', {
      expected: `1 to ${MAX_PAYLOAD_BYTES} bytes`,
      actual: `${payload.length}`,
    });
  const content = decodeCbor(payload, 'payload');
  if (signature.length !== 2 * ALGORITHMS.ES384.coordinateBytes)
    throw new AttestationError('cose.signature-size', {
      expected: '96 bytes',
      actual: `${signature.length}`,
    });
  note(`COSE_Sign1 with ES384, payload of ${payload.length} bytes${tagged ? ', tagged' : ''}`);
  return { protectedBytes, payload, content, signature, tagged };
}

function checkProtectedHeader(protectedBytes: Uint8Array): void {
  // RFC 9052, 3: an empty header may be written as an empty byte string.
  const header =
    protectedBytes.length === 0
      ? new CborMap(new Map())
      : decodeCbor(protectedBytes, 'protected header');
  if (!(header instanceof CborMap)) malformed('protected header as map', describeCbor(header));
  if (header.has(LABEL_CRIT)) malformed('no critical headers', 'crit (RFC 9052, 3.1)');
  const algorithm = header.get(LABEL_ALG);
  if (algorithm !== ALGORITHMS.ES384.cose)
    throw new AttestationError('cose.algorithm-unsupported', {
      expected: `${ALGORITHMS.ES384.cose} (ES384)`,
      actual: header.has(LABEL_ALG) ? describeCbor(algorithm) : 'no algorithm',
    });
}

/** Starts the check of the envelope's signature by a key that is judged elsewhere. */
export function startEnvelopeSignature(
  envelope: UnverifiedEnvelope,
  publicKey: Uint8Array,
  engine: Engine,
): MaybePromise<boolean> {
  return engine.verify('ES384', publicKey, signedBytes(envelope), envelope.signature);
}

/** Judges what `startEnvelopeSignature` started. Throws `cose.signature-invalid`. */
export function* judgeEnvelopeSignature(
  started: MaybePromise<boolean>,
  note: Note,
): Flow<Proof<'cose'>> {
  if (!(yield* wait(started)))
    throw new AttestationError('cose.signature-invalid', {
      expected: 'a signature of the leaf certificate over the document as received',
      actual: 'one that does not verify',
    });
  note('signature (ECDSA P-384 with SHA-384) by the leaf certificate');
  return grantProof('cose');
}

/** The bytes that were signed: Sig_structure (RFC 9052, 4.4) with empty external data. */
export function signedBytes(envelope: UnverifiedEnvelope): Bytes {
  return concatBytes(
    Uint8Array.of(0x84, 0x6a),
    asciiBytes('Signature1'),
    byteStringHead(envelope.protectedBytes.length),
    envelope.protectedBytes,
    byteStringHead(0),
    byteStringHead(envelope.payload.length),
    envelope.payload,
  );
}

/** The shortest head of a CBOR byte string (RFC 8949, 4.2.1) of up to 65535 bytes. */
function byteStringHead(length: number): Uint8Array {
  if (length < 24) return Uint8Array.of(0x40 | length);
  if (length < 256) return Uint8Array.of(0x58, length);
  return Uint8Array.of(0x59, length >> 8, length & 0xff);
}

function malformed(expected: string, actual: string): never {
  throw new AttestationError('cose.malformed', { expected, actual });
}
