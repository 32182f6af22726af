import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { TPM_HT, TPM_RH } from '../agent/tpm/constants.js';
import { handleName, nvName, objectName, tpmHash } from '../agent/tpm/names.js';
import { inHandle, TPM_RC } from '../agent/tpm/response-code.js';
import type { NvPublic } from '../agent/tpm/tpms-nv-public.js';
import type { SymmetricDefinition, TpmtPublic } from '../agent/tpm/tpmt-public.js';
import { PcrBanks } from './pcr-banks.js';
import { fail } from './tpm-failure.js';

/** How much a simulated TPM holds. */
export interface TpmLimits {
  readonly transientObjects: number;
  readonly loadedSessions: number;
  readonly activeSessions: number;
  /** Largest NV index, in bytes. */
  readonly nvIndexSize: number;
  /** All NV indices together, in bytes. */
  readonly nvSize: number;
  /** Largest piece that NV_Read and NV_Write carry. */
  readonly nvBufferSize: number;
}

/** A key inside the simulated TPM. */
export interface TpmObject {
  readonly publicArea: TpmtPublic;
  readonly hierarchy: number;
  readonly authValue: Uint8Array;
  /** The private scalar of an ECC key, or the private RSA key. */
  readonly secret: { readonly scalar: Bytes } | { readonly rsa: KeyObject };
  readonly qualifiedName: Bytes;
}

/** An HMAC session. */
export interface SessionState {
  readonly handle: number;
  readonly hashAlgorithm: number;
  readonly symmetric: SymmetricDefinition | null;
  readonly sessionKey: Uint8Array;
  nonceTpm: Uint8Array;
}

/** An NV index. */
export interface NvIndex {
  area: NvPublic;
  readonly authValue: Uint8Array;
  readonly data: Bytes;
}

/** An object or session that ContextSave took out. */
export interface SavedContext {
  readonly object?: TpmObject;
  readonly session?: SessionState;
}

/** Options of `TpmState`. */
export interface TpmStateOptions {
  readonly seed: Uint8Array;
  readonly banks: readonly number[];
  readonly limits: TpmLimits;
}

/** Everything that a simulated TPM remembers. */
export class TpmState {
  readonly seed: Uint8Array;
  readonly limits: TpmLimits;
  readonly pcrs: PcrBanks;
  readonly transient: Map<number, TpmObject> = new Map();
  readonly persistent: Map<number, TpmObject> = new Map();
  readonly sessions: Map<number, SessionState> = new Map();
  readonly savedSessions: Map<number, SessionState> = new Map();
  readonly contexts: Map<string, SavedContext> = new Map();
  readonly nv: Map<number, NvIndex> = new Map();
  readonly hierarchyAuth: Map<number, Uint8Array> = new Map();
  /** RSA keys by hierarchy and template: a primary key is the same each time it is made. */
  readonly rsaKeys: Map<string, Promise<KeyObject>> = new Map();
  readonly proof: Bytes;
  started = true;
  resetCount = 1;
  restartCount = 0;
  startedAtMs: number = performance.now();
  contextSequence = 0n;

  constructor({ seed, banks, limits }: TpmStateOptions) {
    this.seed = seed;
    this.limits = limits;
    this.pcrs = new PcrBanks(banks);
    this.proof = new Uint8Array(randomBytes(32));
  }

  /** A power cycle: only what is persistent stays. */
  powerCycle(): void {
    this.transient.clear();
    this.sessions.clear();
    this.savedSessions.clear();
    this.contexts.clear();
    this.pcrs.startUp();
    this.started = false;
    this.resetCount++;
    this.startedAtMs = performance.now();
  }

  /** Milliseconds since the start. */
  clockMs(): number {
    return Math.floor(performance.now() - this.startedAtMs);
  }

  /** The object at a handle. `position` is the number of the handle in the command, from 1. */
  object(handle: number, position: number): TpmObject {
    const type = handle >>> 24;
    if (type === TPM_HT.TRANSIENT)
      return this.transient.get(handle) ?? fail(TPM_RC.REFERENCE_H0 + position - 1);
    if (type === TPM_HT.PERSISTENT)
      return this.persistent.get(handle) ?? fail(inHandle(TPM_RC.HANDLE, position));
    return fail(inHandle(TPM_RC.VALUE, position));
  }

  nvIndex(handle: number, position: number): NvIndex {
    if (handle >>> 24 !== TPM_HT.NV_INDEX) fail(inHandle(TPM_RC.VALUE, position));
    return this.nv.get(handle) ?? fail(inHandle(TPM_RC.HANDLE, position));
  }

  /** The name of whatever stands at a handle. */
  nameOf(handle: number, position: number): Bytes {
    switch (handle >>> 24) {
      case TPM_HT.NV_INDEX:
        return nvName(this.nvIndex(handle, position).area);
      case TPM_HT.TRANSIENT:
      case TPM_HT.PERSISTENT:
        return objectName(this.object(handle, position).publicArea);
      default:
        return handleName(handle);
    }
  }

  /** The authorisation value of whatever stands at a handle. */
  authValueOf(handle: number, position: number): Uint8Array {
    switch (handle >>> 24) {
      case TPM_HT.NV_INDEX:
        return this.nvIndex(handle, position).authValue;
      case TPM_HT.TRANSIENT:
      case TPM_HT.PERSISTENT:
        return this.object(handle, position).authValue;
      default:
        return this.hierarchyAuth.get(handle) ?? new Uint8Array(0);
    }
  }

  /** Gives an object the first free transient handle. */
  loadObject(object: TpmObject): number {
    for (let slot = 0; slot < this.limits.transientObjects; slot++) {
      const handle = ((TPM_HT.TRANSIENT << 24) >>> 0) + slot;
      if (this.transient.has(handle)) continue;
      this.transient.set(handle, object);
      return handle;
    }
    return fail(TPM_RC.OBJECT_MEMORY);
  }

  /** The first free session handle. */
  freeSessionHandle(): number {
    if (this.sessions.size >= this.limits.loadedSessions) fail(TPM_RC.SESSION_MEMORY);
    for (let slot = 0; slot < this.limits.activeSessions; slot++) {
      const handle = (TPM_HT.LOADED_SESSION << 24) + slot;
      if (!this.sessions.has(handle) && !this.savedSessions.has(handle)) return handle;
    }
    return fail(TPM_RC.SESSION_HANDLES);
  }

  /** Bytes of NV memory in use. */
  nvInUse(): number {
    let size = 0;
    for (const { data } of this.nv.values()) size += data.length;
    return size;
  }

  /** A secret of a hierarchy, for keys and tickets; the NULL hierarchy has one of its own. */
  hierarchySeed(hierarchy: number): Bytes {
    return tpmHash(0x000b, this.seed, handleName(hierarchy));
  }

  /** The qualified name of a primary key: H(name of the hierarchy || name of the key). */
  static qualifiedName(hierarchy: number, area: TpmtPublic): Bytes {
    const algorithm = area.nameAlgorithm;
    const digest = tpmHash(algorithm, handleName(hierarchy), objectName(area));
    return concatBytes(new Uint8Array([algorithm >> 8, algorithm & 0xff]), digest);
  }
}

/** Whether a handle is a hierarchy that has keys and tickets (TPMI_RH_HIERARCHY, Part 2, 9.14). */
export function isHierarchy(handle: number): boolean {
  const all: readonly number[] = [TPM_RH.OWNER, TPM_RH.ENDORSEMENT, TPM_RH.PLATFORM, TPM_RH.NULL];
  return all.includes(handle);
}
