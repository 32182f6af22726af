import { randomBytes } from 'node:crypto';
import { ToolError } from '../common/tool-error.js';
import { andRelease, describeManufacturer, NITROTPM_MANUFACTURER } from './attest.js';
import { checkOwnEvidence } from './check-own-evidence.js';
import { defineIndex, NSM_INDEX_SIZE, requestDocument } from './request-document.js';
import { getPcrBanks, getProperties } from './tpm/commands/capabilities.js';
import { nvUndefineSpace } from './tpm/commands/nv.js';
import { TPM_ALG, TPM_PT, TPM_RH } from './tpm/constants.js';
import { PASSWORD_SESSION } from './tpm/session.js';
import { TpmClient } from './tpm/tpm-client.js';
import { TpmResources } from './tpm-resources.js';
import { defaultDevice, openTransport, parseTpmAddress } from './transport/open-transport.js';
import type { TpmTransport } from './transport/tpm-transport.js';

/** One thing that `doctor` looked at. */
export interface DoctorStep {
  readonly name:
    | 'device'
    | 'permission'
    | 'vendor'
    | 'SHA-384 bank'
    | 'NV space'
    | 'vendor command'
    /** Only when something could not be removed from the TPM again. */
    | 'cleanup'
    | 'event log';
  /** `warning`: attesting works without it. */
  readonly state: 'ok' | 'failed' | 'warning' | 'not-run';
  readonly detail: string;
  /** What to do, when it is not ok. */
  readonly hint?: string;
}

/** Options of `runDoctor`. */
export interface DoctorOptions {
  readonly tpm?: string | undefined;
  /** Instead of `tpm`: opens the connection. */
  readonly open?: (() => Promise<TpmTransport>) | undefined;
  /** Reads the boot event log; undefined leaves the step out. */
  readonly readEventLog?: (() => Promise<Uint8Array>) | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears each step as it ends. */
  readonly onStep?: ((step: DoctorStep) => void) | undefined;
}

/** The device is there, but it cannot be opened. Whatever else goes wrong: it is not there. */
const IS_THERE: readonly string[] = ['transport.permission', 'transport.busy'];

/**
 * Looks, step by step, whether this machine can attest. What was created in the TPM is removed.
 * A TPM that falls silent or answers garbage fails the step at hand; the rest is `not-run`.
 * @throws ToolError `usage.option-invalid` for an address that cannot be understood,
 *   `attest.interrupted`
 */
export async function runDoctor(options: DoctorOptions): Promise<readonly DoctorStep[]> {
  const steps: DoctorStep[] = [];
  const add = (step: DoctorStep): void => {
    steps.push(step);
    options.onStep?.(step);
  };
  const client = await openTpm(options, add);
  if (client === undefined) {
    addNotRun(add, 'vendor', 'SHA-384 bank', 'NV space', 'vendor command');
  } else {
    try {
      await checkTpm(client, add);
    } finally {
      await client.close();
    }
  }
  if (options.readEventLog !== undefined) await checkEventLog(options.readEventLog, add);
  return steps;
}

