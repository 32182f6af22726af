export { createNodeHasher, type FileSource, openFile } from '../common/file-source.js';
export { runDigestJobsInParallel } from '../common/parallel-digest-jobs.js';
export { type BuildOptions, type BuildResult, buildImage } from './build/build-image.js';
export {
  type ImageVerification,
  type VerifyImageOptions,
  verifyImage,
} from './verify/verify-image.js';
