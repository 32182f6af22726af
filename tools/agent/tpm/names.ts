import { createHash } from 'node:crypto';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { ToolError } from '../../common/tool-error.js';
import { HASH_NAMES } from './constants.js';
import { hexNumber, written } from './read-structure.js';
import { encodeNvPublic, type NvPublic } from './tpms-nv-public.js';
import { encodePublic, type TpmtPublic } from './tpmt-public.js';

/** Hashes with a TPM_ALG. @throws ToolError `tpm.unsupported` for another algorithm */
export function tpmHash(algorithm: number, ...parts: readonly Uint8Array[]): Bytes {
  const name = HASH_NAMES[algorithm];
  if (name === undefined)
    throw new ToolError('tpm.unsupported', {
      expected: 'SHA-1, SHA-256, SHA-384 or SHA-512',
      actual: hexNumber(algorithm),
    });
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** The name of an object: nameAlg || H(TPMT_PUBLIC) (Part 1, 16). */
export function objectName(area: TpmtPublic): Bytes {
  return hashedName(area.nameAlgorithm, encodePublic(area));
}

/** The name of an NV index; it changes with the first write (attribute WRITTEN). */
export function nvName(area: NvPublic): Bytes {
  return hashedName(area.nameAlgorithm, encodeNvPublic(area));
}

/** The name of a PCR, a permanent handle or a session: the handle itself. */
export function handleName(handle: number): Bytes {
  return written((writer) => writer.u32(handle));
}

function hashedName(algorithm: number, bytes: Uint8Array): Bytes {
  return concatBytes(
    written((writer) => writer.u16(algorithm)),
    tpmHash(algorithm, bytes),
  );
}
