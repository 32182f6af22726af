import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bytes, copyBytes } from 'tee-verify/bytes';
import { DIGEST_SIZES, PCR_COUNT, TPM_ALG, TPM_RH } from '../agent/tpm/constants.js';
import { RSA_EK_TEMPLATE } from '../agent/tpm/tpmt-public.js';
import { type DeviceFile, openDeviceTransport } from '../agent/transport/device-transport.js';
import type { TpmTransport } from '../agent/transport/tpm-transport.js';
import { ToolError } from '../common/tool-error.js';
import { damage, type Fault, FaultPlan, forcedResponseCode } from './faults.js';
import { makePrimary } from './key-factory.js';
import { createNitroPki, type NitroPki } from './nitro-pki.js';
import { errorResponse, runCommand } from './run-command.js';
import { SimulatedNsm } from './simulated-nsm.js';
import { TpmFailure } from './tpm-failure.js';
import { type TpmLimits, TpmState } from './tpm-state.js';

/** Options of `createSimulator`. */
export interface SimulatorOptions {
  /** 32 bytes from which ECC keys derive; default random. The same seed gives the same AK. */
  readonly seed?: Uint8Array;
  /** TPM_ALGs of the PCR banks; default SHA-1, SHA-256, SHA-384 and SHA-512. */
  readonly banks?: readonly number[];
  /** Values of SHA-384 PCRs to start with: index → 48 bytes. */
  readonly pcrs?: ReadonlyMap<number, Uint8Array>;
  /** Stands in the documents. Default `i-0123456789abcdef0-tpm0000000000000000`. */
  readonly moduleId?: string;
  /** The PKI that signs the documents; default a new one. */
  readonly pki?: NitroPki;
  /** Time of the documents; default the clock. */
  readonly now?: () => Date;
  readonly limits?: Partial<TpmLimits>;
  readonly faults?: readonly Fault[];
}

/** Limits like those of a real TPM; NV takes the 8192-byte index of a NitroTPM. */
export const DEFAULT_LIMITS: TpmLimits = {
  transientObjects: 3,
  loadedSessions: 3,
  activeSessions: 64,
  nvIndexSize: 8192,
  nvSize: 65_536,
  nvBufferSize: 1024,
};

/** What came back for a command, before it travels. */
export interface SimulatedAnswer {
  readonly bytes: Uint8Array;
  /** How late it comes. */
  readonly delayMs: number;
  /** The connection ends after these bytes. */
  readonly endsConnection: boolean;
}

/** What the simulated TPM holds at the moment. */
export interface SimulatorInventory {
  readonly transient: readonly number[];
  readonly sessions: readonly number[];
  readonly nvIndices: readonly number[];
}

/**
 * A software NitroTPM for tests and demos. Its documents are signed by its own PKI, whose root
 * says "NOT AWS": a verifier accepts them only when it is given that root as a trust anchor.
 */
