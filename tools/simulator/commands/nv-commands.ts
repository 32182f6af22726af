import {
  DIGEST_SIZES,
  HASH_NAMES,
  TPM_CC,
  TPM_HT,
  TPM_RH,
  TPMA_NV,
} from '../../agent/tpm/constants.js';
import { trimAuthValue } from '../../agent/tpm/kdf-a.js';
import { nvName } from '../../agent/tpm/names.js';
import { readSized, written } from '../../agent/tpm/read-structure.js';
import { inHandle, TPM_RC } from '../../agent/tpm/response-code.js';
import { encodeNvPublic, readNvPublic } from '../../agent/tpm/tpms-nv-public.js';
import { allBits } from '../attribute-bits.js';
import type { SimulatedCommand } from '../command-context.js';
import { errorAnswer } from '../simulated-nsm.js';
import { fail } from '../tpm-failure.js';
import type { NvIndex, TpmState } from '../tpm-state.js';

const NV_BITS = allBits(TPMA_NV);
// What happened to an index; nobody defines one as written or locked.
const STATES = TPMA_NV.WRITTEN | TPMA_NV.WRITELOCKED | TPMA_NV.READLOCKED;
const READS = TPMA_NV.PPREAD | TPMA_NV.OWNERREAD | TPMA_NV.AUTHREAD | TPMA_NV.POLICYREAD;
const WRITES = TPMA_NV.PPWRITE | TPMA_NV.OWNERWRITE | TPMA_NV.AUTHWRITE | TPMA_NV.POLICYWRITE;

const defineSpace: SimulatedCommand = {
  code: TPM_CC.NV_DefineSpace,
  handles: 1,
  authorised: 1,
  run({ state, handles, parameters }) {
    const hierarchy = ownerOrPlatform(handles[0] as number);
    const authValue = parameters.next((reader) => reader.sized16('auth', 64).slice());
    const area = parameters.next((reader) => readSized(reader, 'publicInfo', readNvPublic));
    if (area.nvIndex >>> 24 !== TPM_HT.NV_INDEX) parameters.fail(TPM_RC.VALUE);
    if (HASH_NAMES[area.nameAlgorithm] === undefined) parameters.fail(TPM_RC.HASH);
    const { attributes, authPolicy } = area;
    if ((attributes & ~NV_BITS) !== 0) parameters.fail(TPM_RC.RESERVED_BITS);
    parameters.end();
    const has = (bits: number): boolean => (attributes & bits) !== 0;
    // Only ordinary data: no counters, bit fields or PINs.
    if (has(TPMA_NV.TYPE_MASK) || has(STATES)) parameters.fail(TPM_RC.ATTRIBUTES);
    if (!has(READS) || !has(WRITES)) parameters.fail(TPM_RC.ATTRIBUTES);
    if (has(TPMA_NV.PLATFORMCREATE) !== (hierarchy === TPM_RH.PLATFORM))
      fail(inHandle(TPM_RC.ATTRIBUTES, 1));
    if (has(TPMA_NV.POLICY_DELETE) && hierarchy !== TPM_RH.PLATFORM)
      parameters.fail(TPM_RC.ATTRIBUTES);
    const authSize = DIGEST_SIZES[area.nameAlgorithm] as number;
    if (authPolicy.length > 0 && authPolicy.length !== authSize) parameters.fail(TPM_RC.SIZE);
    if (trimAuthValue(authValue).length > authSize) parameters.fail(TPM_RC.SIZE, 1);
    if (area.dataSize > state.limits.nvIndexSize) parameters.fail(TPM_RC.SIZE);
    if (state.nv.has(area.nvIndex)) fail(TPM_RC.NV_DEFINED);
    if (state.nvInUse() + area.dataSize > state.limits.nvSize) fail(TPM_RC.NV_SPACE);
    state.nv.set(area.nvIndex, {
      area,
      authValue: trimAuthValue(authValue).slice(),
      data: new Uint8Array(area.dataSize).fill(0xff),
    });
    return {};
  },
};

const undefineSpace: SimulatedCommand = {
  code: TPM_CC.NV_UndefineSpace,
  handles: 2,
  authorised: 1,
  run({ state, handles, parameters }) {
    const hierarchy = ownerOrPlatform(handles[0] as number);
    parameters.end();
    const { area } = state.nvIndex(handles[1] as number, 2);
    const isPlatform = (area.attributes & TPMA_NV.PLATFORMCREATE) !== 0;
    if (isPlatform && hierarchy !== TPM_RH.PLATFORM) fail(TPM_RC.NV_AUTHORIZATION);
    state.nv.delete(area.nvIndex);
    return {};
  },
};

