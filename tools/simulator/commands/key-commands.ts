import { encodeHex } from 'tee-verify/bytes';
import {
  DIGEST_SIZES,
  TPM_ALG,
  TPM_CC,
  TPM_HT,
  TPM_RH,
  TPM_ST,
  TPMA_OBJECT,
} from '../../agent/tpm/constants.js';
import { kdfA, tpmHmac, trimAuthValue } from '../../agent/tpm/kdf-a.js';
import { handleName, objectName, tpmHash } from '../../agent/tpm/names.js';
import { writePcrSelections } from '../../agent/tpm/pcr-selection.js';
import { readSized, written } from '../../agent/tpm/read-structure.js';
import { inHandle, TPM_RC } from '../../agent/tpm/response-code.js';
import { encodePublic, readPublic } from '../../agent/tpm/tpmt-public.js';
import type { CommandAnswer, SimulatedCommand } from '../command-context.js';
import { checkTemplate, makePrimary } from '../key-factory.js';
import { fail } from '../tpm-failure.js';
import { isHierarchy } from '../tpm-state.js';
import { nextPcrSelections } from './pcr-commands.js';

const createPrimary: SimulatedCommand = {
  code: TPM_CC.CreatePrimary,
  handles: 1,
  authorised: 1,
  async run({ state, handles, parameters, locality }): Promise<CommandAnswer> {
    const hierarchy = handles[0] as number;
    if (!isHierarchy(hierarchy)) fail(inHandle(TPM_RC.VALUE, 1));
    const sensitive = parameters.next((reader) =>
      readSized(reader, 'inSensitive', (inner) => ({
        userAuth: inner.sized16('userAuth', 64).slice(),
        data: inner.sized16('data', 128),
      })),
    );
    const template = parameters.next(
      (reader) => readSized(reader, 'inPublic', readPublic),
      TPM_RC.TYPE,
    );
    const outsideInfo = parameters.next((reader) => reader.sized16('outsideInfo', 66).slice());
    const creationPcr = state.pcrs.filter(nextPcrSelections(parameters));
    parameters.end();
    const problem = checkTemplate(template);
    if (problem !== undefined) parameters.fail(problem, 2);
    // Part 3, 24.1.1: an asymmetric key brings no data of its own.
    if (sensitive.data.length > 0) parameters.fail(TPM_RC.VALUE, 1);
    if (sensitive.userAuth.length > (DIGEST_SIZES[template.nameAlgorithm] as number))
      parameters.fail(TPM_RC.SIZE, 1);
    const object = await makePrimary(state, hierarchy, template, trimAuthValue(sensitive.userAuth));
    const handle = state.loadObject(object);
    const { publicArea } = object;
    const nameHash = publicArea.nameAlgorithm;
    const creationData = written((writer) => {
      writePcrSelections(writer, creationPcr);
      writer.sized16(state.pcrs.digest(nameHash, creationPcr));
      writer.u8(1 << locality).u16(TPM_ALG.NULL);
      // The parent of a primary key is its hierarchy: name and qualified name are the handle.
      writer.sized16(handleName(hierarchy)).sized16(handleName(hierarchy)).sized16(outsideInfo);
    });
    const creationHash = tpmHash(nameHash, creationData);
    const ticket = tpmHmac(
      TPM_ALG.SHA256,
      state.proof,
      written((writer) => writer.u16(TPM_ST.CREATION)),
      objectName(publicArea),
      creationHash,
    );
    return {
      handle,
      parameters: written((writer) =>
        writer
          .sized16(encodePublic(publicArea))
          .sized16(creationData)
          .sized16(creationHash)
          .u16(TPM_ST.CREATION)
          .u32(hierarchy)
          .sized16(ticket)
          .sized16(objectName(publicArea)),
      ),
    };
  },
};

const readPublicCommand: SimulatedCommand = {
  code: TPM_CC.ReadPublic,
  handles: 1,
  authorised: 0,
  run({ state, handles, parameters }) {
    parameters.end();
    const { publicArea, qualifiedName } = state.object(handles[0] as number, 1);
    return {
      parameters: written((writer) =>
        writer
          .sized16(encodePublic(publicArea))
          .sized16(objectName(publicArea))
          .sized16(qualifiedName),
      ),
    };
  },
};

