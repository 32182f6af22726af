/** The versions of systemd-stub whose measurements are known by measured boots. */
export type StubProfileName = '252' | '257' | '262';

/** What one version of systemd-stub measures. */
export interface StubProfile {
  readonly name: StubProfileName;
  /** Sections extended into PCR11 when present, in this order. */
  readonly measuredSections: readonly string[];
  /** Whether the firmware measures the inner kernel into PCR4, without and with Secure Boot. */
  readonly measuresKernel: { readonly secureBootOff: boolean; readonly secureBootOn: boolean };
  /**
   * Whether the stub takes any section whose name starts with that of one that it knows for it, the
   * last one winning (252, pe.c: memcmp over the known name's length).
   */
  readonly matchesPrefixes: boolean;
  /** Whether white space before a command line goes; behind it, it goes in every version. */
  readonly trimsLeadingSpace: boolean;
  /** Whether addons are loaded, and their command lines measured into PCR12. */
  readonly addons: boolean;
  /** Whether `.profile` sections divide the UKI into profiles. */
  readonly multiProfile: boolean;
  /**
   * Files that the stub appends to the initrd as cpio archives, in this order: section → name under
   * `.extra/`. Undefined when it also appends something of the machine, so that PCR9 is unknown.
   */
  readonly initrdExtras: readonly (readonly [section: string, file: string])[] | undefined;
}

const PCR_SIGNATURE = ['.pcrsig', 'tpm2-pcr-signature.json'] as const;
const PCR_PUBLIC_KEY = ['.pcrpkey', 'tpm2-pcr-public-key.pem'] as const;

/** Every known profile; each was compared with measured boots (docs/measurements.md). */
export const STUB_PROFILES: Readonly<Record<StubProfileName, StubProfile>> = {
  '252': {
    name: '252',
    measuredSections: ['.linux', '.osrel', '.cmdline', '.initrd', '.splash', '.dtb', '.pcrpkey'],
    measuresKernel: { secureBootOff: true, secureBootOn: false },
    matchesPrefixes: true,
    trimsLeadingSpace: false,
    addons: false,
    multiProfile: false,
    initrdExtras: [PCR_SIGNATURE, PCR_PUBLIC_KEY],
  },
  '257': {
    name: '257',
    measuredSections: [
      ...['.linux', '.osrel', '.cmdline', '.initrd', '.ucode', '.splash', '.dtb', '.uname'],
      ...['.sbat', '.pcrpkey', '.profile', '.dtbauto', '.hwids'],
    ],
    measuresKernel: { secureBootOff: true, secureBootOn: false },
    matchesPrefixes: false,
    trimsLeadingSpace: true,
    addons: true,
    multiProfile: true,
    initrdExtras: [
      PCR_SIGNATURE,
      PCR_PUBLIC_KEY,
      ['.osrel', 'os-release'],
      ['.profile', 'profile'],
    ],
  },
  '262': {
    name: '262',
    measuredSections: [
      ...['.linux', '.osrel', '.cmdline', '.initrd', '.ucode', '.splash', '.dtb', '.uname'],
      ...['.sbat', '.pcrpkey', '.profile', '.dtbauto', '.hwids', '.efifw'],
    ],
    measuresKernel: { secureBootOff: false, secureBootOn: false },
    matchesPrefixes: false,
    trimsLeadingSpace: true,
    addons: true,
    multiProfile: true,
    initrdExtras: undefined,
  },
};

/** Every section that some stub looks for; what it finds there is measured or changes the boot. */
export const STUB_SECTIONS: ReadonlySet<string> = new Set([
  ...Object.values(STUB_PROFILES).flatMap(({ measuredSections }) => measuredSections),
  ...['.pcrsig', '.sdmagic'],
]);

/** Whether a text names a profile. */
export function isStubProfileName(text: string): text is StubProfileName {
  return Object.hasOwn(STUB_PROFILES, text);
}
