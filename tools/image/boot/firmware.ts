import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { readSmallFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';
import type { SecureBootIdentity } from '../signing/secure-boot-identity.js';
import {
  addFirmwareVariables,
  type FirmwareVariable,
  secureBootVariables,
} from './firmware-variables.js';

/** UEFI firmware for a machine. */
export interface Firmware {
  /** Path of the code. */
  readonly code: string;
  /** Contents of the variable file. */
  readonly variables: Uint8Array;
}

/** Debian and Ubuntu; Fedora; Arch. Nix has no fixed place: --firmware names it. */
const FOLDERS = ['/usr/share/OVMF', '/usr/share/edk2/ovmf', '/usr/share/edk2/x64'];

/** Code and the empty variables that fit it, the best first. */
const PLAIN = [
  ['OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd'],
  ['OVMF_CODE.4m.fd', 'OVMF_VARS.4m.fd'],
  ['OVMF_CODE.fd', 'OVMF_VARS.fd'],
] as const;
const SECURE = [
  ['OVMF_CODE_4M.secboot.fd', 'OVMF_VARS_4M.fd'],
  ['OVMF_CODE.secboot.4m.fd', 'OVMF_VARS.4m.fd'],
  ['OVMF_CODE.secboot.fd', 'OVMF_VARS.fd'],
  // Nix gives the code with Secure Boot the plain name.
  ['OVMF_CODE.fd', 'OVMF_VARS.fd'],
] as const;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Finds OVMF in `folder`, or where distributions keep it, and enrols `identity` when there is one.
 * Throws `boot.firmware-missing`, `boot.firmware-variables`, `file.unreadable`.
 */
export async function findFirmware(
  folder: string | undefined,
  identity: SecureBootIdentity | undefined,
  more: readonly FirmwareVariable[] = [],
): Promise<Firmware> {
  const names = identity === undefined ? PLAIN : SECURE;
  for (const place of folder === undefined ? FOLDERS : [folder]) {
    for (const [code, variables] of names) {
      if (!(await areThere(join(place, code), join(place, variables)))) continue;
      const empty = await readSmallFile(join(place, variables), MAX_BYTES);
      const enrolled = identity === undefined ? [] : secureBootVariables(identity);
      return {
        code: join(place, code),
        variables: addFirmwareVariables(empty, [...enrolled, ...more]),
      };
    }
  }
  throw new ToolError('boot.firmware-missing', {
    expected: names.map((pair) => pair.join(' with ')).join(', or '),
    actual: `none in ${folder ?? FOLDERS.join(', ')}`,
  });
}

async function areThere(...paths: readonly string[]): Promise<boolean> {
  try {
    for (const path of paths) await access(path);
    return true;
  } catch {
    return false;
  }
}
