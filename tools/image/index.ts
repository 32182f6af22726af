export { createNodeHasher, type FileSource, openFile } from '../common/file-source.js';
export { runDigestJobsInParallel } from '../common/parallel-digest-jobs.js';
export {
  type AuditResult,
  type AuditSubject,
  auditImage,
  type Finding,
  type Severity,
} from './audit/audit-image.js';
export { type OpenSubject, openSubject as openAuditSubject } from './audit/open-subject.js';
export {
  type BootEnd,
  type BootOptions,
  type BootOutcome,
  bootImage,
} from './boot/boot-image.js';
export { type BuildOptions, type BuildResult, buildImage } from './build/build-image.js';
export { createIdentity, type NewIdentity } from './signing/create-identity.js';
export { type SignedImage, type SignOptions, signBuild } from './signing/sign-build.js';
export {
  decodeUefiData,
  encodeUefiData,
  type StoredVariable,
} from './signing/uefi-variable-store.js';
export {
  type ImageVerification,
  type VerifyImageOptions,
  verifyImage,
} from './verify/verify-image.js';
