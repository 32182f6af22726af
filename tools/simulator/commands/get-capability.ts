import type { ByteWriter } from 'tee-verify/bytes';
import {
  MAX_TPM_MESSAGE_SIZE,
  PCR_COUNT,
  TPM_ALG,
  TPM_CAP,
  TPM_CC,
  TPM_ECC,
  TPM_HT,
  TPM_PT,
  TPM_RH,
} from '../../agent/tpm/constants.js';
import { allPcrs, writePcrSelections } from '../../agent/tpm/pcr-selection.js';
import { written } from '../../agent/tpm/read-structure.js';
import { TPM_RC } from '../../agent/tpm/response-code.js';
import type { SimulatedCommand } from '../command-context.js';
import type { TpmState } from '../tpm-state.js';

/** The manufacturer of a NitroTPM: the simulator stands in for one. */
const MANUFACTURER = 'AMZN';
/** The vendor strings say what this really is. */
const VENDOR_STRINGS = ['SIMU', 'LATE', 'D,NO', 'TAWS'] as const;

/** TPMA_ALGORITHM: asymmetric 1, symmetric 2, hash 4, object 8, signing 0x100, method 0x400. */
const ALGORITHMS: readonly (readonly [number, number])[] = [
  [TPM_ALG.RSA, 0x9],
  [TPM_ALG.SHA1, 0x4],
  [TPM_ALG.HMAC, 0x104],
  [TPM_ALG.AES, 0x2],
  [TPM_ALG.SHA256, 0x4],
  [TPM_ALG.SHA384, 0x4],
  [TPM_ALG.SHA512, 0x4],
  [TPM_ALG.OAEP, 0x201],
  [TPM_ALG.ECDSA, 0x101],
  [TPM_ALG.KDF1_SP800_108, 0x404],
  [TPM_ALG.ECC, 0x9],
  [TPM_ALG.SYMCIPHER, 0x8],
  [TPM_ALG.CFB, 0x202],
];

/** GetCapability over the commands that the simulator has. */
export function getCapability(commands: () => readonly SimulatedCommand[]): SimulatedCommand {
  return {
    code: TPM_CC.GetCapability,
    handles: 0,
    authorised: 0,
    run({ state, parameters }) {
      const capability = parameters.next((reader) => reader.u32('capability'));
      const property = parameters.next((reader) => reader.u32('property'));
      const count = parameters.next((reader) => reader.u32('propertyCount'));
      parameters.end();
      const list = <T>(
        items: readonly T[],
        key: (item: T) => number,
        max: number,
        write: (writer: ByteWriter, item: T) => unknown,
      ): ReturnType<typeof written> => {
        const from = items.filter((item) => key(item) >= property);
        const some = from.slice(0, Math.min(count, max));
        return written((writer) => {
          writer
            .u8(some.length < from.length ? 1 : 0)
            .u32(capability)
            .u32(some.length);
          for (const item of some) write(writer, item);
        });
      };
      const self = (value: number): number => value;
      switch (capability) {
        case TPM_CAP.ALGS:
          return {
            parameters: list(
              ALGORITHMS,
              ([id]) => id,
              169,
              (writer, [id, attributes]) => writer.u16(id).u32(attributes),
            ),
          };
        case TPM_CAP.HANDLES: {
          const handles = handlesOf(state, property >>> 24);
          if (handles === undefined) return parameters.fail(TPM_RC.HANDLE, 2);
          return { parameters: list(handles, self, 254, (writer, item) => writer.u32(item)) };
        }
        case TPM_CAP.COMMANDS: {
          const attributes = [...commands()].map(commandAttributes);
          const code = (value: number): number => (value & 0x2000ffff) >>> 0;
          attributes.sort((a, b) => code(a) - code(b));
          return { parameters: list(attributes, code, 256, (writer, item) => writer.u32(item)) };
        }
        case TPM_CAP.PP_COMMANDS:
        case TPM_CAP.AUDIT_COMMANDS:
        case TPM_CAP.PCR_PROPERTIES:
          return { parameters: list([] as number[], self, 0, (writer) => writer) };
        case TPM_CAP.PCRS:
          if (property !== 0) parameters.fail(TPM_RC.VALUE, 2);
          return {
            parameters: written((writer) =>
              writePcrSelections(writer.u8(0).u32(capability), state.pcrs.algorithms.map(allPcrs)),
            ),
          };
        case TPM_CAP.TPM_PROPERTIES:
          return {
            parameters: list(
              properties(state, commands().length),
              ([id]) => id,
              127,
              (writer, [id, value]) => writer.u32(id).u32(value),
            ),
          };
        case TPM_CAP.ECC_CURVES:
          return {
            parameters: list([TPM_ECC.NIST_P256, TPM_ECC.NIST_P384], self, 508, (writer, item) =>
              writer.u16(item),
            ),
          };
        default:
          return parameters.fail(TPM_RC.VALUE, 1);
      }
    },
  };
}

function handlesOf(state: TpmState, type: number): number[] | undefined {
  const sorted = (handles: Iterable<number>): number[] => [...handles].sort((a, b) => a - b);
  switch (type) {
    case TPM_HT.PCR:
      return Array.from({ length: PCR_COUNT }, (_, index) => index);
    case TPM_HT.NV_INDEX:
      return sorted(state.nv.keys());
    case TPM_HT.LOADED_SESSION:
      return sorted(state.sessions.keys());
    case TPM_HT.SAVED_SESSION:
      return sorted([...state.savedSessions.keys()].map((handle) => handle | 0x03000000));
    case TPM_HT.PERMANENT:
      return sorted([
        TPM_RH.OWNER,
        TPM_RH.NULL,
        TPM_RH.RS_PW,
        TPM_RH.LOCKOUT,
        TPM_RH.ENDORSEMENT,
        TPM_RH.PLATFORM,
      ]);
    case TPM_HT.TRANSIENT:
      return sorted(state.transient.keys());
    case TPM_HT.PERSISTENT:
      return sorted(state.persistent.keys());
    default:
      return undefined;
  }
}

