import type { BindingCode } from './binding-codes.js';
import type { ClientCode } from './client-codes.js';
import { hintOf } from './hint-of.js';
import type { MeasurementCode } from './measurement-codes.js';
import type { PoolCode } from './pool-codes.js';
import type { ResultCode } from './result-codes.js';
import type { SignedManifestCode } from './signed-manifest-codes.js';

/**
 * The one table of stable codes: `<step>.<reason>` → what it means. What to do about it stands in
 * hints.ts, which a browser loads when something was refused.
 * Codes are the contract; texts may change. docs/codes.md is generated from this table. The rows for
 * measuring stand in measurement-codes.ts, so that a verifier in a browser need not load them.
 */
const TABLE = {
  // Evidence: any accepted input becomes bytes in fixed fields.
  'evidence.empty': 'the evidence is empty',
  'evidence.too-large': 'the evidence exceeds the size limit',
  'evidence.unrecognized': 'not a COSE document nor a bundle',
  'evidence.json-invalid': 'the bundle is not valid JSON',
  'evidence.field-missing': 'a field of the bundle is missing',
  'evidence.field-invalid': 'a field of the bundle has the wrong form',
  'evidence.platform-unsupported': 'the evidence comes from another platform',

  // CBOR: strict, bounded decoding of the envelope and of the payload.
  'cbor.truncated': 'the CBOR ends in the middle of an item',
  'cbor.trailing-bytes': 'bytes follow the CBOR item',
  'cbor.malformed': 'the CBOR is not well-formed',
  'cbor.not-allowed': 'the CBOR has what no document has',
  'cbor.duplicate-key': 'a CBOR map has the same key twice',
  'cbor.invalid-utf8': 'a CBOR text is not valid UTF-8',
  'cbor.limit-exceeded': 'the CBOR has too many levels or items',

  // COSE_Sign1: the envelope, and its signature by the leaf certificate.
  'cose.malformed': 'the document is not a COSE_Sign1 structure',
  'cose.algorithm-unsupported': 'the document is signed with another algorithm than ES384',
  'cose.payload-size': 'the payload is empty or too large',
  'cose.signature-size': 'the signature does not have 96 bytes',
  'cose.signature-invalid': 'the document was not signed by its certificate',

  // X.509: certificates, and the path from the leaf to an anchor.
  'x509.malformed': 'a certificate is not strict DER or lacks a field',
  'x509.algorithm-unsupported': 'a certificate uses an algorithm outside the profile',
  'x509.algorithm-mismatch': 'a certificate names two signature algorithms',
  'x509.public-key-invalid': 'a certificate holds an unacceptable public key',
  'x509.extension-duplicate': 'a certificate has the same extension twice',
  'x509.extension-unknown-critical': 'a critical extension is not understood',
  'x509.basic-constraints': 'a certificate that signs others is not marked as a CA',
  'x509.path-length-exceeded': 'more CA certificates follow than a CA allows',
  'x509.key-usage': 'a certificate is used for something it does not allow',
  'x509.leaf-is-ca': 'the certificate that signs the document is a CA',
  'x509.name-mismatch': 'a certificate was not issued by its predecessor',
  'x509.key-identifier-mismatch': 'a certificate names another issuer key',
  'x509.signature-invalid': 'a certificate was not signed by its predecessor',
  'x509.expired': 'a certificate is past its validity',
  'x509.not-yet-valid': 'a certificate is not yet valid',
  'x509.untrusted-anchor': 'the chain does not end at a trust anchor',
  'x509.chain-length': 'the chain is too long, or has a certificate twice',

  // The attestation document's own rules.
  'document.malformed': 'the payload is not an attestation document',
  'document.field-missing': 'a mandatory field of the document is missing',
  'document.field-type': 'a field of the document has the wrong type',
  'document.field-size': 'a field of the document has the wrong size',
  'document.digest-unsupported': 'the document uses another digest than SHA384',
  'document.timestamp-invalid': 'the timestamp of the document is not plausible',
  'document.pcrs-ambiguous': 'the document has both pcrs and nitrotpm_pcrs',
  'document.pcr-index': 'a PCR index is not in 0..31',
  'document.pcr-size': 'a PCR value does not have 48 bytes',
  'document.pcr-count': 'the document has no PCRs or more than 32',

  // The TPM quote and the key that made it.
  'quote.missing': 'there is no TPM quote',
  'quote.ak-not-bound': 'the document does not carry the attestation key',
  'quote.ak-mismatch': 'the quote was made by another key than the document proves',
  'quote.ak-malformed': 'the attestation key is not a P-256 point or TPMT_PUBLIC',
  'quote.ak-attributes': 'the attestation key may sign other things than quotes',
  'quote.signature-malformed': 'the signature of the quote is not strict DER',
  'quote.signature-invalid': 'the quote was not signed by the attestation key',
  'quote.malformed': 'the quote is not a TPMS_ATTEST structure',
  'quote.not-tpm-generated': 'the attested structure was not made by a TPM',
  'quote.not-a-quote': 'the attested structure is not a quote',
  'quote.nonce-mismatch': 'the nonce of the quote differs from the document\u2019s',
  'quote.pcr-selection': 'the quote selects other PCRs than the document proves',
  'quote.pcr-digest-mismatch': 'the quoted PCR digest differs from the document\u2019s PCRs',

  // What the sender wrote in the bundle beside the signed bytes.
  'bundle.pcrs-mismatch': 'the PCRs in the bundle differ from the signed ones',
  'bundle.nonce-mismatch': 'a nonce in the bundle differs from the signed one',
  'bundle.public-key-mismatch': 'the public key in the bundle differs from the signed one',

  // Freshness: is it answering me, now?
  'freshness.nonce-missing': 'the document carries no nonce',
  'freshness.nonce-mismatch': 'the nonce differs from the expected one',
  'freshness.nonce-unexpected': 'the document carries an unexpected nonce',
  'freshness.stale': 'the document is older than allowed',
  'freshness.future': 'the document was made in the future',

  // The reference manifest.
  'manifest.malformed': 'the manifest cannot be read',
  'manifest.version-unsupported': 'the manifest has an unknown version',
  'manifest.hash-unsupported': 'the manifest uses another hash than SHA384',
  'manifest.incomplete': 'the manifest does not pin what makes an image',
  'manifest.platform-mismatch': 'the manifest is for another platform than the evidence',
  'manifest.no-accepted-set': 'every measurement set is revoked or outside its time',
  'manifest.signature-invalid': 'no given key signed the manifest',
  'manifest.signature-required': 'the manifest is not signed, but keys were given',
  'manifest.keys-missing': 'the manifest is signed, but no keys were given',

  // Appraisal: the signed PCRs against the manifest.
  'pcr.debug-mode': 'the enclave runs in debug mode',
  'pcr.mismatch': 'the PCRs match no accepted measurement set',
  'pcr.missing': 'the document lacks a PCR that the manifest pins',
  'pcr.revoked': 'the PCRs match a revoked measurement set',
  'pcr.set-outside-validity': 'the PCRs match a measurement set outside its time',

  // What is wrong on our own side.
  'crypto.unavailable': 'no cryptography is available for this operation',
  'crypto.failed': 'the cryptographic provider failed',
} as const;