export class TpmSimulator {
  /** DER of the root certificate: the trust anchor. */
  readonly rootDer: Uint8Array;
  /** The same as PEM. */
  readonly rootPem: string;
  readonly moduleId: string;
  /** Locality of the commands that come; 0 is the operating system. */
  locality = 0;
  readonly #state: TpmState;
  readonly #nsm: SimulatedNsm;
  readonly #faults = new FaultPlan();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(state: TpmState, nsm: SimulatedNsm, pki: NitroPki) {
    this.#state = state;
    this.#nsm = nsm;
    this.rootDer = pki.rootDer;
    this.rootPem = pki.rootPem;
    this.moduleId = nsm.moduleId;
  }

  /** TPM_ALGs of the PCR banks. */
  get banks(): readonly number[] {
    return this.#state.pcrs.algorithms;
  }

  /** A connection within this process. Each has a place of its own in the queue of commands. */
  async transport(): Promise<TpmTransport> {
    return openDeviceTransport('simulator', { openFile: async () => this.#openFile() });
  }

  /** Runs a raw command, after those that came before. Faults strike here. */
  execute(command: Uint8Array): Promise<SimulatedAnswer> {
    const bytes = copyBytes(command);
    const answer = this.#queue.then(() => this.#execute(bytes));
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  /** Sets a fault. @throws ToolError `simulator.fault-invalid` */
  injectFault(fault: Fault): void {
    this.#faults.add(fault);
  }

  clearFaults(): void {
    this.#faults.clear();
    this.#nsm.pendingErrors.length = 0;
  }

  /** A PCR's value. @throws ToolError `simulator.option-invalid` when there is no such PCR */
  readPcr(index: number, hashAlgorithm: number = TPM_ALG.SHA384): Bytes {
    this.#checkPcr(index, hashAlgorithm);
    return this.#state.pcrs.read(hashAlgorithm, index) as Bytes;
  }

  /** Puts a value into a PCR. @throws ToolError `simulator.option-invalid` */
  setPcr(index: number, value: Uint8Array, hashAlgorithm: number = TPM_ALG.SHA384): void {
    this.#checkPcr(index, hashAlgorithm, value);
    this.#state.pcrs.set(hashAlgorithm, index, value);
  }

  /** Extends a PCR as software at this locality would. @throws ToolError `simulator.option-invalid` */
  extendPcr(index: number, digest: Uint8Array, hashAlgorithm: number = TPM_ALG.SHA384): void {
    this.#checkPcr(index, hashAlgorithm, digest);
    try {
      this.#state.pcrs.extend(index, new Map([[hashAlgorithm, digest]]), this.locality);
    } catch (cause) {
      if (!(cause instanceof TpmFailure)) throw cause;
      throw new ToolError('simulator.option-invalid', {
        expected: `a PCR that locality ${this.locality} may extend`,
        actual: `PCR ${index}`,
      });
    }
  }

  /** A power cycle and a clean start. */
  restart(): void {
    this.#state.powerCycle();
    this.#state.started = true;
  }

  /** What is loaded and defined now. */
  inventory(): SimulatorInventory {
    return {
      transient: [...this.#state.transient.keys()],
      sessions: [...this.#state.sessions.keys()],
      nvIndices: [...this.#state.nv.keys()],
    };
  }

  /** Makes the RSA endorsement key now: the first HMAC session need not wait for it. */
  async prepare(): Promise<void> {
    await makePrimary(this.#state, TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE, new Uint8Array(0));
  }

  async #execute(command: Uint8Array): Promise<SimulatedAnswer> {
    const code =
      command.length < 10 ? 0 : new DataView(command.buffer, command.byteOffset).getUint32(6);
    const faults = this.#faults.strike(code);
    for (const { kind, error } of faults)
      if (kind === 'nsm-error') this.#nsm.pendingErrors.push(error ?? 'InternalError');
    const forced = forcedResponseCode(faults);
    const response =
      forced === undefined
        ? await runCommand(this.#state, this.#nsm, command, this.locality)
        : errorResponse(forced);
    const disconnected = faults.some(({ kind }) => kind === 'disconnect');
    return {
      bytes: disconnected ? new Uint8Array(0) : damage(response, faults),
      delayMs: Math.max(
        0,
        ...faults.map(({ kind, value }) => (kind === 'late' ? (value ?? 0) : 0)),
      ),
      endsConnection: disconnected || faults.some(({ kind }) => kind === 'truncated'),
    };
  }

  #openFile(): DeviceFile {
    let answer: Promise<SimulatedAnswer> | undefined;
    return {
      write: async (data) => {
        answer = this.execute(data);
        return { bytesWritten: data.length };
      },
      read: async (buffer, offset, length) => {
        const { bytes, delayMs } = (await answer) ?? { bytes: new Uint8Array(0), delayMs: 0 };
        answer = undefined;
        if (delayMs > 0) await sleep(delayMs, undefined, { ref: false });
        const part = bytes.subarray(0, length);
        buffer.set(part, offset);
        return { bytesRead: part.length };
      },
      close: async () => undefined,
    };
  }

  #checkPcr(index: number, hashAlgorithm: number, value?: Uint8Array): void {
    const size = DIGEST_SIZES[hashAlgorithm] as number;
    if (!Number.isInteger(index) || index < 0 || index >= PCR_COUNT)
      throw invalid('a PCR index from 0 to 23', `${index}`);
    if (!this.#state.pcrs.algorithms.includes(hashAlgorithm))
      throw invalid('a bank of this TPM', `0x${hashAlgorithm.toString(16)}`);
    if (value !== undefined && value.length !== size)
      throw invalid(`${size} bytes`, `${value.length} bytes`);
  }
}

/**
 * Makes a simulated NitroTPM, started and ready.
 * @throws ToolError `simulator.option-invalid`, `simulator.fault-invalid`
 */
export async function createSimulator(options: SimulatorOptions = {}): Promise<TpmSimulator> {
  const seed = copyBytes(options.seed ?? randomBytes(32));
  if (seed.length !== 32) throw invalid('a seed of 32 bytes', `${seed.length} bytes`);
  const banks = options.banks ?? [TPM_ALG.SHA1, TPM_ALG.SHA256, TPM_ALG.SHA384, TPM_ALG.SHA512];
  const pki = options.pki ?? (await createNitroPki());
  const state = new TpmState({ seed, banks, limits: { ...DEFAULT_LIMITS, ...options.limits } });
  const nsm = new SimulatedNsm({
    pki,
    moduleId: options.moduleId ?? 'i-0123456789abcdef0-tpm0000000000000000',
    now: options.now ?? (() => new Date()),
  });
  const simulator = new TpmSimulator(state, nsm, pki);
  for (const [index, value] of options.pcrs ?? []) simulator.setPcr(index, value);
  for (const fault of options.faults ?? []) simulator.injectFault(fault);
  return simulator;
}

function invalid(expected: string, actual: string): ToolError {
  return new ToolError('simulator.option-invalid', { expected, actual });
}
