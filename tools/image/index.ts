export { createNodeHasher, type FileSource, openFile } from './file-source.js';
export { runDigestJobsInParallel } from './parallel-digest-jobs.js';
