import { AttestationError } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import type { BootChain } from './boot-chain.js';
import { readExactly } from './byte-source.js';
import { packExtraFile } from './cpio.js';
import type { Piece } from './digest-jobs.js';
import { sectionPieces, sectionSource } from './pe-image.js';
import type { StubProfile } from './stub-profiles.js';

const MAX_EXTRA_BYTES = 1024 * 1024;

/**
 * The initrd as the stub hands it to the kernel: microcode, the UKI's initrd, and small archives
 * made of other sections. A single one is passed on as it is; several are joined, each padded to
 * four bytes. Throws `uki.not-predictable` without an initrd.
 */
export async function initrdPieces(
  { uki, stub, sections }: BootChain,
  extras: NonNullable<StubProfile['initrdExtras']>,
): Promise<{ pieces: Piece[]; appended: boolean }> {
  const initrd = sections.get('.initrd');
  if (initrd === undefined) return notPredictable('the UKI has no .initrd');
  const microcode = stub.profile.measuredSections.includes('.ucode') && sections.get('.ucode');
  const parts = [...(microcode ? [microcode] : []), initrd].map((section): Piece[] => [
    ...sectionPieces(section),
    ...zeros(section.virtualSize),
  ]);
  for (const [name, file] of extras) {
    const section = sections.get(name);
    if (section === undefined) continue;
    const { virtualSize } = section;
    if (virtualSize > MAX_EXTRA_BYTES) notPredictable(`${name} is larger than 1 MiB`);
    const source = sectionSource(uki.image, section);
    const contents = await readExactly(source, 0, virtualSize, name);
    parts.push([{ bytes: packExtraFile(file, contents) }]);
  }
  const appended = parts.length > 1;
  return { pieces: appended ? parts.flat() : sectionPieces(initrd), appended };
}

/** For a measurement that depends on more than the image; `why` says on what. */
export function notPredictable(why: string): never {
  throw new AttestationError(MEASUREMENT_CODES['uki.not-predictable'], { actual: why });
}

/** Zeros up to a multiple of four bytes. */
function zeros(length: number): Piece[] {
  const count = (4 - (length % 4)) % 4;
  return count === 0 ? [] : [{ zeros: count }];
}
