import { isFilledWith } from '../bytes/bytes.js';
import { reject } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import type { VerifiedDocument } from './document.js';

const DEBUG_PCRS = [0, 1, 2] as const;

/** Which of PCR0 to PCR2 are all zero: an enclave with any of them runs in debug mode. */
export function debugPcrs({ platform, pcrs }: VerifiedDocument): readonly number[] {
  if (platform !== 'enclave') return [];
  return DEBUG_PCRS.filter((index) => {
    const value = pcrs.get(index);
    return value !== undefined && isFilledWith(value, 0);
  });
}

/**
 * Refuses enclaves in debug mode (Nitro Enclaves user guide: their PCRs are all zero), unless the
 * caller allows them. Throws `pcr.debug-mode`.
 */
export function checkDebugMode(document: VerifiedDocument, allowDebug: boolean, note: Note): void {
  if (document.platform !== 'enclave') return;
  const zero = debugPcrs(document);
  if (zero.length === 0) note('not in debug mode');
  else if (allowDebug) note('debug mode, allowed by the caller');
  else
    reject(
      'pcr.debug-mode',
      'PCR0, PCR1 and PCR2 not all zero',
      `${zero.map((index) => `PCR${index}`).join(', ')} all zero`,
    );
}
