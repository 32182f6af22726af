export { createNodeHasher, type FileSource, openFile } from '../common/file-source.js';
export { runDigestJobsInParallel } from '../common/parallel-digest-jobs.js';
