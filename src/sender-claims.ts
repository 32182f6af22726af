import { equalBytes } from './bytes/bytes.js';
import { encodeHex } from './bytes/hex.js';
import type { SenderClaims } from './evidence.js';
import type { VerifiedDocument } from './nitro/document.js';
import { reject } from './result/attestation-error.js';
import type { VerificationCode } from './result/codes.js';
import type { Note } from './result/note.js';

/**
 * Compares what the sender wrote in the bundle with what was signed. Nothing of it is ever used,
 * but a reader of the JSON must not be misled. Throws `bundle.*`.
 */
export function compareSenderClaims(
  document: VerifiedDocument,
  claims: SenderClaims,
  note: Note,
): void {
  for (const [index, value] of claims.pcrs ?? []) {
    const field = `pcrs.sha384.${index}`;
    compare('bundle.pcrs-mismatch', field, document.pcrs.get(index), value);
  }
  if (claims.pcrs !== undefined)
    note(`${claims.pcrs.size} PCRs in the bundle equal the signed ones`);
  for (const [field, value] of claims.nonces)
    compare('bundle.nonce-mismatch', field, document.nonce, value);
  if (claims.nonces.length > 0) note('nonces in the bundle equal the signed one');
  for (const [field, value] of claims.publicKeys)
    compare('bundle.public-key-mismatch', field, document.publicKey, value);
  if (claims.publicKeys.length > 0) note('public key in the bundle equals the signed one');
}

function compare(
  code: VerificationCode,
  field: string,
  signed: Uint8Array | undefined,
  claimed: Uint8Array,
): void {
  if (equalBytes(signed ?? new Uint8Array(0), claimed)) return;
  reject(
    code,
    `${field} ${signed === undefined ? 'absent, as in the document' : encodeHex(signed)}`,
    encodeHex(claimed) || 'empty',
  );
}
