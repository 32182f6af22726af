import type { HashAlgorithm } from '../crypto/provider.js';
import type { ByteSource } from './byte-source.js';
import { type Piece, runDigestJobs } from './digest-jobs.js';
import type { CreateHasher } from './hasher.js';
import { createNobleHasher } from './noble-hasher.js';
import { inFileOrder, type PeImage, readPeImage } from './pe-image.js';

/**
 * What the Authenticode digest of a PE image covers, in order: the headers without the CheckSum
 * field and without the entry of the certificate table, the sections by their place in the file,
 * and everything behind them but the attribute certificates.
 *
 * Source: Microsoft, Windows Authenticode Portable Executable Signature Format, "Calculating the
 * PE image hash".
 */
export function authenticodePieces(image: PeImage): Piece[] {
  const { checksumOffset, certificateEntryOffset, sizeOfHeaders, endOfSections } = image;
  const pieces: Piece[] = [{ offset: 0, length: checksumOffset }];
  let from = checksumOffset + 4;
  if (certificateEntryOffset !== undefined) {
    pieces.push({ offset: from, length: certificateEntryOffset - from });
    from = certificateEntryOffset + 8;
  }
  pieces.push({ offset: from, length: sizeOfHeaders - from });
  for (const { rawOffset, rawSize } of inFileOrder(image.sections))
    pieces.push({ offset: rawOffset, length: rawSize });
  const trailing = image.source.size - image.certificates.size - endOfSections;
  if (trailing > 0) pieces.push({ offset: endOfSections, length: trailing });
  return pieces;
}

/**
 * Authenticode digests of a PE image, in one pass over it: what firmware extends into PCR4 and what
 * signatures sign. 20 to 64 bytes each, in the order asked for. Throws the codes of `readPeImage`.
 */
export async function authenticodeDigests(
  source: ByteSource,
  algorithms: readonly HashAlgorithm[],
  createHasher: CreateHasher = createNobleHasher,
): Promise<Uint8Array[]> {
  const pieces = authenticodePieces(await readPeImage(source));
  const jobs = algorithms.map((algorithm) => ({ algorithm, pieces }));
  return runDigestJobs(source, jobs, createHasher);
}
