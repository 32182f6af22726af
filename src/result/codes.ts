import type { ClientCode } from './client-codes.js';
import type { MeasurementCode } from './measurement-codes.js';
import type { ResultCode } from './result-codes.js';
import type { SignedManifestCode } from './signed-manifest-codes.js';

/**
 * The one table of stable codes: `<step>.<reason>` → what it means and what to do about it.
 * Codes are the contract; texts may change. docs/codes.md is generated from this table. The rows for
 * measuring stand in measurement-codes.ts, so that a verifier in a browser need not load them.
 */
const TABLE = {
  // Evidence: any accepted input becomes bytes in fixed fields.
  'evidence.empty': ['the evidence is empty', 'Check that it was written and transferred.'],
  'evidence.too-large': [
    'the evidence exceeds the size limit',
    'A bundle has at most 1 MiB, a document 64 KiB; real ones about 14 KB and 5 KB.',
  ],
  'evidence.unrecognized': [
    'the evidence is neither a COSE document nor a bundle',
    'Pass the COSE document (bytes, base64, base64url or hex) or the JSON bundle that the agent wrote.',
  ],
  'evidence.json-invalid': ['the bundle is not valid JSON', 'Pass the JSON as the agent wrote it.'],
  'evidence.field-missing': [
    'a field of the bundle is missing',
    'See docs/bundle.md for the two forms of a bundle.',
  ],
  'evidence.field-invalid': [
    'a field of the bundle has the wrong form',
    'See docs/bundle.md for the type and size of each field.',
  ],
  'evidence.platform-unsupported': [
    'the evidence comes from another platform',
    'Only AWS NitroTPM and AWS Nitro Enclaves evidence is verified here.',
  ],

  // CBOR: strict, bounded decoding of the envelope and of the payload.
  'cbor.truncated': [
    'the CBOR ends in the middle of an item',
    'The document was cut; fetch it again.',
  ],
  'cbor.trailing-bytes': [
    'bytes follow the CBOR item',
    'Pass exactly the document; the padding of a TPM read is not part of it.',
  ],
  'cbor.malformed': [
    'the CBOR is not well-formed',
    'AWS Nitro did not write this, or it was damaged.',
  ],
  'cbor.not-allowed': [
    'the CBOR uses a feature that attestation documents do not have',
    'Tags (but an outer 18), bignums and indefinite-length strings are refused.',
  ],
  'cbor.duplicate-key': [
    'a CBOR map has the same key twice',
    'Two readers could read two different documents.',
  ],
  'cbor.invalid-utf8': [
    'a CBOR text is not valid UTF-8',
    'AWS Nitro did not write this, or it was damaged.',
  ],
  'cbor.limit-exceeded': [
    'the CBOR is nested too deeply or has too many items',
    'Real documents nest three levels and hold fewer than a hundred items.',
  ],

  // COSE_Sign1: the envelope, and its signature by the leaf certificate.
  'cose.malformed': [
    'the document is not a COSE_Sign1 structure',
    'Expected an array of protected header, unprotected header, payload and signature (RFC 9052, 4.2).',
  ],
  'cose.algorithm-unsupported': [
    'the document is signed with another algorithm than ES384',
    'AWS Nitro signs with ES384 (-35) only.',
  ],
  'cose.payload-size': ['the payload is empty or too large', 'A payload has 1 to 16384 bytes.'],
  'cose.signature-size': [
    'the signature does not have 96 bytes',
    'ES384 signatures are r || s, 48 bytes each; DER is not used here.',
  ],
  'cose.signature-invalid': [
    'the document was not signed by its certificate',
    'Somebody changed it, or the transfer damaged it. Do not trust its contents.',
  ],

  // X.509: certificates, and the path from the leaf to an anchor.
  'x509.malformed': [
    'a certificate is not strict DER or lacks a field',
    'It was damaged or forged; AWS Nitro certificates are strict DER.',
  ],
  'x509.algorithm-unsupported': [
    'a certificate uses an algorithm outside the profile',
    'AWS Nitro chains use P-384 with ecdsa-with-SHA384 throughout.',
  ],
  'x509.algorithm-mismatch': [
    'a certificate names different signature algorithms inside and outside',
    'RFC 5280, 4.1.1.2: both must be equal.',
  ],
  'x509.public-key-invalid': [
    'a certificate holds an unacceptable public key',
    'Keys are uncompressed points on P-384.',
  ],
  'x509.extension-duplicate': [
    'a certificate has the same extension twice',
    'RFC 5280, 4.2 forbids it.',
  ],
  'x509.extension-unknown-critical': [
    'a certificate has a critical extension that is not understood',
    'RFC 5280, 4.2: it must be refused.',
  ],
  'x509.basic-constraints': [
    'a certificate that signs others is not marked as a CA',
    'Only certificates with critical basicConstraints CA=true may sign certificates.',
  ],
  'x509.path-length-exceeded': [
    'more CA certificates follow than a CA allows',
    'pathLenConstraint limits how many CAs may stand below (RFC 5280, 4.2.1.9).',
  ],
  'x509.key-usage': [
    'a certificate is used for something it does not allow',
    'CAs need keyCertSign, the leaf needs digitalSignature (RFC 5280, 4.2.1.3).',
  ],
  'x509.leaf-is-ca': [
    'the certificate that signs the document is a CA certificate',
    'The key of a CA could issue more identities.',
  ],
  'x509.name-mismatch': [
    'a certificate was issued by another name than its predecessor has',
    'The chain is out of order, incomplete, or mixed from two documents.',
  ],
  'x509.key-identifier-mismatch': [
    'a certificate names another issuer key than its predecessor has',
    'The chain is mixed from two documents.',
  ],
  'x509.signature-invalid': [
    'a certificate was not signed by its predecessor',
    'The chain is forged, mixed from two documents, or damaged.',
  ],
  'x509.expired': [
    'a certificate is past its validity',
    'Instance certificates live for three hours: verify at once, or pass the time of receipt as `now` for stored evidence.',
  ],
  'x509.not-yet-valid': ['a certificate is not yet valid', 'Check the clock of this machine.'],
  'x509.untrusted-anchor': [
    'the chain does not end at a trust anchor',
    'The root is not AWS Nitro Root G1 (or a given anchor): anyone can make such a chain. For another AWS partition or a test PKI, pass its root as a trust anchor.',
  ],
  'x509.chain-length': [
    'the chain has too many certificates, or the same one twice',
    'AWS Nitro chains have five certificates, leaf and root included.',
  ],

  // The attestation document's own rules.
  'document.malformed': [
    'the payload is not an attestation document',
    'The signed payload must be a map.',
  ],
  'document.field-missing': [
    'a mandatory field of the document is missing',
    'See docs/document.md for the fields of an attestation document.',
  ],
  'document.field-type': [
    'a field of the document has the wrong type',
    'See docs/document.md for the types.',
  ],
  'document.field-size': [
    'a field of the document is too short or too long',
    'See docs/document.md for the sizes.',
  ],
  'document.digest-unsupported': [
    'the document uses another digest than SHA384',
    'AWS Nitro uses SHA384 only.',
  ],
  'document.timestamp-invalid': [
    'the timestamp of the document is not plausible',
    'It is in milliseconds since 1970, 2018 or later.',
  ],
  'document.pcrs-ambiguous': [
    'the document has both pcrs and nitrotpm_pcrs',
    'A document comes from a NitroTPM or from an enclave, never from both.',
  ],
  'document.pcr-index': [
    'a PCR index is not in 0..31',
    'AWS Nitro did not write this, or it was damaged.',
  ],
  'document.pcr-size': [
    'a PCR value does not have 48 bytes',
    'PCRs of a SHA384 document have 48 bytes.',
  ],
  'document.pcr-count': [
    'the document has no PCRs or more than 32',
    'AWS Nitro did not write this, or it was damaged.',
  ],

  // The TPM quote and the key that made it.
  'quote.missing': [
    'there is no TPM quote',
    'The caller requires a quote: pass a bundle rather than a bare document.',
  ],
  'quote.ak-not-bound': [
    'the document does not carry the attestation key',
    'Without public_key the document proves nothing about the quote: the agent must pass the AK to the NSM request.',
  ],
  'quote.ak-mismatch': [
    'the quote was made by another key than the document proves',
    'Somebody combined the quote and the document of two machines. Do not trust the quote.',
  ],
  'quote.ak-malformed': [
    'the attestation key is not a P-256 point or TPMT_PUBLIC',
    'The AK is an uncompressed P-256 point; ak_tpmt_public is a TPMT_PUBLIC of the same key.',
  ],
  'quote.ak-attributes': [
    'the attestation key may sign other things than quotes',
    'Unless it is restricted and fixed to its TPM, software could forge a quote.',
  ],
  'quote.signature-malformed': [
    'the signature of the quote is not strict DER',
    'Expected SEQUENCE { INTEGER r, INTEGER s } in minimal form.',
  ],
  'quote.signature-invalid': [
    'the quote was not signed by the attestation key',
    'The quote was changed or made by another key. Do not trust it.',
  ],
  'quote.malformed': [
    'the quote is not a TPMS_ATTEST structure',
    'attest_data is TPMS_ATTEST itself (starting ff544347), without a TPM2B size.',
  ],
  'quote.not-tpm-generated': [
    'the attested structure was not made by a TPM',
    'Its magic is not TPM_GENERATED (ff544347): software may have made it.',
  ],
  'quote.not-a-quote': [
    'the attested structure is not a quote',
    'TPM2_Certify and others prove no PCRs; the agent must send TPM2_Quote.',
  ],
  'quote.nonce-mismatch': [
    'the nonce of the quote differs from the nonce of the document',
    'The quote and the document were made at different times; one of them is replayed.',
  ],
  'quote.pcr-selection': [
    'the quote selects other PCRs than the document proves',
    'Quote the SHA-384 bank with exactly the PCRs of the document.',
  ],
  'quote.pcr-digest-mismatch': [
    'the quoted PCR digest differs from the PCRs of the document',
    'PCRs changed between document and quote, or one of them comes from another machine.',
  ],

  // What the sender wrote in the bundle beside the signed bytes.
  'bundle.pcrs-mismatch': [
    'the PCRs in the bundle differ from the signed ones',
    'Somebody edited the bundle, or the agent mixed two readings.',
  ],
  'bundle.nonce-mismatch': [
    'a nonce in the bundle differs from the signed one',
    'Somebody edited the bundle.',
  ],
  'bundle.public-key-mismatch': [
    'the public key in the bundle differs from the signed one',
    'Somebody edited the bundle.',
  ],

  // Freshness: is it answering me, now?
  'freshness.nonce-missing': [
    'the document carries no nonce, but one was expected',
    'The agent did not use the challenge: ask it again with the nonce.',
  ],
  'freshness.nonce-mismatch': [
    'the nonce differs from the expected one',
    'An old or foreign attestation is being replayed. Send a new challenge and do not trust this answer.',
  ],
  'freshness.nonce-unexpected': [
    'the document carries a nonce although none was expected',
    'It answers somebody else\u2019s challenge; pass that nonce, or leave the option out.',
  ],
  'freshness.stale': [
    'the document is older than allowed',
    'Ask for a new attestation with a fresh nonce, raise maxAgeSeconds deliberately, or pass `now` for stored evidence.',
  ],
  'freshness.future': [
    'the document was made in the future',
    'Check the clock of this machine, or raise clockToleranceSeconds deliberately.',
  ],

  // The reference manifest.
  'manifest.malformed': [
    'the manifest cannot be read',
    'Pass our manifest JSON, AWS\u2019s {"Measurements": \u2026}, or a flat {"PCR4": \u2026}; see docs/manifest.md.',
  ],
  'manifest.version-unsupported': [
    'the manifest has a version that is not known',
    'Update tee-verify, or write the manifest in version 1.',
  ],
  'manifest.hash-unsupported': [
    'the manifest uses another hash than SHA384',
    'Recompute the measurements with SHA384.',
  ],
  'manifest.incomplete': [
    'the manifest does not pin what makes an image',
    'Pin PCR4 and PCR12, or PCR7 with Secure Boot on (NitroTPM); PCR0, or PCR1 and PCR2, or PCR8 (enclaves). allowPartialManifest accepts less.',
  ],
  'manifest.platform-mismatch': [
    'the manifest is for another platform than the evidence',
    'NitroTPM and enclave PCRs mean different things: use the manifest made for this image.',
  ],
  'manifest.no-accepted-set': [
    'every measurement set of the manifest is revoked or outside its time',
    'Publish a manifest with an accepted set.',
  ],
  'manifest.signature-invalid': [
    'no given key signed the manifest',
    'Check that the manifest comes from whom you think, and that manifestKeys holds their key.',
  ],
  'manifest.signature-required': [
    'manifest keys were given, but the manifest is not signed',
    'Sign the manifest, or leave manifestKeys out to trust it as it is.',
  ],
  'manifest.keys-missing': [
    'the manifest is signed, but no keys were given',
    'Pass manifestKeys, so that the signature can be checked.',
  ],

  // Appraisal: the signed PCRs against the manifest.
  'pcr.debug-mode': [
    'the enclave runs in debug mode',
    'PCR0, PCR1 or PCR2 is all zero: its console and memory are open to the operator. Never release secrets to it; allowDebug is for tests.',
  ],
  'pcr.mismatch': [
    'the PCRs match no accepted measurement set',
    'Another image booted, or the manifest is out of date.',
  ],
  'pcr.missing': [
    'the document lacks a PCR that the manifest pins',
    'The evidence cannot prove what the manifest asks for.',
  ],
  'pcr.revoked': [
    'the PCRs match a revoked measurement set',
    'This image was withdrawn by its publisher; boot a newer one.',
  ],
  'pcr.set-outside-validity': [
    'the PCRs match a measurement set outside its time',
    'The publisher accepts this image only between notBefore and notAfter.',
  ],

  // Worker pools (tee-verify/node).
  'pool.overloaded': [
    'too many verifications wait in the pool',
    'Answer 503 and let the client come back; or raise maxQueued or threads.',
  ],
  'pool.closed': ['the pool was closed', 'Make a new one.'],
  'pool.worker-failed': [
    'a worker of the pool failed',
    'See the cause. Nothing was accepted; ask again.',
  ],

  // What is wrong on our own side.
  'crypto.unavailable': [
    'no cryptography is available for this operation',
    'Pass a provider; see docs/providers.md.',
  ],
  'crypto.failed': [
    'the cryptographic provider failed',
    'A fault of the runtime or the provider, not of the evidence; see the cause. Nothing was accepted.',
  ],
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
  | SignedManifestCode
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
export const CODES: Readonly<Record<VerificationCode, CodeFacts>> = tabulate(TABLE);

/** Whether a text is a code of verification. */
export function isCode(text: string): text is VerificationCode {
  return Object.hasOwn(CODES, text);
}
