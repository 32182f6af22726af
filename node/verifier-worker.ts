import { parentPort, workerData } from 'node:worker_threads';
import type { EvidenceInput, ManifestInput, Report, VerifyOptions } from '../src/index.js';
import { inspectAttestation } from '../src/inspect-attestation.js';
import { namedProvider, type ProviderName } from './named-provider.js';

/** One verification for a worker: everything in it can be cloned. */
export interface PoolJob {
  readonly id: number;
  readonly evidence: EvidenceInput;
  readonly manifest: ManifestInput | undefined;
  readonly options: Omit<VerifyOptions, 'provider' | 'chainMemory'>;
}

/** Its end: the report, or the message of a TypeError that the caller made. */
export type PoolAnswer =
  | { readonly id: number; readonly report: Report }
  | { readonly id: number; readonly mistake: string }
  | { readonly id: number; readonly failure: unknown };

/** The process memory of chains is one per thread, so that CAs are remembered in each worker. */
const provider = namedProvider((workerData as { provider: ProviderName }).provider);

parentPort?.on('message', async ({ id, evidence, manifest, options }: PoolJob) => {
  let answer: PoolAnswer;
  try {
    answer = { id, report: await inspectAttestation(evidence, manifest, { ...options, provider }) };
  } catch (error) {
    answer = error instanceof TypeError ? { id, mistake: error.message } : { id, failure: error };
  }
  parentPort?.postMessage(answer);
});
