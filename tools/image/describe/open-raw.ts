import { type ByteSource, findSection, type PeImage, readPeImage } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES } from '../disk/architecture.js';
import { readAt, windowOf } from '../disk/read-at.js';
import { type EspContents, readEsp } from '../disk/read-esp.js';
import { type RawImage, readRawImage } from '../disk/read-raw-image.js';
import { joinedSource } from './joined-source.js';

/** A raw image as firmware and the kernel find it. */
export interface BootableImage extends RawImage {
  readonly espContents: EspContents;
  /** Where the UKI stands on the EFI system partition. */
  readonly ukiPath: string;
  readonly uki: ByteSource;
  /** The command line in the UKI. */
  readonly commandLine: string;
  /** What the stub hands on as one initrd: `.ucode` and `.initrd`; undefined when there is none. */
  readonly initrd: ByteSource | undefined;
}

const MAX_COMMAND_LINE_BYTES = 64 * 1024;

/**
 * Reads what a raw image boots. Other files beside the UKI are left to the caller. Throws `gpt.*`,
 * `esp.*`, `raw-image.unsupported` and the `pe.*` codes of the UKI.
 */
export async function openRaw(source: ByteSource): Promise<BootableImage> {
  const raw = await readRawImage(source);
  const espContents = await readEsp(raw.esp.source, 0, raw.esp.sizeBytes);
  const { bootPath } = ARCHITECTURES[raw.architecture];
  const file = espContents.files.find(({ path }) => path.toUpperCase() === bootPath);
  if (file === undefined)
    throw new ToolError('esp.unexpected-file', { expected: bootPath, actual: 'no such file' });
  const image = await readPeImage(file.source);
  return {
    ...raw,
    espContents,
    ukiPath: file.path,
    uki: file.source,
    commandLine: await readCommandLine(image),
    initrd: initrdOf(image),
  };
}

/** `.ucode` stands first (systemd-stub(7)); of UKIs with several profiles, every initrd. */
function initrdOf(image: PeImage): ByteSource | undefined {
  const parts = ['.ucode', '.initrd'].flatMap((wanted) =>
    image.sections
      .filter(({ name }) => name === wanted)
      .map(({ rawOffset, rawSize, virtualSize }) =>
        windowOf(image.source, rawOffset, Math.min(rawSize, virtualSize)),
      ),
  );
  return parts.length > 1 ? joinedSource(parts) : parts[0];
}

/** The text of `.cmdline`; of UKIs with several profiles, of all of them. */
async function readCommandLine(image: PeImage): Promise<string> {
  if (findSection(image, '.linux') === undefined)
    throw unsupported('a UKI', 'a program without .linux');
  const texts: string[] = [];
  for (const { name, rawOffset, rawSize, virtualSize } of image.sections) {
    if (name !== '.cmdline') continue;
    const length = Math.min(rawSize, virtualSize);
    if (length > MAX_COMMAND_LINE_BYTES) throw unsupported('a command line', `${length} bytes`);
    const bytes = await readAt(image.source, rawOffset, length, '.cmdline', 'esp.malformed');
    texts.push(Buffer.from(bytes).toString().replace(/\0+$/, '').trim());
  }
  return texts.join(' ');
}

/** An error for a form of image that is not read. */
export function unsupported(expected: string, actual: string): ToolError {
  return new ToolError('raw-image.unsupported', { expected, actual });
}
