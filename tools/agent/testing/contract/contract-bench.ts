import { getHandles } from '../../tpm/commands/capabilities.js';
import {
  createPrimary,
  flushContext,
  type Hierarchy,
  type LoadedKey,
} from '../../tpm/commands/keys.js';
import { nvDefineSpace, nvUndefineSpace } from '../../tpm/commands/nv.js';
import { startHmacSession } from '../../tpm/commands/sessions.js';
import { TPM_ALG, TPM_RH, TPMA_NV } from '../../tpm/constants.js';
import type { HmacSession } from '../../tpm/session.js';
import { TpmClient } from '../../tpm/tpm-client.js';
import type { NvPublic } from '../../tpm/tpms-nv-public.js';
import { RSA_EK_TEMPLATE, type TpmtPublic } from '../../tpm/tpmt-public.js';
import type { TpmTransport } from '../../transport/tpm-transport.js';

/** A TPM to test, freshly started, with SHA-256 and SHA-384 banks. */
export interface TpmUnderTest {
  connect(): Promise<TpmTransport>;
  stop(): Promise<void>;
  /** TPM2_PT_MANUFACTURER, four letters. */
  readonly manufacturer: string;
  /** Largest NV index. */
  readonly nvIndexMax: number;
}

const HANDLE_TYPES = [0x01000000, 0x02000000, 0x80000000];

/** The TPM under test, and things in it that go away again. */
export class ContractBench {
  readonly #start: () => Promise<TpmUnderTest>;
  #tpm: TpmUnderTest | undefined;
  #client: TpmClient | undefined;

  constructor(start: () => Promise<TpmUnderTest>) {
    this.#start = start;
  }

  get tpm(): TpmUnderTest {
    if (this.#tpm === undefined) throw new Error('the TPM is not started');
    return this.#tpm;
  }

  get client(): TpmClient {
    if (this.#client === undefined) throw new Error('the TPM is not started');
    return this.#client;
  }

  async start(): Promise<void> {
    this.#tpm = await this.#start();
    this.#client = new TpmClient(await this.#tpm.connect());
  }

  async stop(): Promise<void> {
    await this.#client?.close();
    await this.#tpm?.stop();
  }

  /** NV indices, sessions and transient objects that exist now. */
  async handles(): Promise<number[]> {
    const lists: number[][] = [];
    for (const type of HANDLE_TYPES) lists.push(await getHandles(this.client, type));
    return lists.flat();
  }

  async withKey<T>(
    hierarchy: Hierarchy,
    template: TpmtPublic,
    use: (key: LoadedKey) => Promise<T>,
  ): Promise<T> {
    const key = await createPrimary(this.client, hierarchy, template);
    try {
      return await use(key);
    } finally {
      await flushContext(this.client, key.handle);
    }
  }

  async withSession<T>(
    hashAlgorithm: number,
    use: (session: HmacSession) => Promise<T>,
  ): Promise<T> {
    const session = await this.withKey(TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE, (ek) =>
      startHmacSession(this.client, ek, { hashAlgorithm }),
    );
    try {
      return await use(session);
    } finally {
      await flushContext(this.client, session.handle);
    }
  }

  nvArea(dataSize: number, attributes = 0): NvPublic {
    return {
      nvIndex: 0x01800042,
      nameAlgorithm: TPM_ALG.SHA512,
      attributes: TPMA_NV.AUTHREAD | TPMA_NV.AUTHWRITE | TPMA_NV.NO_DA | attributes,
      authPolicy: new Uint8Array(0),
      dataSize,
    };
  }

  async withIndex<T>(area: NvPublic, authValue: Uint8Array, use: () => Promise<T>): Promise<T> {
    await nvDefineSpace(this.client, TPM_RH.OWNER, area, authValue);
    try {
      return await use();
    } finally {
      await nvUndefineSpace(this.client, TPM_RH.OWNER, area);
    }
  }
}