const readPublic: SimulatedCommand = {
  code: TPM_CC.NV_ReadPublic,
  handles: 1,
  authorised: 0,
  run({ state, handles, parameters }) {
    parameters.end();
    const { area } = state.nvIndex(handles[0] as number, 1);
    return {
      parameters: written((writer) => writer.sized16(encodeNvPublic(area)).sized16(nvName(area))),
    };
  },
};

const write: SimulatedCommand = {
  code: TPM_CC.NV_Write,
  handles: 2,
  authorised: 1,
  run({ state, handles, parameters }) {
    const index = accessedIndex(state, handles, 'write');
    const { nvBufferSize } = state.limits;
    const data = parameters.next((reader) => reader.sized16('data', nvBufferSize).slice());
    const offset = parameters.next((reader) => reader.u16('offset'));
    parameters.end();
    if (offset + data.length > index.data.length) fail(TPM_RC.NV_RANGE);
    index.data.set(data, offset);
    markWritten(index);
    return {};
  },
};

const read: SimulatedCommand = {
  code: TPM_CC.NV_Read,
  handles: 2,
  authorised: 1,
  run({ state, handles, parameters }) {
    const index = accessedIndex(state, handles, 'read');
    const size = parameters.next((reader) => reader.u16('size'));
    const offset = parameters.next((reader) => reader.u16('offset'));
    parameters.end();
    if ((index.area.attributes & TPMA_NV.WRITTEN) === 0) fail(TPM_RC.NV_UNINITIALIZED);
    if (size > state.limits.nvBufferSize) parameters.fail(TPM_RC.VALUE, 1);
    if (offset + size > index.data.length) fail(TPM_RC.NV_RANGE);
    return {
      parameters: written((writer) => writer.sized16(index.data.subarray(offset, offset + size))),
    };
  },
};

/** The vendor command of NitroTPM: the request in the index is replaced by the NSM's answer. */
const nsmRequest: SimulatedCommand = {
  code: TPM_CC.NSM_REQUEST,
  handles: 2,
  authorised: 1,
  async run({ state, nsm, handles, parameters }) {
    parameters.end();
    if (handles[0] !== handles[1]) fail(TPM_RC.NV_AUTHORIZATION);
    const index = accessedIndex(state, handles, 'write');
    accessedIndex(state, handles, 'read');
    if ((index.area.attributes & TPMA_NV.WRITTEN) === 0) fail(TPM_RC.NV_UNINITIALIZED);
    const sha384 = 0x000c;
    const pcrs = new Map<number, Uint8Array>();
    for (let i = 0; i < 24; i++) pcrs.set(i, state.pcrs.read(sha384, i) ?? new Uint8Array(48));
    let answer = await nsm.answer(index.data, pcrs);
    if (answer.length > index.data.length) answer = errorAnswer('BufferTooSmall');
    index.data.set(answer);
    return {};
  },
};

/** Checks who wants to access an index: the index itself, its owner or the platform. */
function accessedIndex(
  state: TpmState,
  handles: readonly number[],
  kind: 'read' | 'write',
): NvIndex {
  const [by, nvIndex] = handles as readonly [number, number];
  const index = state.nvIndex(nvIndex, 2);
  const bits =
    kind === 'read'
      ? { owner: TPMA_NV.OWNERREAD, platform: TPMA_NV.PPREAD, self: TPMA_NV.AUTHREAD }
      : { owner: TPMA_NV.OWNERWRITE, platform: TPMA_NV.PPWRITE, self: TPMA_NV.AUTHWRITE };
  const needed =
    by === TPM_RH.OWNER
      ? bits.owner
      : by === TPM_RH.PLATFORM
        ? bits.platform
        : by === nvIndex
          ? bits.self
          : 0;
  if ((index.area.attributes & needed) === 0) fail(TPM_RC.NV_AUTHORIZATION);
  return index;
}

function markWritten(index: NvIndex): void {
  const attributes = (index.area.attributes | TPMA_NV.WRITTEN) >>> 0;
  index.area = { ...index.area, attributes };
}

function ownerOrPlatform(handle: number): number {
  return handle === TPM_RH.OWNER || handle === TPM_RH.PLATFORM
    ? handle
    : fail(inHandle(TPM_RC.VALUE, 1));
}

export const NV_COMMANDS: readonly SimulatedCommand[] = [
  defineSpace,
  undefineSpace,
  readPublic,
  write,
  read,
  nsmRequest,
];
