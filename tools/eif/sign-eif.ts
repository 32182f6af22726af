import { decodeHex } from 'tee-verify/bytes';
import { inspectEif, signingCertificatePcr } from 'tee-verify/measure';
import type { FileSource } from '../common/file-source.js';
import type { BuiltEif } from './build-eif.js';
import { EifFileWriter } from './eif-file-writer.js';
import { NODE_MEASURING } from './inspect-file.js';
import { readPieces } from './read-pieces.js';
import type { EifSigner } from './sign-pcr0.js';

/**
 * Writes a signed copy of an image; a signature that it has already is replaced. Everything else
 * stays byte for byte, so PCR0 to PCR2 do, too. Throws `eif.*` for an image that is not whole.
 */
export async function signEif(
  source: FileSource,
  path: string,
  signer: EifSigner,
): Promise<BuiltEif> {
  const image = await inspectEif(source, NODE_MEASURING);
  // The old signature goes: it may be as wrong as it likes.
  const problem = image.problems.find(({ code }) => !/^eif\.(signature|certificate)-/.test(code));
  if (problem !== undefined) throw problem;
  const pcr0 = decodeHex(image.pcrs.get(0) as string) as Uint8Array;
  const writer = await EifFileWriter.create(path);
  try {
    for (const { type, dataOffset, sizeBytes } of image.sections)
      if (type !== 'signature')
        await writer.section(
          type,
          readPieces({ path: source.path, offset: dataOffset, sizeBytes }),
        );
    await writer.section('signature', [signer.sign(pcr0)]);
    await writer.finish(image);
  } finally {
    await writer.discard();
  }
  const pcrs = new Map(image.pcrs).set(8, signingCertificatePcr(signer.certificateDer));
  return { pcrs };
}
