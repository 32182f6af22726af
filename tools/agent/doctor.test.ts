import { beforeAll, describe, expect, it } from 'vitest';
import { ToolError } from '../common/tool-error.js';
import { type Fault, parseFault } from '../simulator/faults.js';
import { createNitroPki, type NitroPki } from '../simulator/nitro-pki.js';
import { createSimulator, type SimulatorOptions } from '../simulator/tpm-simulator.js';
import { type DoctorOptions, type DoctorStep, runDoctor } from './doctor.js';
import { TPM_ALG } from './tpm/constants.js';

let pki: NitroPki;
beforeAll(async () => {
  pki = await createNitroPki();
});

const LOG = async (): Promise<Uint8Array> => new Uint8Array(100);

async function examine(
  options: SimulatorOptions = {},
  more: Partial<DoctorOptions> = {},
): Promise<readonly DoctorStep[]> {
  const simulator = await createSimulator({ pki, ...options });
  const steps = await runDoctor({
    open: () => simulator.transport(),
    readEventLog: LOG,
    timeoutMs: 400,
    ...more,
  });
  expect(simulator.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  return steps;
}
const states = (steps: readonly DoctorStep[]): string =>
  steps.map(({ name, state }) => `${name}: ${state}`).join(', ');
const faults = (...texts: string[]): { faults: Fault[] } => ({ faults: texts.map(parseFault) });

it('finds nothing wrong with a NitroTPM', async () => {
  expect(states(await examine())).toBe(
    'device: ok, permission: ok, vendor: ok, SHA-384 bank: ok, NV space: ok, vendor command: ok, event log: ok',
  );
});

it.each<[string, SimulatorOptions, string, string]>([
  ['a TPM without the bank', { banks: [TPM_ALG.SHA256] }, 'SHA-384 bank', 'tpm.unsupported'],
  ['full NV memory', { limits: { nvSize: 4096 } }, 'NV space', 'tpm.nv-space'],
  ['small indices', { limits: { nvIndexSize: 2048 } }, 'NV space', 'tpm.nv-space'],
  ['no vendor command', faults('rc=0x143@NSM_REQUEST'), 'vendor command', 'attest.not-nitrotpm'],
  ['an NSM error', faults('nsm-error'), 'vendor command', 'attest.nsm-error'],
  ['an owner password', faults('rc=0x9a2@NV_DefineSpace'), 'NV space', 'tpm.auth-failed'],
])('says what is wrong: %s', async (_, options, name, code) => {
  const step = (await examine(options)).find((one) => one.name === name);
  expect(step?.state).toBe('failed');
  expect(step?.detail).toContain(code);
  expect(step?.hint).toBeTruthy();
});

it.each([
  ['transport.not-found', 'device: failed, permission: not-run'],
  ['transport.connect-failed', 'device: failed, permission: not-run'],
  ['transport.timeout', 'device: failed, permission: not-run'],
  ['transport.permission', 'device: ok, permission: failed'],
  ['transport.busy', 'device: ok, permission: failed'],
] as const)('stops at %s', async (code, start) => {
  const open = async (): Promise<never> => {
    throw new ToolError(code);
  };
  const steps = await runDoctor({ open, readEventLog: LOG });
  expect(states(steps)).toBe(
    `${start}, vendor: not-run, SHA-384 bank: not-run, NV space: not-run, vendor command: not-run, event log: ok`,
  );
});

it('only warns about the event log', async () => {
  const readEventLog = async (): Promise<never> => {
    throw new ToolError('file.unreadable', { actual: 'EACCES' });
  };
  const steps = await examine({}, { readEventLog });
  expect(steps.at(-1)).toMatchObject({ name: 'event log', state: 'warning' });
  const empty = await examine({}, { readEventLog: async () => new Uint8Array(0) });
  expect(empty.at(-1)).toMatchObject({ name: 'event log', state: 'warning' });
});

// The mistake: a folder or a file for --tpm was "ok" as a device.
it('calls a folder no device', async () => {
  const steps = await runDoctor({ tpm: import.meta.dirname, readEventLog: LOG });
  expect(steps[0]).toMatchObject({
    name: 'device',
    state: 'failed',
    detail: expect.stringContaining('a folder at '),
  });
});

it('ends at a signal', async () => {
  const controller = new AbortController();
  const onStep = ({ name }: DoctorStep): void => {
    if (name === 'NV space') controller.abort();
  };
  await expect(examine({}, { signal: controller.signal, onStep })).rejects.toMatchObject({
    code: 'attest.interrupted',
  });
});

// A TPM, or a program at its address, that falls silent or talks garbage. There is always a verdict.
describe.each(['late=5000', 'garbled', 'garbled=5', 'truncated=12', 'disconnect', 'oversized'])(
  'a TPM that goes wrong by %s',
  (kind) => {
    it.each<[string, string, string]>([
      ['@GetCapability', 'vendor', 'SHA-384 bank, NV space, vendor command'],
      ['@GetCapability#2', 'SHA-384 bank', 'NV space, vendor command'],
      // The handles that are loaded, before anything is created.
      ['@GetCapability#3', 'NV space', 'vendor command'],
      ['@NV_DefineSpace', 'NV space', 'vendor command'],
      ['@NSM_REQUEST', 'vendor command', ''],
    ])('for once at %s', async (at, name, notRun) => {
      const steps = await examine(faults(`${kind}${at}`), { timeoutMs: 60 });
      const named = (state: DoctorStep['state']): string =>
        steps.flatMap((step) => (step.state === state ? [step.name] : [])).join(', ');
      expect([named('failed'), named('not-run')]).toEqual([name, notRun]);
      expect(steps.at(-1)).toMatchObject({ name: 'event log', state: 'ok' });
    });
  },
);
it('tells what it could not remove, and still gives its verdict', async () => {
  const simulator = await createSimulator({ pki, ...faults('rc=0x98e@NV_UndefineSpacex99') });
  const steps = await runDoctor({ open: () => simulator.transport(), readEventLog: LOG });
  expect(states(steps)).toBe(
    'device: ok, permission: ok, vendor: ok, SHA-384 bank: ok, NV space: failed, vendor command: not-run, cleanup: failed, event log: ok',
  );
  expect(steps.find(({ name }) => name === 'cleanup')?.detail).toMatch(
    /attest\.cleanup-failed.*0x1[89ab][0-9a-f]{5}/,
  );
});