/** A code of verification, e.g. `x509.expired`. */
export type VerificationCode = keyof typeof TABLE;

/**
 * A stable code: of verification, of measuring (`tee-verify/measure`), of a client
 * (`tee-verify/browser`), of signed manifests, or of results and challenges (`tee-verify/result`).
 */
export type Code =
  | VerificationCode
  | MeasurementCode
  | ClientCode
  | BindingCode
  | SignedManifestCode
  | PoolCode
  | ResultCode;

type StepOf<C extends string> = C extends `${infer S}.${string}` ? S : never;

/** The step a code belongs to: what stands before its dot. */
export type Step = StepOf<Code>;

/** One row of the table. */
export interface CodeFacts {
  readonly code: Code;
  readonly step: Step;
  /** What went wrong, in one clause. */
  readonly meaning: string;
  /** What to do about it. */
  readonly hint: string;
}

/** How code names what went wrong: by a code of verification, or by a row of another part of the table. */
export type CodeRow = VerificationCode | CodeFacts;

/** The rows of a part of the table, frozen. */
export function tabulate<C extends Code>(
  table: Readonly<Record<C, readonly [meaning: string, hint: string]>>,
): Readonly<Record<C, CodeFacts>> {
  const rows = Object.entries<readonly [string, string]>(table).map(([code, [meaning, hint]]) => [
    code,
    Object.freeze({ code, step: code.slice(0, code.indexOf('.')), meaning, hint }),
  ]);
  return Object.freeze(Object.fromEntries(rows));
}

/** Every code of verification with its step, meaning and hint. */
export const CODES: Readonly<Record<VerificationCode, CodeFacts>> = Object.freeze(
  Object.fromEntries(
    Object.entries(TABLE).map(([code, meaning]) => [
      code,
      Object.freeze({
        code,
        step: code.slice(0, code.indexOf('.')),
        meaning,
        get hint(): string {
          return hintOf(code);
        },
      }),
    ]),
  ),
) as Readonly<Record<VerificationCode, CodeFacts>>;

/** Whether a text is a code of verification. */
export function isCode(text: string): text is VerificationCode {
  return Object.hasOwn(CODES, text);
}