async function openTpm(
  options: DoctorOptions,
  add: (step: DoctorStep) => void,
): Promise<TpmClient | undefined> {
  const { timeoutMs = 30_000, signal } = options;
  const address = options.tpm ?? (options.open === undefined ? await defaultDevice() : 'given');
  if (options.tpm !== undefined) parseTpmAddress(options.tpm);
  try {
    const transport = await (options.open?.() ?? openTransport(address, { timeoutMs }));
    add({ name: 'device', state: 'ok', detail: transport.description });
    add({ name: 'permission', state: 'ok', detail: 'it can be opened' });
    return new TpmClient(transport, { timeoutMs, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    const problem = problemOf(error);
    if (error instanceof ToolError && IS_THERE.includes(error.code)) {
      add({ name: 'device', state: 'ok', detail: address });
      add({ name: 'permission', state: 'failed', ...problem });
    } else {
      add({ name: 'device', state: 'failed', ...problem });
      addNotRun(add, 'permission');
    }
    return undefined;
  }
}

async function checkTpm(client: TpmClient, add: (step: DoctorStep) => void): Promise<void> {
  const properties = await step('vendor', client, add, async () => {
    const found = await getProperties(client, TPM_PT.FAMILY_INDICATOR);
    const manufacturer = found.get(TPM_PT.MANUFACTURER);
    if (manufacturer !== NITROTPM_MANUFACTURER)
      throw new ToolError('attest.not-nitrotpm', {
        expected: 'manufacturer "AMZN"',
        actual: describeManufacturer(manufacturer),
      });
    return { value: found, detail: 'manufacturer "AMZN"' };
  });
  await step('SHA-384 bank', client, add, async () => {
    const bank = (await getPcrBanks(client)).find(
      ({ hashAlgorithm }) => hashAlgorithm === TPM_ALG.SHA384,
    );
    const count = bank?.indices.length ?? 0;
    if (count < 24)
      throw new ToolError('tpm.unsupported', {
        expected: 'a SHA-384 bank with 24 PCRs',
        actual: `${count} PCRs`,
        hint: 'Attestation documents hold the SHA-384 bank; on a TPM of your own, allocate it (tpm2_pcrallocate) and restart.',
      });
    return { value: undefined, detail: '24 PCRs' };
  });
  const resources = await openResources(client, add);
  if (resources === undefined) return;
  try {
    await andRelease(resources, () =>
      checkRequest(client, resources, properties !== undefined, add),
    );
  } catch (error) {
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    const wasInterrupted = cause instanceof ToolError && cause.code === 'attest.interrupted';
    if (code !== 'attest.cleanup-failed' || wasInterrupted) throw error;
    add({ name: 'cleanup', state: 'failed', ...problemOf(error) });
  }
}

/** Writes down what is loaded, before anything is created; undefined when that cannot be told. */
async function openResources(
  client: TpmClient,
  add: (step: DoctorStep) => void,
): Promise<TpmResources | undefined> {
  if (client.broken) {
    addNotRun(add, 'NV space', 'vendor command');
    return undefined;
  }
  try {
    return await TpmResources.open(client);
  } catch (error) {
    addFailed(add, 'NV space', error);
    addNotRun(add, 'vendor command');
    return undefined;
  }
}

async function checkRequest(
  client: TpmClient,
  resources: TpmResources,
  isNitroTpm: boolean,
  add: (step: DoctorStep) => void,
): Promise<void> {
  const room = await step('NV space', client, add, async () => {
    const area = await defineIndex(client, resources, PASSWORD_SESSION, new Uint8Array(0));
    await nvUndefineSpace(client, TPM_RH.OWNER, area);
    resources.forgetIndex(area);
    return { value: true, detail: `an index of ${NSM_INDEX_SIZE} bytes fits` };
  });
  if (!isNitroTpm || room === undefined) {
    addNotRun(add, 'vendor command');
    return;
  }
  await step('vendor command', client, add, async () => {
    const nonce = new Uint8Array(randomBytes(32));
    const document = await requestDocument(client, resources, PASSWORD_SESSION, { nonce });
    await checkOwnEvidence({ evidence: document, document, nonce });
    return { value: true, detail: `a document of ${document.length} bytes came back` };
  });
}

async function step<T>(
  name: DoctorStep['name'],
  client: TpmClient,
  add: (step: DoctorStep) => void,
  work: () => Promise<{ value: T; detail: string }>,
): Promise<T | undefined> {
  // After a lost answer the connection is closed: every step would only say that.
  if (client.broken) {
    addNotRun(add, name);
    return undefined;
  }
  try {
    const { value, detail } = await work();
    add({ name, state: 'ok', detail });
    return value;
  } catch (error) {
    addFailed(add, name, error);
    return undefined;
  }
}

function addFailed(
  add: (step: DoctorStep) => void,
  name: DoctorStep['name'],
  error: unknown,
): void {
  if (error instanceof ToolError && error.code === 'attest.interrupted') throw error;
  add({ name, state: 'failed', ...problemOf(error) });
}

async function checkEventLog(
  read: () => Promise<Uint8Array>,
  add: (step: DoctorStep) => void,
): Promise<void> {
  const name = 'event log';
  try {
    const log = await read();
    if (log.length === 0)
      add({
        name,
        state: 'warning',
        detail: 'it is empty',
        hint: 'The firmware measured nothing: check that the instance boots with UEFI.',
      });
    else add({ name, state: 'ok', detail: `${log.length} bytes` });
  } catch (error) {
    const { detail } = problemOf(error);
    add({
      name,
      state: 'warning',
      detail,
      hint: 'Attesting works without it. To add it, run as root and mount securityfs (mount -t securityfs securityfs /sys/kernel/security).',
    });
  }
}

function addNotRun(add: (step: DoctorStep) => void, ...names: readonly DoctorStep['name'][]): void {
  for (const name of names) add({ name, state: 'not-run', detail: 'needs the steps before' });
}

function problemOf(error: unknown): { detail: string; hint: string } {
  if (error instanceof ToolError) return { detail: error.message, hint: error.hint };
  throw error;
}
