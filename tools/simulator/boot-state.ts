import { parseManifest } from 'tee-verify/manifest';
import { type BankName, parseEventLog, replayEventLog } from 'tee-verify/measure';
import { TPM_ALG } from '../agent/tpm/constants.js';
import { tpmHash } from '../agent/tpm/names.js';
import { ToolError } from '../common/tool-error.js';
import type { TpmSimulator } from './tpm-simulator.js';

const BANKS: readonly (readonly [BankName, number])[] = [
  ['sha1', TPM_ALG.SHA1],
  ['sha256', TPM_ALG.SHA256],
  ['sha384', TPM_ALG.SHA384],
  ['sha512', TPM_ALG.SHA512],
];
const HASHES: Readonly<Record<string, number>> = {
  'SHA-1': TPM_ALG.SHA1,
  'SHA-256': TPM_ALG.SHA256,
  'SHA-384': TPM_ALG.SHA384,
  'SHA-512': TPM_ALG.SHA512,
};

/**
 * Puts the PCRs where a boot with this event log (binary_bios_measurements) leaves them, in every
 * bank that the log and the simulator share.
 * @throws AttestationError `eventlog.*`; ToolError `simulator.option-invalid` without a shared bank
 */
export async function replayBoot(simulator: TpmSimulator, eventLog: Uint8Array): Promise<void> {
  const log = parseEventLog(eventLog);
  const shared = BANKS.filter(
    ([name, algorithm]) =>
      simulator.banks.includes(algorithm) && log.banks.some(({ bank }) => bank === name),
  );
  if (shared.length === 0)
    throw new ToolError('simulator.option-invalid', {
      expected: 'an event log with a bank of the simulator',
      actual: log.banks.map(({ bank }) => bank).join(', '),
    });
  for (const [name, algorithm] of shared) {
    const pcrs = await replayEventLog(log, name, (hash, data) =>
      tpmHash(HASHES[hash] as number, data),
    );
    pcrs.forEach(({ value, eventCount }, index) => {
      if (eventCount > 0 || index === 0) simulator.setPcr(index, value, algorithm);
    });
  }
}

/**
 * Puts the SHA-384 PCRs where a reference manifest wants them: its first set that is not revoked,
 * or the one with this label.
 * @throws AttestationError `manifest.*`; ToolError `simulator.option-invalid` without such a set
 */
export function bootFromManifest(
  simulator: TpmSimulator,
  manifest: string | Uint8Array | object,
  label?: string,
): void {
  const { sets } = parseManifest(manifest);
  const set = sets.find((one) =>
    label === undefined ? one.revokedReason === undefined : one.label === label,
  );
  if (set === undefined)
    throw new ToolError('simulator.option-invalid', {
      expected: label === undefined ? 'a set that is not revoked' : `a set labelled ${label}`,
      actual: sets.map((one) => one.label).join(', '),
    });
  for (const [index, value] of set.pcrs) simulator.setPcr(index, value);
}
