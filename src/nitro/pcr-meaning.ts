import type { Platform } from './document.js';

/** TCG PC Client Platform Firmware Profile 3.3.4; UAPI group for 11 to 15; AWS for the rest. */
const NITROTPM: Readonly<Record<number, string>> = {
  0: 'firmware',
  1: 'platform configuration (differs on every instance)',
  2: 'option ROMs',
  3: 'option ROM configuration',
  4: 'boot manager and UKI code',
  5: 'GPT and boot configuration',
  6: 'host platform events',
  7: 'Secure Boot policy',
  8: 'operating system (kernel command line)',
  9: 'operating system (initrd, load options)',
  10: 'IMA (files measured at run time)',
  11: 'UKI sections',
  12: 'command line and credentials from outside',
  13: 'system extensions',
  14: 'shim and machine owner keys',
  15: 'operating system (root volume, machine identity)',
  16: 'debug',
  23: 'application',
};

/** AWS Nitro Enclaves user guide, "Where to find an enclave's measurements". */
const ENCLAVE: Readonly<Record<number, string>> = {
  0: 'whole enclave image',
  1: 'kernel, command line and first ramdisk',
  2: 'application ramdisks',
  3: 'IAM role of the parent instance',
  4: 'ID of the parent instance',
  8: 'certificate that signed the image',
};

/** What a PCR measures, e.g. `boot manager and UKI code`. */
export function pcrMeaning(platform: Platform, index: number): string {
  if (platform === 'enclave') return ENCLAVE[index] ?? 'defined by the enclave';
  if (index >= 17 && index <= 22) return 'dynamic launch (all ff until used)';
  return NITROTPM[index] ?? 'defined by the operating system';
}
