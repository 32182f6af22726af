import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import type { ByteSource } from './byte-source.js';
import { normalizeCommandLine } from './command-line.js';
import { type PeImage, type PeSection, readPeImage } from './pe-image.js';
import { checkRelocations } from './relocations.js';
import type { StubProfile, StubProfileName } from './stub-profiles.js';
import { identifyStub, isStubSection, readText, selectSections, type UkiStub } from './uki.js';

/** An image that firmware loads during a boot. */
export interface BootImage {
  /** What to call it in events and messages, e.g. its file name. */
  readonly name: string;
  readonly source: ByteSource;
}

/** A boot image, read. */
export interface LoadedImage {
  readonly name: string;
  readonly image: PeImage;
  readonly role: 'loader' | 'uki' | 'addon';
}

/** The images of one boot, in load order, around its one UKI. */
export interface BootChain {
  readonly images: readonly LoadedImage[];
  readonly uki: LoadedImage;
  readonly stub: UkiStub;
  /** The sections of the UKI that this boot works with, by name. */
  readonly sections: ReadonlyMap<string, PeSection>;
  /** The command line that the UKI carries, as the stub passes it on; undefined without one. */
  readonly commandLine: string | undefined;
  /** What addons append to the command line; empty without them. */
  readonly addonCommandLine: string;
}

const MAX_IMAGES = 64;
/** What an addon may hold that is measured in other ways than its command line. */
const OTHER_ADDON_SECTIONS = ['.dtb', '.dtbauto', '.initrd', '.ucode'];

/**
 * Reads the images of a boot: boot loaders before the UKI, the UKI, its addons behind it.
 *
 * Throws the codes of `readPeImage`, `identifyStub`, `checkRelocations` and `selectSections`,
 * `uki.not-a-uki`, `uki.several`, `uki.addon-unsupported`.
 */
export async function readBootChain(
  bootImages: readonly BootImage[],
  stubProfile?: StubProfileName,
): Promise<BootChain> {
  if (bootImages.length === 0 || bootImages.length > MAX_IMAGES)
    throw new TypeError(`pass 1 to ${MAX_IMAGES} images`);
  const images: LoadedImage[] = [];
  let uki: LoadedImage | undefined;
  for (const { name, source } of bootImages) {
    const image = await readPeImage(source);
    const isUki = image.sections.some((section) => section.name === '.linux');
    if (isUki && uki !== undefined)
      throw new AttestationError(MEASUREMENT_CODES['uki.several'], {
        actual: `${uki.name} and ${name}`,
      });
    // Addons are read in memory like the UKI; of a boot loader only the file counts.
    if (isUki || uki !== undefined) await checkRelocations(image, isStubSection);
    const role = isUki ? 'uki' : uki === undefined ? 'loader' : 'addon';
    const loaded: LoadedImage = { name, image, role };
    images.push(loaded);
    if (isUki) uki = loaded;
  }
  if (uki === undefined)
    reject(
      MEASUREMENT_CODES['uki.not-a-uki'],
      'a .linux section',
      images.map(({ image }) => image.sections.map(({ name }) => name).join(' ')).join('; '),
    );
  const stub = await identifyStub(uki.image, stubProfile);
  const sections = selectSections(uki.image, stub.profile);
  const commandLine = await readCommandLine(uki.image, sections, stub.profile);
  const uname = await readSelected(uki.image, sections, '.uname');
  const addons = images.filter(({ role }) => role === 'addon');
  const lines: string[] = [];
  for (const addon of addons) lines.push(await readAddon(addon, stub, uname));
  const addonCommandLine = lines.filter((line) => line !== '').join(' ');
  return { images, uki, stub, sections, commandLine, addonCommandLine };
}

async function readCommandLine(
  image: PeImage,
  sections: ReadonlyMap<string, PeSection>,
  profile: StubProfile,
): Promise<string | undefined> {
  const section = sections.get('.cmdline');
  if (section === undefined) return undefined;
  const text = await readText(image, section);
  if (text === undefined)
    reject(
      MEASUREMENT_CODES['uki.command-line'],
      '.cmdline of at most 64 KiB',
      `${section.virtualSize} bytes`,
    );
  return normalizeCommandLine(text, profile);
}

/** The command line of an addon, checked to be all that the stub measures of it. */
async function readAddon(
  { name, image }: LoadedImage,
  { profile }: UkiStub,
  uname: string | undefined,
): Promise<string> {
  const sections = selectSections(image, { ...profile, multiProfile: false });
  const other = OTHER_ADDON_SECTIONS.filter((section) => sections.has(section));
  const addonUname = await readSelected(image, sections, '.uname');
  const line = await readCommandLine(image, sections, profile);
  const mismatch = uname !== undefined && addonUname !== undefined && uname !== addonUname;
  if (!profile.addons || line === undefined || other.length > 0 || mismatch)
    reject(
      MEASUREMENT_CODES['uki.addon-unsupported'],
      profile.addons
        ? 'an addon with .cmdline, without other measured sections, with the .uname of the UKI'
        : `no image after the UKI (profile ${profile.name})`,
      `${name}: ${[...sections.keys()].join(' ')}`,
    );
  return line;
}

async function readSelected(
  image: PeImage,
  sections: ReadonlyMap<string, PeSection>,
  name: string,
): Promise<string | undefined> {
  const section = sections.get(name);
  return section === undefined ? undefined : readText(image, section);
}
