/** What an image runs on, as EC2 and the kernel call it. */
export type ImageArchitecture = 'x86_64' | 'aarch64';

/** What differs between the architectures. */
export interface ArchitectureFacts {
  /** Where firmware looks for the program to start (UEFI 2.10, 3.5.1.1), below the ESP's root. */
  readonly bootPath: string;
  /** IMAGE_FILE_MACHINE of PE images. */
  readonly machine: number;
  /** Size of the EFI system partition that a build makes. */
  readonly espBytes: number;
  /** The name of systemd's stub on the machine that builds. */
  readonly stubName: string;
  /** Partition types (UAPI Discoverable Partitions Specification). */
  readonly types: Readonly<Record<'root' | 'root-verity' | 'usr' | 'usr-verity', string>>;
}

const MIB = 1024 * 1024;

/** The type of EFI system partitions. */
export const ESP_TYPE = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';

/** Both architectures of EC2. */
export const ARCHITECTURES: Readonly<Record<ImageArchitecture, ArchitectureFacts>> = {
  x86_64: {
    bootPath: 'EFI/BOOT/BOOTX64.EFI',
    machine: 0x8664,
    espBytes: 64 * MIB,
    stubName: 'linuxx64.efi.stub',
    types: {
      root: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
      'root-verity': '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
      usr: '8484680c-9521-48c6-9c11-b0720656f69e',
      'usr-verity': '77ff5f63-e7b6-4633-acf4-1565b864c0e6',
    },
  },
  aarch64: {
    bootPath: 'EFI/BOOT/BOOTAA64.EFI',
    machine: 0xaa64,
    espBytes: 128 * MIB,
    stubName: 'linuxaa64.efi.stub',
    types: {
      root: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
      'root-verity': 'df3300ce-d69f-4c92-978c-9bfb0f38d820',
      usr: 'b0e01050-ee5f-4390-949a-9101b17104e9',
      'usr-verity': '6e11a4e7-fbca-4ded-b9e9-e1a512bb664e',
    },
  },
};
