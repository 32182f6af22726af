import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource, type DigestJob, runDigestJobs } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNodeHasher, type FileSource, openFile } from './file-source.js';
import { runDigestJobsInParallel } from './parallel-digest-jobs.js';

const MIB = 1024 * 1024;

describe('runDigestJobsInParallel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-jobs-'));
  const path = join(folder, 'file');
  const bytes = new Uint8Array(40 * MIB).map((_, i) => (i * 7) ^ (i >> 11));
  let source: FileSource;
  const jobs: DigestJob[] = [
    { algorithm: 'SHA-384', pieces: [{ offset: 0, length: 30 * MIB }] },
    {
      algorithm: 'SHA-384',
      pieces: [
        { offset: 20 * MIB, length: 20 * MIB },
        { zeros: 100_001 },
        { offset: 3, length: 5 }, // backwards
        { bytes: Uint8Array.of(1, 2, 3) },
      ],
    },
    { algorithm: 'SHA-256', pieces: [{ offset: 17, length: 12 * MIB }, { zeros: 3 }] },
    {
      algorithm: 'SHA-384',
      pieces: [{ bytes: Uint8Array.of(9) }, { offset: 30 * MIB, length: 2 * MIB }],
    },
    { algorithm: 'SHA-384', pieces: [{ offset: MIB, length: 25 * MIB }] },
    { algorithm: 'SHA-384', pieces: [{ offset: 5, length: 900 }] },
    { algorithm: 'SHA-1', pieces: [] },
  ];

  beforeAll(async () => {
    writeFileSync(path, bytes);
    source = await openFile(path);
  });
  afterAll(async () => {
    await source.close();
    rmSync(folder, { recursive: true });
  });

  it('gives what one pass gives, in the order of the jobs', async () => {
    const expected = await runDigestJobs(bytesSource(bytes), jobs, createNodeHasher);
    const digests = await runDigestJobsInParallel(source, jobs);
    expect(digests.map((digest) => Buffer.from(digest).toString('hex'))).toEqual(
      expected.map((digest) => Buffer.from(digest).toString('hex')),
    );
    expect(await runDigestJobs(source, jobs, createNodeHasher)).toEqual(expected);
    expect(await runDigestJobsInParallel(bytesSource(bytes), jobs)).toEqual(expected);
  });

  it('says so when the file is shorter than its headers say, whoever reads it', async () => {
    const beyond: DigestJob = { algorithm: 'SHA-384', pieces: [{ offset: 0, length: 50 * MIB }] };
    const failure = expect.objectContaining({ code: 'file.unreadable' });
    await expect(runDigestJobsInParallel(source, [beyond])).rejects.toEqual(failure);
    const long: DigestJob = {
      algorithm: 'SHA-384',
      pieces: [{ offset: 0, length: 39 * MIB }, { zeros: 39 * MIB }],
    };
    await expect(runDigestJobsInParallel(source, [long, beyond])).rejects.toEqual(failure);
    const short: DigestJob = {
      algorithm: 'SHA-384',
      pieces: [{ offset: 39 * MIB, length: 2 * MIB }],
    };
    await expect(runDigestJobsInParallel(source, [long, short])).rejects.toEqual(failure);
  });
});
