import { concatBytes, equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { ALGORITHMS } from '../crypto/algorithms.js';
import { isPointOnCurve } from '../crypto/curve.js';
import type { Engine } from '../crypto/engine.js';
import { type Flow, type MaybePromise, wait } from '../crypto/flow.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import { rawSignature } from '../x509/der-signature.js';
import { parseQuote, type QuoteInfo } from './attest.js';
import { TPM } from './constants.js';
import { checkAttestationKey, parseEccPublic } from './ecc-public.js';

/** A quote that anybody may have written. */
export interface UnverifiedQuote {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** DER ECDSA signature over SHA-256 of `attest`. */
  readonly signature: Uint8Array;
  /** The attestation key the sender names: 04 || x || y on P-256. */
  readonly ak: Uint8Array;
  /** TPMT_PUBLIC of the attestation key, when the sender included it. */
  readonly akPublic: Uint8Array | undefined;
}

/** What a quote is checked against. All of it comes from the verified document. */
export interface QuoteBinding {
  readonly publicKey: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
}

/** A quote whose key, signature, nonce and PCRs agree with the verified document. */
export interface VerifiedQuote extends QuoteInfo {
  readonly akPoint: Uint8Array;
  /**
   * `claimed`: a TPMT_PUBLIC with the right attributes came along. It is not signed by AWS, so it
   * is the measured software's word. `unknown`: none came along.
   */
  readonly akAttributes: 'claimed' | 'unknown';
  readonly quotedPcrs: readonly number[];
}

/** Checks of a quote that run while the document is still being judged. */
export interface StartedQuote {
  readonly signature: MaybePromise<boolean>;
  /** What a quote over every PCR of the document has for a digest. */
  readonly digest: MaybePromise<Uint8Array>;
}

/**
 * Starts the check of the quote's signature by the key that the sender names, so that it runs beside
 * the document's. Whether that is the right key is for `verifyQuote`, which also says what is wrong
 * with a signature that could not be started.
 */
export function startQuote(
  quote: UnverifiedQuote | undefined,
  pcrs: QuoteBinding['pcrs'],
  engine: Engine,
): StartedQuote | undefined {
  try {
    return (
      quote && {
        signature: engine.verify('ES256', quote.ak, quote.attest, readSignature(quote)),
        digest: digestOf(pcrs, engine),
      }
    );
  } catch (error) {
    if (error instanceof AttestationError && error.step === 'quote') return undefined;
    throw error;
  }
}

/** The PCRs in ascending order, as a quote that selects all of them digests them. */
function digestOf(pcrs: QuoteBinding['pcrs'], engine: Engine): MaybePromise<Uint8Array> {
  const values = ascendingIndices(pcrs).map((index) => pcrs.get(index) as Uint8Array);
  return engine.digest('SHA-256', concatBytes(...values));
}

function ascendingIndices(pcrs: QuoteBinding['pcrs']): readonly number[] {
  return [...pcrs.keys()].sort((a, b) => a - b);
}

function readSignature(quote: UnverifiedQuote): Uint8Array {
  const { coordinateBytes } = ALGORITHMS.ES256;
  return rawSignature(quote.signature, coordinateBytes, 'quote', 'quote.signature-malformed');
}

/**
 * Checks a TPM quote against the verified document (TPM 2.0 Library, Part 1, 31; Part 2, 10.12):
 * the key is the document's public_key, it signed, the structure is a quote, its nonce is the
 * document's, and its digest is that of the document's PCRs. Throws `quote.*`.
 */
export function* verifyQuote(
  quote: UnverifiedQuote | undefined,
  document: QuoteBinding,
  engine: Engine,
  note: Note,
  started?: StartedQuote,
): Flow<VerifiedQuote> {
  if (quote === undefined) throw new AttestationError('quote.missing');
  const akAttributes = checkBinding(quote, document.publicKey, note);

  const signature = readSignature(quote);
  const valid = started?.signature ?? engine.verify('ES256', quote.ak, quote.attest, signature);
  if (!(yield* wait(valid)))
    reject(
      'quote.signature-invalid',
      `a signature of the key ${encodeHex(quote.ak.subarray(0, 9))}…`,
      'one that does not verify',
    );
  note('signature (ECDSA P-256 with SHA-256) by the attestation key');

  const info = parseQuote(quote.attest);
  note('TPM-generated quote (ff544347, 8018)');

  const nonce = document.nonce ?? new Uint8Array(0);
  if (!equalBytes(info.extraData, nonce))
    reject(
      'quote.nonce-mismatch',
      `the document's nonce ${encodeHex(nonce) || '(none)'}`,
      encodeHex(info.extraData) || '(none)',
    );
  note('nonce equals the nonce of the document');

  const quotedPcrs = checkSelection(info, document.pcrs);
  const digest = yield* wait(started?.digest ?? digestOf(document.pcrs, engine));
  if (!equalBytes(digest, info.pcrDigest))
    reject(
      'quote.pcr-digest-mismatch',
      `${encodeHex(digest)} (from the document's PCRs)`,
      encodeHex(info.pcrDigest) || 'an empty digest',
    );
  note(`digest over ${quotedPcrs.length} PCRs of the document`);
  return { ...info, akPoint: quote.ak, akAttributes, quotedPcrs };
}

/** The document's public_key is what ties the TPM's key to AWS's signature. */
function checkBinding(
  quote: UnverifiedQuote,
  publicKey: Uint8Array | undefined,
  note: Note,
): VerifiedQuote['akAttributes'] {
  if (publicKey === undefined || publicKey.length === 0)
    reject('quote.ak-not-bound', 'public_key in the document', 'none');
  if (!equalBytes(quote.ak, publicKey))
    reject(
      'quote.ak-mismatch',
      `the document's public_key ${encodeHex(publicKey.subarray(0, 17))}…`,
      `${encodeHex(quote.ak.subarray(0, 17))}…`,
    );
  if (!isPointOnCurve('P-256', quote.ak))
    reject('quote.ak-malformed', 'a point on P-256', `${encodeHex(quote.ak.subarray(0, 17))}…`);
  note('attestation key equals public_key of the document');
  if (quote.akPublic === undefined) return 'unknown';
  const key = parseEccPublic(quote.akPublic);
  if (!equalBytes(key.point, quote.ak))
    reject(
      'quote.ak-mismatch',
      'TPMT_PUBLIC of the same key',
      `${encodeHex(key.point.subarray(0, 17))}…`,
    );
  checkAttestationKey(key);
  note('TPMT_PUBLIC: restricted signing key, fixed to its TPM (as the sender claims)');
  return 'claimed';
}

/** One selection, the SHA-384 bank, and exactly the PCRs that the document proves. */
function checkSelection(info: QuoteInfo, pcrs: QuoteBinding['pcrs']): readonly number[] {
  const [selection, ...more] = info.selections;
  const expected = ascendingIndices(pcrs);
  const isSame =
    selection !== undefined &&
    more.length === 0 &&
    selection.hash === TPM.ALG_SHA384 &&
    selection.indices.length === expected.length &&
    selection.indices.every((index, i) => index === expected[i]);
  if (!isSame)
    reject(
      'quote.pcr-selection',
      `the SHA-384 bank (0xc), PCRs ${expected.join(' ')}`,
      info.selections
        .map(
          ({ hash, indices }) => `bank 0x${hash.toString(16)}, PCRs ${indices.join(' ') || 'none'}`,
        )
        .join('; ') || 'no selection',
    );
  return selection.indices;
}
