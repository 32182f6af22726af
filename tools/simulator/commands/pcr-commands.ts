import {
  DIGEST_SIZES,
  HASH_NAMES,
  PCR_COUNT,
  TPM_ALG,
  TPM_CC,
  TPM_RH,
} from '../../agent/tpm/constants.js';
import { tpmHash } from '../../agent/tpm/names.js';
import {
  type PcrSelection,
  readPcrBitmap,
  writePcrSelections,
} from '../../agent/tpm/pcr-selection.js';
import { readList, written } from '../../agent/tpm/read-structure.js';
import { inHandle, TPM_RC } from '../../agent/tpm/response-code.js';
import type { SimulatedCommand } from '../command-context.js';
import type { ParameterReader } from '../parameter-reader.js';
import { fail } from '../tpm-failure.js';

const MAX_DIGESTS = 8;
const MAX_EVENT_BYTES = 1024;

/** Bytes of a selection's bitmap: a TPM with 24 PCRs takes no other size. */
const PCR_SELECT_SIZE = PCR_COUNT / 8;
const MAX_SELECTIONS = 16;

/** Reads a TPML_PCR_SELECTION as a TPM does: only known hashes, bitmaps of three bytes. */
export function nextPcrSelections(parameters: ParameterReader): PcrSelection[] {
  return parameters.next((reader) =>
    readList(reader, 'pcrSelections', MAX_SELECTIONS, (item) => {
      const hashAlgorithm = item.u16('pcrSelection hash');
      if (HASH_NAMES[hashAlgorithm] === undefined) parameters.fail(TPM_RC.HASH);
      if (item.u8('sizeofSelect') !== PCR_SELECT_SIZE) parameters.fail(TPM_RC.VALUE);
      return { hashAlgorithm, indices: readPcrBitmap(item, PCR_SELECT_SIZE) };
    }),
  );
}

const pcrRead: SimulatedCommand = {
  code: TPM_CC.PCR_Read,
  handles: 0,
  authorised: 0,
  run({ state, parameters }) {
    const selections = nextPcrSelections(parameters);
    parameters.end();
    const digests: Uint8Array[] = [];
    const returned = state.pcrs.filter(selections).map(({ hashAlgorithm, indices }) => ({
      hashAlgorithm,
      indices: indices.filter((index) => {
        if (digests.length === MAX_DIGESTS) return false;
        digests.push(state.pcrs.read(hashAlgorithm, index) as Uint8Array);
        return true;
      }),
    }));
    return {
      parameters: written((writer) => {
        writer.u32(state.pcrs.updateCounter);
        writePcrSelections(writer, returned).u32(digests.length);
        for (const digest of digests) writer.sized16(digest);
      }),
    };
  },
};

const pcrExtend: SimulatedCommand = {
  code: TPM_CC.PCR_Extend,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters, locality }) {
    const digests = parameters.next((reader) =>
      readList(reader, 'digests', 8, (item) => {
        const algorithm = item.u16('hashAlg');
        const size = DIGEST_SIZES[algorithm];
        if (size === undefined || HASH_NAMES[algorithm] === undefined)
          return parameters.fail(TPM_RC.HASH);
        return [algorithm, item.take(size, 'digest')] as const;
      }),
    );
    parameters.end();
    const index = pcrHandle(handles[0] as number);
    if (index !== undefined) state.pcrs.extend(index, new Map(digests), locality);
    return {};
  },
};

const pcrEvent: SimulatedCommand = {
  code: TPM_CC.PCR_Event,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters, locality }) {
    const data = parameters.next((reader) => reader.sized16('eventData', MAX_EVENT_BYTES));
    parameters.end();
    const index = pcrHandle(handles[0] as number);
    const digests = new Map(
      state.pcrs.algorithms.map((algorithm) => [algorithm, tpmHash(algorithm, data)] as const),
    );
    if (index !== undefined) state.pcrs.extend(index, digests, locality);
    return {
      parameters: written((writer) => {
        writer.u32(digests.size);
        for (const [algorithm, digest] of digests) writer.u16(algorithm).bytes(digest);
      }),
    };
  },
};

const pcrReset: SimulatedCommand = {
  code: TPM_CC.PCR_Reset,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters, locality }) {
    parameters.end();
    const index = pcrHandle(handles[0] as number);
    if (index === undefined) return fail(inHandle(TPM_RC.VALUE, 1));
    state.pcrs.reset(index, locality);
    return {};
  },
};

/** The PCR of a handle; undefined for TPM_RH_NULL, which changes nothing. */
function pcrHandle(handle: number): number | undefined {
  if (handle === TPM_RH.NULL) return undefined;
  return handle < PCR_COUNT ? handle : fail(inHandle(TPM_RC.VALUE, 1));
}

/** The hash of a scheme: what a quote's PCR digest is made with. */
export function schemeHash(scheme: { readonly hashAlgorithm?: number } | null): number {
  return scheme?.hashAlgorithm ?? TPM_ALG.SHA256;
}

export const PCR_COMMANDS: readonly SimulatedCommand[] = [pcrRead, pcrExtend, pcrEvent, pcrReset];
