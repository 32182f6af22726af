import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { readExactly } from './byte-source.js';
import { findSection, type PeImage, type PeSection, sectionSource } from './pe-image.js';
import {
  isStubProfileName,
  STUB_PROFILES,
  STUB_SECTIONS,
  type StubProfile,
  type StubProfileName,
} from './stub-profiles.js';
import { decodeAscii, printable } from './text.js';

/** The largest section that is read into memory as text. */
const MAX_TEXT_BYTES = 64 * 1024;
/** How much larger than in the file the sections may be in memory, together; all of it is hashed. */
const MAX_ZEROS = 16 * 1024 * 1024;
const AMAZON_LINUX_2023 = { ID: 'amzn', VERSION_ID: '2023' } as const;

/** The stub of a UKI, and what it is known to measure. */
export interface UkiStub {
  /** What `.sdmagic` says, e.g. `systemd-stub 252.39-1~deb12u2`; undefined without it. */
  readonly version: string | undefined;
  readonly profile: StubProfile;
}

/**
 * Which stub a UKI has: from `.sdmagic`, or 252 for Amazon Linux 2023, whose stub carries none.
 * A profile chosen by the caller overrules both.
 *
 * Throws `uki.stub-version` when nothing tells, `uki.stub-unknown` when the version isn't known.
 */
export async function identifyStub(image: PeImage, chosen?: StubProfileName): Promise<UkiStub> {
  const hasMagic = image.sections.some(({ name }) => name === '.sdmagic');
  const magic = await readTextSection(image, '.sdmagic');
  const version = /^#### LoaderInfo: (systemd-stub \S+) ####$/.exec(magic ?? '')?.[1];
  if (chosen !== undefined) return { version, profile: STUB_PROFILES[chosen] };
  if (version !== undefined) {
    const major = /^systemd-stub v?(\d+)/.exec(version)?.[1] ?? '';
    if (isStubProfileName(major)) return { version, profile: STUB_PROFILES[major] };
    reject(
      MEASUREMENT_CODES['uki.stub-unknown'],
      `systemd-stub ${Object.keys(STUB_PROFILES).join(', ')}`,
      version,
    );
  }
  if (!hasMagic && (await isAmazonLinux2023(image)))
    return { version, profile: STUB_PROFILES['252'] };
  reject(
    MEASUREMENT_CODES['uki.stub-version'],
    '.sdmagic of systemd-stub, or .osrel of Amazon Linux 2023',
    !hasMagic
      ? 'neither'
      : `.sdmagic with ${magic === undefined ? 'no text' : JSON.stringify(printable(magic, 80))}`,
  );
}

/** Whether a stub may look at this section. */
export function isStubSection({ name }: PeSection): boolean {
  return STUB_SECTIONS.has(name);
}

/**
 * The sections that a boot of the UKI's first profile works with: those before the first
 * `.profile`, overridden by those from it to the next one (UAPI Unified Kernel Image, "Multi-profile
 * UKIs"). Throws `uki.section-duplicate`, `uki.section-name`, `pe.limit-exceeded`.
 */
export function selectSections(
  image: PeImage,
  profile: StubProfile,
): ReadonlyMap<string, PeSection> {
  if (profile.matchesPrefixes) checkNames(image, [...profile.measuredSections, '.pcrsig']);
  const starts = profile.multiProfile
    ? [...image.sections.entries()].filter(([, { name }]) => name === '.profile').map(([i]) => i)
    : [];
  const base = image.sections.slice(0, starts[0]);
  const first = starts[0] === undefined ? [] : image.sections.slice(starts[0], starts[1]);
  const baseByName = byName(base);
  const firstByName = byName(first);
  for (const [name, { virtualSize }] of firstByName)
    if (virtualSize === 0 && baseByName.has(name)) failDuplicate(name); // stubs may differ
  const selected = new Map([...baseByName, ...firstByName]);
  for (const [name, { virtualSize }] of selected) if (virtualSize === 0) selected.delete(name);
  checkZeros([...selected.values()].filter(isStubSection));
  return selected;
}

function checkNames(image: PeImage, names: readonly string[]): void {
  for (const { name } of image.sections) {
    const known = names.find((one) => name !== one && name.startsWith(one));
    if (known !== undefined)
      reject(
        MEASUREMENT_CODES['uki.section-name'],
        `no other section than ${known} whose name starts so`,
        name,
      );
  }
}

function checkZeros(sections: readonly PeSection[]): void {
  let zeros = 0;
  for (const { virtualSize, rawSize } of sections) zeros += Math.max(0, virtualSize - rawSize);
  if (zeros > MAX_ZEROS)
    reject(
      MEASUREMENT_CODES['pe.limit-exceeded'],
      `sections at most ${MAX_ZEROS} bytes larger in memory, together`,
      `${zeros}`,
    );
}

/** A section as text up to its first NUL; undefined when there is none, or it is too large for one. */
async function readTextSection(image: PeImage, name: string): Promise<string | undefined> {
  const section = findSection(image, name);
  return section === undefined ? undefined : readText(image, section);
}

/** The same for a section at hand. */
export async function readText(image: PeImage, section: PeSection): Promise<string | undefined> {
  if (section.virtualSize > MAX_TEXT_BYTES) return undefined;
  const source = sectionSource(image, section);
  return decodeAscii(await readExactly(source, 0, section.virtualSize, section.name));
}

async function isAmazonLinux2023(image: PeImage): Promise<boolean> {
  const lines = (await readTextSection(image, '.osrel'))?.split('\n') ?? [];
  const fields = new Map(
    lines.map((line) => {
      const [name = '', value = ''] = line.trim().split('=', 2);
      return [name, value.replace(/^(["'])(.*)\1$/, '$2')];
    }),
  );
  return Object.entries(AMAZON_LINUX_2023).every(([name, value]) => fields.get(name) === value);
}

function byName(sections: readonly PeSection[]): Map<string, PeSection> {
  const found = new Map<string, PeSection>();
  for (const section of sections) {
    // Also when one of them is empty: stub 252 takes the last one, whatever its size.
    if (found.has(section.name) && section.name.startsWith('.')) failDuplicate(section.name);
    found.set(section.name, section);
  }
  return found;
}

function failDuplicate(name: string): never {
  reject(MEASUREMENT_CODES['uki.section-duplicate'], `one section ${name}`, 'two');
}
