import { type Bytes, copyBytes } from 'tee-verify/bytes';
import { ToolError } from '../../../common/tool-error.js';
import { DIGEST_SIZES, HASH_NAMES, TPM_CC } from '../constants.js';
import { handleName } from '../names.js';
import { type PcrSelection, readPcrSelections, writePcrSelections } from '../pcr-selection.js';
import { hexNumber, readList, readStructure, refuse, written } from '../read-structure.js';
import { PASSWORD_SESSION } from '../session.js';
import type { Authorisation, TpmClient } from '../tpm-client.js';

/** The values of one bank. */
export interface PcrValues {
  /** Index → value, ascending. */
  readonly values: ReadonlyMap<number, Bytes>;
  /** Counts changes of PCRs; equal counters mean equal values (16 and 21 to 23 do not count). */
  readonly updateCounter: number;
}

const MAX_READINGS = 5;

/**
 * Reads PCRs of one bank, in as many calls as it takes; starts again when a PCR changes between
 * two calls.
 * @throws ToolError `tpm.unsupported` when the bank lacks one of them, `attest.pcrs-changing`
 */
export async function readPcrs(client: TpmClient, wanted: PcrSelection): Promise<PcrValues> {
  for (let reading = 0; reading < MAX_READINGS; reading++) {
    const values = await readPcrsOnce(client, wanted);
    if (values !== undefined) return values;
  }
  throw new ToolError('attest.pcrs-changing', { actual: `${MAX_READINGS} readings in vain` });
}

async function readPcrsOnce(
  client: TpmClient,
  { hashAlgorithm, indices }: PcrSelection,
): Promise<PcrValues | undefined> {
  const values = new Map<number, Bytes>();
  let counter: number | undefined;
  for (;;) {
    const left = indices.filter((index) => !values.has(index));
    if (left.length === 0 && counter !== undefined) break;
    const answer = await pcrRead(client, [{ hashAlgorithm, indices: left }]);
    if (counter !== undefined && counter !== answer.updateCounter) return undefined;
    counter = answer.updateCounter;
    const selection = answer.selections[0];
    if (selection === undefined || selection.indices.length === 0) {
      if (left.length === 0) break;
      throw new ToolError('tpm.unsupported', {
        expected: `PCR ${left.join(', ')} in the ${HASH_NAMES[hashAlgorithm] ?? hexNumber(hashAlgorithm)} bank`,
        actual: 'a bank without them',
      });
    }
    selection.indices.forEach((index, i) => {
      values.set(index, answer.digests[i] as Bytes);
    });
  }
  return {
    values: new Map([...values].sort(([a], [b]) => a - b)),
    updateCounter: counter,
  };
}

/** TPM2_PCR_Read once (Part 3, 22.4): at most eight values of what was asked for. */
export async function pcrRead(
  client: TpmClient,
  selections: readonly PcrSelection[],
): Promise<{ updateCounter: number; selections: PcrSelection[]; digests: Bytes[] }> {
  const { parameters } = await client.execute({
    code: TPM_CC.PCR_Read,
    parameters: written((writer) => writePcrSelections(writer, selections)),
  });
  return readStructure(
    parameters,
    'PCR_Read response',
    (reader) => {
      const updateCounter = reader.u32('pcrUpdateCounter');
      const returned = readPcrSelections(reader);
      const digests = readList(reader, 'pcrValues', 8, (item) =>
        copyBytes(item.sized16('digest', 64)),
      );
      let at = 0;
      for (const { hashAlgorithm, indices } of returned) {
        const asked = selections.find((one) => one.hashAlgorithm === hashAlgorithm);
        for (const index of indices) {
          if (asked?.indices.includes(index) !== true)
            refuse(reader, 'pcrSelectionOut', 'only what was asked for', `PCR ${index}`);
          const size = digests[at++]?.length;
          if (size !== DIGEST_SIZES[hashAlgorithm])
            refuse(reader, 'pcrValues', `${DIGEST_SIZES[hashAlgorithm]} bytes`, `${size}`);
        }
      }
      if (at !== digests.length)
        refuse(reader, 'pcrValues', `${at} values as selected`, `${digests.length}`);
      return { updateCounter, selections: returned, digests };
    },
    'tpm.response-malformed',
  );
}

/** TPM2_PCR_Extend (Part 3, 22.2): PCR = H(PCR || digest) in each bank given. */
export async function pcrExtend(
  client: TpmClient,
  index: number,
  digests: ReadonlyMap<number, Uint8Array>,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.PCR_Extend,
    handles: [index],
    names: [handleName(index)],
    authorisation,
    parameters: written((writer) => {
      writer.u32(digests.size);
      for (const [algorithm, digest] of digests) writer.u16(algorithm).bytes(digest);
    }),
  });
}

/** TPM2_PCR_Reset (Part 3, 22.8): back to zero where the locality allows it. */
export async function pcrReset(
  client: TpmClient,
  index: number,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.PCR_Reset,
    handles: [index],
    names: [handleName(index)],
    authorisation,
  });
}