const flushContext: SimulatedCommand = {
  code: TPM_CC.FlushContext,
  handles: 0,
  authorised: 0,
  run({ state, parameters }) {
    const handle = parameters.next((reader) => reader.u32('flushHandle'));
    parameters.end();
    const removed =
      state.transient.delete(handle) ||
      state.sessions.delete(handle) ||
      state.savedSessions.delete(handle);
    return removed ? {} : parameters.fail(TPM_RC.HANDLE);
  },
};

const evictControl: SimulatedCommand = {
  code: TPM_CC.EvictControl,
  handles: 2,
  authorised: 1,
  run({ state, handles, parameters }) {
    const [hierarchy, source] = handles as readonly [number, number];
    const target = parameters.next((reader) => reader.u32('persistentHandle'));
    parameters.end();
    if (hierarchy !== TPM_RH.OWNER && hierarchy !== TPM_RH.PLATFORM)
      fail(inHandle(TPM_RC.VALUE, 1));
    if (target >>> 24 !== TPM_HT.PERSISTENT) parameters.fail(TPM_RC.VALUE);
    const object = state.object(source, 2);
    // Part 3, 28.5: the lower half of the range belongs to the owner.
    if ((target & 0x800000) !== 0 && hierarchy === TPM_RH.OWNER) parameters.fail(TPM_RC.RANGE);
    if (source >>> 24 === TPM_HT.PERSISTENT) {
      if (source !== target) fail(inHandle(TPM_RC.HANDLE, 2));
      state.persistent.delete(source);
      return {};
    }
    if (object.hierarchy === TPM_RH.NULL) fail(inHandle(TPM_RC.HIERARCHY, 2));
    if (state.persistent.has(target)) fail(TPM_RC.NV_DEFINED);
    state.persistent.set(target, object);
    return {};
  },
};

const contextSave: SimulatedCommand = {
  code: TPM_CC.ContextSave,
  handles: 1,
  authorised: 0,
  run({ state, handles, parameters }) {
    parameters.end();
    const handle = handles[0] as number;
    const session = state.sessions.get(handle);
    const isSession = handle >>> 24 === TPM_HT.LOADED_SESSION;
    if (isSession && session === undefined) fail(TPM_RC.REFERENCE_H0);
    const saved = session === undefined ? { object: state.object(handle, 1) } : { session };
    if (!isSession && handle >>> 24 !== TPM_HT.TRANSIENT) fail(inHandle(TPM_RC.VALUE, 1));
    const sequence = ++state.contextSequence;
    // The context stays in the simulator; the blob only names it, unguessably.
    const blob = kdfA(
      TPM_ALG.SHA256,
      state.proof,
      'CONTEXT',
      handleName(Number(sequence)),
      handleName(handle),
      256,
    );
    state.contexts.set(encodeHex(blob), saved);
    if (session !== undefined) {
      state.sessions.delete(handle);
      state.savedSessions.set(handle, session);
    }
    const savedHandle = isSession ? handle : 0x80000000;
    const hierarchy = saved.object?.hierarchy ?? TPM_RH.NULL;
    return {
      parameters: written((writer) =>
        writer.u64(sequence).u32(savedHandle).u32(hierarchy).sized16(blob),
      ),
    };
  },
};

const contextLoad: SimulatedCommand = {
  code: TPM_CC.ContextLoad,
  handles: 0,
  authorised: 0,
  run({ state, parameters }) {
    const id = parameters.next((reader) => {
      reader.u64('sequence');
      reader.u32('savedHandle');
      reader.u32('hierarchy');
      return encodeHex(reader.sized16('contextBlob', 1024));
    });
    parameters.end();
    const saved = state.contexts.get(id);
    if (saved?.object !== undefined) return { handle: state.loadObject(saved.object) };
    const session = saved?.session;
    if (session === undefined) return parameters.fail(TPM_RC.INTEGRITY);
    // A session context loads once (Part 1, 30.4).
    if (!state.savedSessions.delete(session.handle)) parameters.fail(TPM_RC.HANDLE);
    if (state.sessions.size >= state.limits.loadedSessions) fail(TPM_RC.SESSION_MEMORY);
    state.contexts.delete(id);
    state.sessions.set(session.handle, session);
    return { handle: session.handle };
  },
};

/** Whether a key may sign. */
export function isSigningKey(attributes: number): boolean {
  return (attributes & TPMA_OBJECT.sign) !== 0;
}

export const KEY_COMMANDS: readonly SimulatedCommand[] = [
  createPrimary,
  readPublicCommand,
  flushContext,
  evictControl,
  contextSave,
  contextLoad,
];
