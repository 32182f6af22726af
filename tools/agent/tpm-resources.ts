import { setTimeout as sleep } from 'node:timers/promises';
import { equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { getHandles } from './tpm/commands/capabilities.js';
import { flushContext } from './tpm/commands/keys.js';
import { nvReadPublic, nvUndefineSpace } from './tpm/commands/nv.js';
import { TPM_HT, TPM_RH, TPMA_NV } from './tpm/constants.js';
import { TPM_RC } from './tpm/response-code.js';
import type { TpmClient } from './tpm/tpm-client.js';
import { isResponseCode } from './tpm/tpm-response-error.js';
import { encodeNvPublic, type NvPublic } from './tpm/tpms-nv-public.js';

const ATTEMPTS = 4;
const CLEANUP_TIMEOUT_MS = 5_000;
const FLUSHABLE = [TPM_HT.TRANSIENT, TPM_HT.LOADED_SESSION] as const;

/**
 * Everything that one run creates inside the TPM, and its removal.
 *
 * When an answer is lost, a key or session may exist whose handle nobody knows. So the handles
 * that were there before are written down first; what is there later besides them is ours.
 */
export class TpmResources {
  readonly #client: TpmClient;
  readonly #before: ReadonlySet<number>;
  readonly #handles = new Set<number>();
  readonly #indices = new Map<number, NvPublic>();

  private constructor(client: TpmClient, before: ReadonlySet<number>) {
    this.#client = client;
    this.#before = before;
  }

  /** Writes down what is loaded now. */
  static async open(client: TpmClient): Promise<TpmResources> {
    return new TpmResources(client, new Set(await loadedHandles(client)));
  }

  /** A transient object or session that must go at the end. */
  addHandle(handle: number): void {
    this.#handles.add(handle);
  }

  /** Removes one of them early. */
  async flush(handle: number): Promise<void> {
    await flushContext(this.#client, handle);
    this.#handles.delete(handle);
  }

  /** An NV index that is about to be defined: it must go even when the answer is lost. */
  addIndex(area: NvPublic): void {
    this.#indices.set(area.nvIndex, area);
  }

  /** It was undefined, or it never came to be. */
  forgetIndex(area: NvPublic): void {
    this.#indices.delete(area.nvIndex);
  }

  /**
   * Removes everything, over a new connection when the old one failed. `reason` is the error that
   * ended the work, if any.
   * @throws ToolError `attest.cleanup-failed`, with what failed first as its cause
   */
  async release(reason?: unknown): Promise<void> {
    this.#client.startCleanup(CLEANUP_TIMEOUT_MS);
    // After an error even a handle that is known may be a wrong one: then the TPM's list counts.
    let lost = reason !== undefined;
    let cause: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        if (attempt > 0) await sleep(10 * 4 ** attempt);
        if (this.#client.broken) {
          lost = true;
          await this.#client.reconnect();
        }
        for (const area of [...this.#indices.values()]) await this.#undefine(area);
        const left = lost ? await this.#strangers() : [...this.#handles];
        for (const handle of left.reverse()) await this.flush(handle);
        return;
      } catch (error) {
        cause = error;
        // Look again: part of the work may be done.
        lost = true;
      }
    }
    const left = [...this.#handles, ...this.#indices.keys()].map(
      (handle) => `0x${handle.toString(16)}`,
    );
    throw new ToolError('attest.cleanup-failed', {
      actual: left.length === 0 ? 'handles that could not be listed' : left.join(', '),
      cause: reason ?? cause,
    });
  }

  async #undefine(area: NvPublic): Promise<void> {
    const found = await this.#find(area);
    if (found !== undefined) await nvUndefineSpace(this.#client, TPM_RH.OWNER, found);
    this.#indices.delete(area.nvIndex);
  }

  /** The index as it is, if it is the one that this run defined. */
  async #find(area: NvPublic): Promise<NvPublic | undefined> {
    try {
      const { area: found } = await nvReadPublic(this.#client, area.nvIndex);
      return equalBytes(encodeNvPublic(unwritten(found)), encodeNvPublic(unwritten(area)))
        ? found
        : undefined;
    } catch (error) {
      if (isResponseCode(error, TPM_RC.HANDLE)) return undefined;
      throw error;
    }
  }

  async #strangers(): Promise<number[]> {
    return (await loadedHandles(this.#client)).filter((handle) => !this.#before.has(handle));
  }
}

async function loadedHandles(client: TpmClient): Promise<number[]> {
  const lists: number[][] = [];
  for (const type of FLUSHABLE) lists.push(await getHandles(client, (type << 24) >>> 0));
  return lists.flat();
}

function unwritten(area: NvPublic): NvPublic {
  return { ...area, attributes: (area.attributes & ~TPMA_NV.WRITTEN) >>> 0 };
}
