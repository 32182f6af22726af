/**
 * The one table of stable codes: `<step>.<reason>` → what it means and what to do about it.
 * Codes are the contract; texts may change. docs/codes.md is generated from this table.
 */
const TABLE = {
  // Evidence: any accepted input becomes bytes in fixed fields.
  'evidence.empty': [
    'the evidence is empty',
    'Check that the file was written and that the transfer did not fail.',
  ],
  'evidence.too-large': [
    'the evidence exceeds the size limit',
    'A bundle is at most 1 MiB, a document at most 64 KiB; real ones are about 14 KB and 5 KB. Check that this is an attestation.',
  ],
  'evidence.unrecognized': [
    'the evidence is neither a COSE document nor a bundle',
    'Pass the COSE document (bytes, base64, base64url or hex) or the JSON bundle that the agent wrote.',
  ],
  'evidence.json-invalid': [
    'the bundle is not valid JSON',
    'Pass the JSON as the agent wrote it; a cut or re-wrapped file cannot be read.',
  ],
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
    'This is not a document that AWS Nitro wrote, or it was damaged.',
  ],
  'cbor.not-allowed': [
    'the CBOR uses a feature that attestation documents do not have',
    'Tags (but an outer 18), bignums, floats, indefinite-length strings and unknown simple values are refused.',
  ],
  'cbor.duplicate-key': [
    'a CBOR map has the same key twice',
    'Two readers could read two different documents; it is refused.',
  ],
  'cbor.invalid-utf8': [
    'a CBOR text is not valid UTF-8',
    'This is not a document that AWS Nitro wrote, or it was damaged.',
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
    'Somebody changed the document or the signature, or the transfer damaged it. Do not trust its contents.',
  ],

  // X.509: certificates, and the path from the leaf to an anchor.
  'x509.malformed': [
    'a certificate is not strict DER or lacks a field',
    'The certificate was damaged or forged; AWS Nitro certificates are strict DER.',
  ],
  'x509.algorithm-unsupported': [
    'a certificate uses an algorithm outside the profile',
    'AWS Nitro chains use P-384 with ecdsa-with-SHA384 throughout.',
  ],
  'x509.algorithm-mismatch': [
    'a certificate names different signature algorithms inside and outside',
    'RFC 5280, 4.1.1.2: both must be equal; the certificate is forged or damaged.',
  ],
  'x509.public-key-invalid': [
    'a certificate holds an unacceptable public key',
    'Keys are uncompressed points on P-384.',
  ],
  'x509.extension-duplicate': [
    'a certificate has the same extension twice',
    'RFC 5280, 4.2 forbids it; the certificate is refused.',
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
    'The leaf must not be a CA: its key would be able to issue more identities.',
  ],
  'x509.name-mismatch': [
    'a certificate was issued by another name than its predecessor has',
    'The chain is out of order, incomplete, or mixed from two documents.',
  ],
  'x509.key-identifier-mismatch': [
    'a certificate names another issuer key than its predecessor has',
    'The chain is mixed from two documents, or an issuer certificate was replaced.',
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
    'The root is not AWS Nitro Root G1 (or one of the given anchors). Anyone can make such a chain: do not trust it. For another AWS partition or a test PKI, pass its root as a trust anchor.',
  ],
  'x509.chain-length': [
    'the chain has too many certificates, or the same one twice',
    'AWS Nitro chains have five certificates, leaf and root included.',
  ],

  // The attestation document's own rules.
  'document.malformed': [
    'the payload is not an attestation document',
    'The signed payload must be a map with text keys.',
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
    'It is in milliseconds since 1970 and later than 2018; seconds are a common mistake of forged documents.',
  ],
  'document.pcrs-ambiguous': [
    'the document has both pcrs and nitrotpm_pcrs',
    'A document comes from a NitroTPM or from an enclave, never from both.',
  ],
  'document.pcr-index': ['a PCR index is not in 0..31', 'The document was not made by AWS Nitro.'],
  'document.pcr-size': [
    'a PCR value does not have 48 bytes',
    'PCRs of a SHA384 document have 48 bytes.',
  ],
  'document.pcr-count': [
    'the document has no PCRs or more than 32',
    'The document was not made by AWS Nitro.',
  ],

  // The TPM quote and the key that made it.
  'quote.missing': [
    'there is no TPM quote',
    'The caller requires a quote: pass a bundle rather than a bare document.',
  ],
  'quote.ak-not-bound': [
    'the document does not carry the attestation key',
    'A document without public_key proves nothing about the quote; the agent must pass the AK to the NSM request.',
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
    'The AK must be restricted, sign, fixedTPM, fixedParent and sensitiveDataOrigin: otherwise software could forge a quote.',
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
    'Quote PCRs of the SHA-384 bank that the document carries, at least one of them.',
  ],
  'quote.pcr-digest-mismatch': [
    'the quoted PCR digest differs from the PCRs of the document',
    'PCRs changed between document and quote, or one of them comes from another machine.',
  ],

  // What the sender wrote in the bundle beside the signed bytes.
  'bundle.pcrs-mismatch': [
    'the PCRs in the bundle differ from the signed ones',
    'Somebody edited the bundle, or the agent mixed two readings. Signed values were used; the bundle is refused.',
  ],
  'bundle.nonce-mismatch': [
    'a nonce in the bundle differs from the signed one',
    'Somebody edited the bundle. Signed values were used; the bundle is refused.',
  ],
  'bundle.public-key-mismatch': [
    'the public key in the bundle differs from the signed one',
    'Somebody edited the bundle. Signed values were used; the bundle is refused.',
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
    'Ask for a new attestation with a fresh nonce, or raise maxAgeSeconds deliberately.',
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

  // Event logs: what the firmware says it measured.
  'eventlog.empty': [
    'the event log is empty',
    'Read /sys/kernel/security/tpm0/binary_bios_measurements as root, on a machine booted by UEFI with a TPM.',
  ],
  'eventlog.too-large': [
    'the event log exceeds the size limit',
    'Real logs have 5 to 100 KB. Check that this is an event log.',
  ],
  'eventlog.truncated': [
    'the event log ends in the middle of an event',
    'The log was cut, or is not a TCG event log; read it again in one piece.',
  ],
  'eventlog.header-invalid': [
    'the header of the event log cannot be understood',
    'Expected TCG_EfiSpecIDEvent (TCG PC Client Platform Firmware Profile, 10.2.1).',
  ],
  'eventlog.pcr-index': [
    'an event names a PCR that does not exist',
    'PCRs are 0 to 23; this is not a TCG event log, or it was damaged.',
  ],
  'eventlog.digest-set': [
    'an event has no digest, the same one twice, or one of a bank that the header does not declare',
    'The log was damaged or forged; firmware writes one digest for each active bank.',
  ],
  'eventlog.startup-locality': [
    'the StartupLocality event is malformed, repeated, or comes after PCR0 was extended',
    'See the TCG PC Client Platform Firmware Profile, 10.4.5.3.',
  ],
  'eventlog.limit-exceeded': [
    'the event log has too many events or banks',
    'Real logs have fewer than a thousand events and at most five banks.',
  ],
  'eventlog.bank-missing': [
    'the event log has no digests of this bank',
    'The firmware did not log this bank, so its PCRs cannot be explained by this log.',
  ],
  'eventlog.pcr-unexplained': [
    'replaying the event log does not give the signed PCR',
    'The log is incomplete, edited, or from another boot. The signed value counts, never the log.',
  ],

  // EFI signature lists: PK, KEK, db and dbx.
  'esl.too-large': [
    'the signature list exceeds the size limit',
    'PK, KEK, db and dbx have at most a few dozen KB. Check that this is an EFI signature list.',
  ],
  'esl.truncated': [
    'the signature list ends in the middle of an entry',
    'Pass the bare EFI_SIGNATURE_LIST: no authentication header (.auth), and not the four attribute bytes that efivarfs puts first.',
  ],
  'esl.malformed': [
    'the signature list is not made of whole entries',
    'Pass the bare EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1): no authentication header (.auth), and not the four attribute bytes that efivarfs puts first.',
  ],
  'esl.limit-exceeded': [
    'the signature list has too many entries',
    'Real lists have fewer than a thousand entries.',
  ],
  'esl.pk-missing': [
    'KEK, db or dbx is given without a PK',
    'Secure Boot is on only when a platform key is enrolled: pass PK too, or none of the four.',
  ],

  // PE images and their Authenticode digests.
  'pe.not-pe': [
    'the file is not a PE image',
    'Pass an EFI executable (a UKI, an addon or a boot loader); it starts with MZ and has a PE header.',
  ],
  'pe.truncated': ['the PE image ends early', 'The file was cut; copy it again.'],
  'pe.malformed': [
    'a header of the PE image is inconsistent',
    'Firmware would refuse to load this file, or load something else than tools see.',
  ],
  'pe.limit-exceeded': [
    'the PE image has too many sections or sizes beyond the limits',
    'UKIs have about ten sections. A section may be at most 16 MiB larger in memory than in the file.',
  ],
  'pe.section-range': [
    'a section of the PE image lies outside the file or outside the image',
    'The file was cut or made by a broken tool.',
  ],
  'pe.section-overlap': [
    'sections of the PE image overlap',
    'Two readers could hash two different images; firmware and tools disagree about such files.',
  ],
  'pe.section-gap': [
    'bytes lie between the sections of the PE image',
    'Firmware and signing tools disagree about the Authenticode digest of such a file: build it without gaps.',
  ],
  'pe.certificate-table': [
    'the certificate table is not at the end of the PE image, or is malformed',
    'Sign the file again with sbsign; nothing may follow the signatures.',
  ],
  'pe.signature-malformed': [
    'the Authenticode signature cannot be read',
    'Sign the file again with sbsign; the signature is PKCS#7 SignedData in DER.',
  ],
  'pe.not-signed': [
    'the PE image is not signed',
    'With Secure Boot on, firmware only loads signed images. Images allowed by their hash in db are not predicted.',
  ],

  // Unified kernel images and what systemd-stub measures of them.
  'uki.not-a-uki': [
    'none of the images is a unified kernel image',
    'A UKI has a .linux section. Pass the UKI itself, not the bare kernel.',
  ],
  'uki.several': [
    'more than one of the images is a unified kernel image',
    'One boot runs one UKI: measure each UKI on its own.',
  ],
  'uki.stub-version': [
    'the version of the stub cannot be read',
    'The .sdmagic section is missing or unknown. If you know what the stub measures, choose a stub profile.',
  ],
  'uki.stub-unknown': [
    'it is not known what this version of the stub measures',
    'Known versions are listed in docs/measurements.md. If you know that yours behaves like one of them, choose its stub profile, and check with a boot.',
  ],
  'uki.section-duplicate': [
    'the UKI has the same section twice',
    'Which one is measured depends on the stub; build the UKI with each section once.',
  ],
  'uki.not-predictable': [
    'a measurement depends on the machine, not only on the image',
    'See docs/measurements.md for what cannot be predicted; leave this PCR or section out.',
  ],
  'uki.addon-unsupported': [
    'an image after the UKI is not an addon that this stub measures',
    'Addons are PE files with a .cmdline section and no .linux; stubs before version 254 load none.',
  ],
  'uki.command-line': [
    'the command line cannot be predicted',
    'Use printable ASCII, not empty, not starting with @ (which selects a profile of the UKI).',
  ],
  'uki.signer-not-in-db': [
    'no certificate of the image\u2019s signature stands in db',
    'The firmware would refuse the image, or db holds an issuer that the signature does not carry. Check that db and the image belong together.',
  ],
  'uki.revoked-by-dbx': [
    'dbx forbids the image or its signer',
    'The firmware would refuse to boot it; sign with another key, or pass the right dbx.',
  ],

  // What is wrong on our own side.
  'crypto.unavailable': [
    'no cryptography is available for this operation',
    'Pass a provider; see docs/providers.md.',
  ],
  'crypto.failed': [
    'the cryptographic provider failed',
    'This is a fault of the runtime or of the provider, not of the evidence; see the cause. Nothing was accepted.',
  ],
} as const;

/** A stable code, e.g. `x509.expired`. */
export type Code = keyof typeof TABLE;

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

/** Every code with its step, meaning and hint. */
export const CODES: Readonly<Record<Code, CodeFacts>> = Object.freeze(
  Object.fromEntries(
    Object.entries(TABLE).map(([code, [meaning, hint]]) => [
      code,
      Object.freeze({ code, step: code.slice(0, code.indexOf('.')), meaning, hint }),
    ]),
  ),
) as Readonly<Record<Code, CodeFacts>>;

/** Whether a text is a code of the table. */
export function isCode(text: string): text is Code {
  return Object.hasOwn(CODES, text);
}