/** TPMA_CC (Part 2, 8.9): index, number of handles, whether it returns one, vendor. */
function commandAttributes({ code, handles }: SimulatedCommand): number {
  const returnsHandle = (
    [TPM_CC.CreatePrimary, TPM_CC.StartAuthSession, TPM_CC.ContextLoad] as number[]
  ).includes(code);
  return ((code & 0x2000ffff) | (handles << 25) | (returnsHandle ? 0x10000000 : 0)) >>> 0;
}

function properties(state: TpmState, commandCount: number): [number, number][] {
  const { limits } = state;
  const loaded = state.sessions.size;
  const active = loaded + state.savedSessions.size;
  return [
    [TPM_PT.FAMILY_INDICATOR, text('2.0\0')],
    [TPM_PT.LEVEL, 0],
    [TPM_PT.REVISION, 159],
    [TPM_PT.DAY_OF_YEAR, 1],
    [TPM_PT.YEAR, 2025],
    [TPM_PT.MANUFACTURER, text(MANUFACTURER)],
    [TPM_PT.VENDOR_STRING_1, text(VENDOR_STRINGS[0])],
    [TPM_PT.VENDOR_STRING_2, text(VENDOR_STRINGS[1])],
    [TPM_PT.VENDOR_STRING_3, text(VENDOR_STRINGS[2])],
    [TPM_PT.VENDOR_STRING_4, text(VENDOR_STRINGS[3])],
    [TPM_PT.VENDOR_TPM_TYPE, 1],
    [TPM_PT.FIRMWARE_VERSION_1, 0x53494d31],
    [TPM_PT.FIRMWARE_VERSION_2, 1],
    [TPM_PT.INPUT_BUFFER, 1024],
    [TPM_PT.HR_TRANSIENT_MIN, limits.transientObjects],
    [TPM_PT.HR_PERSISTENT_MIN, 7],
    [TPM_PT.HR_LOADED_MIN, limits.loadedSessions],
    [TPM_PT.ACTIVE_SESSIONS_MAX, limits.activeSessions],
    [TPM_PT.PCR_COUNT, PCR_COUNT],
    [TPM_PT.PCR_SELECT_MIN, 3],
    [TPM_PT.CONTEXT_GAP_MAX, 0xffff],
    [TPM_PT.NV_INDEX_MAX, limits.nvIndexSize],
    [TPM_PT.MEMORY, 6],
    [TPM_PT.CONTEXT_HASH, TPM_ALG.SHA256],
    [TPM_PT.CONTEXT_SYM, TPM_ALG.AES],
    [TPM_PT.CONTEXT_SYM_SIZE, 128],
    [TPM_PT.MAX_COMMAND_SIZE, MAX_TPM_MESSAGE_SIZE],
    [TPM_PT.MAX_RESPONSE_SIZE, MAX_TPM_MESSAGE_SIZE],
    [TPM_PT.MAX_DIGEST, 64],
    [TPM_PT.MAX_OBJECT_CONTEXT, 1024],
    [TPM_PT.MAX_SESSION_CONTEXT, 1024],
    [TPM_PT.TOTAL_COMMANDS, commandCount],
    [TPM_PT.LIBRARY_COMMANDS, commandCount - 1],
    [TPM_PT.VENDOR_COMMANDS, 1],
    [TPM_PT.NV_BUFFER_MAX, limits.nvBufferSize],
    [TPM_PT.MODES, 0],
    [TPM_PT.MAX_CAP_BUFFER, 1024],
    // Bits 0, 1, 2: owner, endorsement and lockout have a password.
    [
      TPM_PT.PERMANENT,
      [TPM_RH.OWNER, TPM_RH.ENDORSEMENT, TPM_RH.LOCKOUT].reduce(
        (bits, handle, i) =>
          bits | ((state.hierarchyAuth.get(handle)?.length ?? 0) > 0 ? 1 << i : 0),
        0,
      ),
    ],
    // phEnable, shEnable, ehEnable, phEnableNV.
    [TPM_PT.STARTUP_CLEAR, 0xf],
    [TPM_PT.HR_NV_INDEX, state.nv.size],
    [TPM_PT.HR_LOADED, loaded],
    [TPM_PT.HR_LOADED_AVAIL, limits.loadedSessions - loaded],
    [TPM_PT.HR_ACTIVE, active],
    [TPM_PT.HR_ACTIVE_AVAIL, limits.activeSessions - active],
    [TPM_PT.HR_TRANSIENT_AVAIL, limits.transientObjects - state.transient.size],
    [TPM_PT.HR_PERSISTENT, state.persistent.size],
    [TPM_PT.HR_PERSISTENT_AVAIL, Math.max(0, 7 - state.persistent.size)],
    [TPM_PT.LOCKOUT_COUNTER, 0],
    [TPM_PT.MAX_AUTH_FAIL, 32],
    [TPM_PT.LOCKOUT_INTERVAL, 600],
    [TPM_PT.LOCKOUT_RECOVERY, 600],
  ];
}

/** Four characters as a number. */
function text(value: string): number {
  return [...value].reduce((number, char) => (number << 8) | char.charCodeAt(0), 0) >>> 0;
}
