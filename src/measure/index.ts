export { MEASUREMENT_CODES, type MeasurementCode } from '../result/measurement-codes.js';
export { type AlignedPair, alignEvents } from './align-events.js';
export { authenticodeDigests, authenticodePieces } from './authenticode.js';
export { formatAwsMeasurements } from './aws-format.js';
export { BANK_ALGORITHMS, type BankAlgorithm, type BankName } from './bank-algorithms.js';
export type { BootImage } from './boot-chain.js';
export { type ByteSource, blobSource, bytesSource } from './byte-source.js';
export {
  checkEventData,
  checkEventDataFlow,
  type EventDataCheck,
  type EventDataFinding,
} from './check-event-data.js';
export { type Crc32, combineCrc32, crc32 } from './crc32.js';
export {
  type DecodedEvent,
  type DecodedSignature,
  decodeEvent,
  type EventContents,
} from './decode-event.js';
export { type ComparableSet, diffMeasurements, type PcrDifference } from './diff-measurements.js';
export {
  type DigestJob,
  type Piece,
  type RunDigestJobs,
  runDigestJobs,
} from './digest-jobs.js';
export {
  EIF,
  EIF_MAX_SECTION_BYTES,
  EIF_SECTION_TYPES,
  type EifArchitecture,
  type EifLayout,
  type EifSection,
  type EifSectionType,
  readEifLayout,
} from './eif-layout.js';
export { type EifMetadata, parseEifMetadata } from './eif-metadata.js';
export {
  checkEifSignature,
  type EifSignature,
  eifSignedBytes,
  parseEifSignature,
} from './eif-signature.js';
export {
  type EnclaveManifest,
  type EnclaveParent,
  formatEnclaveMeasurements,
  toEnclaveManifest,
} from './enclave-manifest.js';
export {
  type EventLog,
  type LoggedEvent,
  MAX_EVENT_LOG_BYTES,
  NO_PCR,
  parseEventLog,
} from './event-log.js';
export { EVENT_TYPE, eventTypeName } from './event-types.js';
export {
  type ExplainableEvent,
  explainableEvents,
  explainPcrMismatch,
} from './explain-pcr-mismatch.js';
export { explainPcrs, explainPcrsFlow, type PcrExplanation } from './explain-pcrs.js';
export type { GptPartition } from './gpt.js';
export {
  formatGuid,
  GLOBAL_VARIABLE_GUID,
  guidBytes,
  IMAGE_SECURITY_DATABASE_GUID,
} from './guid.js';
export type { CreateHasher, Hasher } from './hasher.js';
export {
  type EifInspection,
  type EifMeasurement,
  inspectEif,
  type MeasureEifOptions,
  measureEif,
} from './measure-eif.js';
export {
  type MeasureOptions,
  measureUki,
  PREDICTABLE_PCRS,
  type UkiMeasurement,
} from './measure-uki.js';
export { extendAll, type MeasuredEvent, type MeasuredEventKind } from './measured-event.js';
export {
  type ManifestNames,
  type MeasurementManifest,
  toMeasurementManifest,
} from './measurement-manifest.js';
export { createNobleHasher } from './noble-hasher.js';
export { parentInstancePcr, parentRolePcr, signingCertificatePcr } from './parent-pcrs.js';
export { findSection, type PeImage, type PeSection, readPeImage } from './pe-image.js';
export { readSignatureCertificates } from './pe-signature.js';
export {
  type DigestFunction,
  type ReplayedPcr,
  replay,
  replayEventLog,
  replayEventLogSync,
} from './replay-event-log.js';
export type { SecureBootVariables } from './secure-boot.js';
export { parseSignatureList, type SignatureEntry, type SignatureType } from './signature-list.js';
export {
  EIF_ALGORITHMS,
  type EifAlgorithm,
  readSigningCertificate,
  type SigningCertificate,
} from './signing-certificate.js';
export {
  isStubProfileName,
  STUB_PROFILES,
  type StubProfile,
  type StubProfileName,
} from './stub-profiles.js';
export { printable } from './text.js';
export { encodeVariableData, parseVariableData, type UefiVariable } from './uefi-variable.js';
