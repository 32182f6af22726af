import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readInput } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';
import { ARCHITECTURES, type ImageArchitecture } from '../disk/architecture.js';

/** Where systemd's stubs are installed: Debian and others, NixOS. */
const FOLDERS = [
  '/usr/lib/systemd/boot/efi',
  '/lib/systemd/boot/efi',
  '/run/current-system/sw/lib/systemd/boot/efi',
];
/** Stubs have some 100 KB. */
const MAX_STUB_BYTES = 16 * 1024 * 1024;

/**
 * The bytes of the stub: of the file named, or systemd's on this machine. Throws `stub.not-found`,
 * `file.unreadable`, `file.too-large`.
 */
export async function readStub(
  path: string | undefined,
  architecture: ImageArchitecture,
): Promise<Uint8Array> {
  if (path !== undefined) return readInput(path, MAX_STUB_BYTES);
  const { stubName } = ARCHITECTURES[architecture];
  const found = FOLDERS.map((folder) => join(folder, stubName)).find((file) => existsSync(file));
  if (found === undefined)
    throw new ToolError('stub.not-found', { expected: stubName, actual: FOLDERS.join(', ') });
  return readInput(found, MAX_STUB_BYTES);
}
