import { inspectAttestation } from 'tee-verify';
import { decodeHex, encodeHex } from 'tee-verify/bytes';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../simulator/faults.js';
import { createNitroPki, type NitroPki } from '../simulator/nitro-pki.js';
import { createSimulator, type TpmSimulator } from '../simulator/tpm-simulator.js';
import { type AttestOptions, attest } from './attest.js';
import type { AttestationBundle } from './bundle.js';
import { getHandles } from './tpm/commands/capabilities.js';
import { TPM_ALG, TPM_CC, type TpmCommandName } from './tpm/constants.js';
import { readStructure } from './tpm/read-structure.js';
import { TpmClient } from './tpm/tpm-client.js';
import { readPublic } from './tpm/tpmt-public.js';

const NONCE = new Uint8Array(32).map((_, i) => i);
const SESSIONS = ['hmac', 'password'] as const;

let pki: NitroPki;
/** One simulator for all tests: its RSA endorsement key takes time to make. */
let simulator: TpmSimulator;

beforeAll(async () => {
  pki = await createNitroPki();
  simulator = await createSimulator({ pki });
  await simulator.prepare();
});
afterEach(async () => {
  simulator.clearFaults();
  const left = await leftBehind();
  simulator.restart();
  expect(left, 'nothing is left in the TPM').toEqual([]);
});

/** Handles of NV indices, sessions and transient objects, as the TPM lists them. */
async function leftBehind(): Promise<number[]> {
  const client = new TpmClient(await simulator.transport());
  const lists: number[][] = [];
  for (const type of [0x01000000, 0x02000000, 0x03000000, 0x80000000])
    lists.push(await getHandles(client, type));
  return lists.flat();
}

async function run(options: Partial<AttestOptions> = {}): ReturnType<typeof attest> {
  return attest({ nonce: NONCE, transport: await simulator.transport(), ...options });
}

async function verified(
  evidence: AttestationBundle | Uint8Array,
  nonce: Uint8Array = NONCE,
): Promise<Awaited<ReturnType<typeof inspectAttestation>>> {
  const report = await inspectAttestation(evidence, undefined, {
    nonce,
    trustAnchors: [pki.rootDer],
  });
  expect(report.code).toBeUndefined();
  expect(report.verdict).toBe('unappraised');
  return report;
}

describe('attest', () => {
  describe.each(SESSIONS)('in a %s session', (session) => {
    it.each(['endorsement', 'owner'] as const)(
      'makes a bundle with a key of the %s hierarchy that verifies',
      async (hierarchy) => {
        const { bundle } = await run({ session, hierarchy, userData: new Uint8Array([1, 2, 3]) });
        if (bundle === undefined) throw new Error('no bundle');
        const report = await verified(bundle);
        expect(report.claims?.userData).toBe('010203');
        expect(report.steps.find(({ step }) => step === 'quote')?.state).toBe('passed');
      },
    );
    it('makes a bare document for a recipient', async () => {
      const publicKey = new Uint8Array(294).fill(0x30);
      const { bundle, document } = await run({ session, format: 'document', publicKey });
      expect(bundle).toBeUndefined();
      expect((await verified(document)).claims?.publicKey).toBe(encodeHex(publicKey));
    });
    it('makes a bare document without a public key', async () => {
      const { document } = await run({ session, format: 'document' });
      await verified(document);
    });
    it('fills every field to its limit', async () => {
      const full = new Uint8Array(1024).fill(0xa5);
      const options = { nonce: full, userData: full, publicKey: full } as const;
      const { document } = await run({ session, format: 'document', ...options });
      await verified(document, full);
    });
  });

  it.each([1, 20, 64])('takes a nonce of %i bytes', async (size) => {
    const nonce = new Uint8Array(size).fill(9);
    const { bundle } = await run({ nonce, session: 'password' });
    await verified(bundle as AttestationBundle, nonce);
  });

  it('writes the form that docs/bundle.md describes', async () => {
    const eventLog = new Uint8Array([1, 2, 3]);
    const { bundle, document } = await run({ eventLog, session: 'password' });
    if (bundle === undefined) throw new Error('no bundle');
    const { x, y, tpmt_public } = bundle.signing_key_public_keys.ecc_p256;
    expect(bundle.version).toBe(1);
    expect(bundle.event_log).toBe('AQID');
    expect(Object.keys(bundle.pcrs.sha384)).toEqual(Array.from({ length: 24 }, (_, i) => `${i}`));
    expect(bundle.pcrs.sha384['17']).toBe('ff'.repeat(48));
    expect(bundle.attestation.nitro.public_key).toBe(`04${x}${y}`);
    expect(bundle.attestation.nitro.nonce).toBe(encodeHex(NONCE));
    expect(bundle.attestation.tpm.ecc_p256.nonce).toBe(encodeHex(NONCE));
    expect(bundle.attestation.tpm.ecc_p256.attest_data.slice(0, 12)).toBe('ff5443478018');
    expect(bundle.attestation.nitro.document).toBe(encodeHex(document));
    const area = readStructure(decodeHex(tpmt_public) as Uint8Array, 'TPMT_PUBLIC', readPublic);
    expect(area.type === 'ecc' && encodeHex(area.x)).toBe(x);
    // restricted | sign | userWithAuth | sensitiveDataOrigin | fixedParent | fixedTPM
    expect(area.objectAttributes).toBe(0x50072);
  });

  it('keeps the inputs as they were when it was called', async () => {
    const nonce = NONCE.slice();
    const transport = await simulator.transport();
    const making = attest({ nonce, session: 'password', transport });
    nonce.fill(0xff);
    await verified((await making).bundle as AttestationBundle);
  });

  it('says what it is doing', async () => {
    const doing: string[] = [];
    await run({ onProgress: (text) => doing.push(text) });
    expect(doing.length).toBeGreaterThanOrEqual(5);
  });

  it.each<[string, Partial<AttestOptions>, string]>([
    ['an empty nonce', { nonce: new Uint8Array(0) }, 'usage.option-invalid'],
    ['65 bytes of nonce in a bundle', { nonce: new Uint8Array(65) }, 'usage.option-invalid'],
    [
      'too much nonce in a document',
      { nonce: new Uint8Array(1025), format: 'document' },
      'usage.option-invalid',
    ],
    ['too much user data', { userData: new Uint8Array(1025) }, 'usage.option-invalid'],
    [
      'too large a public key',
      { publicKey: new Uint8Array(1025), format: 'document' },
      'usage.option-invalid',
    ],
    [
      'an empty public key',
      { publicKey: new Uint8Array(0), format: 'document' },
      'usage.option-invalid',
    ],
    ['a public key in a bundle', { publicKey: new Uint8Array(65) }, 'usage.option-conflict'],
    [
      'an event log in a document',
      { eventLog: new Uint8Array(1), format: 'document' },
      'usage.option-conflict',
    ],
    ['too large an event log', { eventLog: new Uint8Array(700_001) }, 'file.too-large'],
  ])('refuses %s', async (_, options, code) => {
    await expect(run(options)).rejects.toMatchObject({ name: 'ToolError', code });
  });

  it('tries again when a PCR changes under it', async () => {
    let quotes = 0;
    let readings = 0;
    const transport = await simulator.transport();
    const { bundle } = await attest({
      nonce: NONCE,
      session: 'password',
      transport: {
        ...transport,
        description: 'changing',
        reopen: (options) => transport.reopen(options),
        close: () => transport.close(),
        exchange: async (command, options) => {
          const code = new DataView(command.buffer, command.byteOffset).getUint32(6);
          const response = await transport.exchange(command, options);
          // Once between reading and quoting, once between quote and document.
          if (code === TPM_CC.PCR_Read && ++readings === 3)
            simulator.setPcr(12, new Uint8Array(48).fill(1));
          if (code === TPM_CC.Quote && ++quotes === 2)
            simulator.setPcr(12, new Uint8Array(48).fill(2));
          return response;
        },
      },
    });
    expect(quotes).toBe(3);
    expect(bundle?.pcrs.sha384['12']).toBe('02'.repeat(48));
    await verified(bundle as AttestationBundle);
  });

  it('gives up when PCRs never settle', async () => {
    const transport = await simulator.transport();
    let value = 100;
    await expect(
      attest({
        nonce: NONCE,
        session: 'password',
        transport: {
          description: 'unsettled',
          reopen: (options) => transport.reopen(options),
          close: () => transport.close(),
          exchange: async (command, options) => {
            const code = new DataView(command.buffer, command.byteOffset).getUint32(6);
            if (code === TPM_CC.Quote) simulator.setPcr(12, new Uint8Array(48).fill(++value));
            return transport.exchange(command, options);
          },
        },
      }),
    ).rejects.toMatchObject({ code: 'attest.pcrs-changing' });
  });

  it('ends at a signal before the next command, and cleans up', async () => {
    for (const stopAt of [
      'creating the attestation key',
      'quoting the PCRs',
      'requesting the attestation document',
    ]) {
      const controller = new AbortController();
      const onProgress = (doing: string): void => {
        if (doing === stopAt) controller.abort();
      };
      await expect(run({ signal: controller.signal, onProgress })).rejects.toMatchObject({
        code: 'attest.interrupted',
      });
      expect(await leftBehind(), stopAt).toEqual([]);
    }
  });

  it('refuses a TPM that is no NitroTPM', async () => {
    const transport = await simulator.transport();
    await expect(
      attest({
        nonce: NONCE,
        transport: {
          description: 'IBM',
          reopen: (options) => transport.reopen(options),
          close: () => transport.close(),
          exchange: async (command, options) => {
            const response = await transport.exchange(command, options);
            const at = Buffer.from(response).indexOf('AMZN');
            if (at > 0) response.set(Buffer.from('IBM\0'), at);
            return response;
          },
        },
      }),
    ).rejects.toMatchObject({ code: 'attest.not-nitrotpm', actual: '"IBM"' });
  });
});

const COMMANDS: readonly TpmCommandName[] = [
  'GetCapability',
  'CreatePrimary',
  'StartAuthSession',
  'FlushContext',
  'PCR_Read',
  'Quote',
  'NV_DefineSpace',
  'NV_Write',
  'NSM_REQUEST',
  'NV_Read',
  'NV_UndefineSpace',
];
/** Faults of the wire and the code that each must give, whatever the command. */
const WIRE: readonly [string, Omit<Fault, 'command'>, readonly string[]][] = [
  ['late', { kind: 'late', value: 5_000 }, ['transport.timeout']],
  ['truncated to nothing', { kind: 'truncated', value: 0 }, ['tpm.response-malformed']],
  ['truncated inside the header', { kind: 'truncated', value: 7 }, ['tpm.response-malformed']],
  ['cut in half', { kind: 'truncated' }, ['tpm.response-malformed']],
  ['oversized', { kind: 'oversized' }, ['tpm.response-too-large', 'tpm.response-malformed']],
  [
    'a little too long',
    { kind: 'oversized', value: 3 },
    ['tpm.response-malformed', 'tpm.response-forged'],
  ],
  ['garbled', { kind: 'garbled' }, ['tpm.response-malformed', 'tpm.response-too-large']],
  ['disconnected', { kind: 'disconnect' }, ['tpm.response-malformed']],
  ['refused', { kind: 'rc', value: 0x101 }, ['tpm.command-failed']],
];

describe('attest under faults', () => {
  for (const session of SESSIONS) {
    const commands = COMMANDS.filter(
      (name) => session === 'hmac' || (name !== 'StartAuthSession' && name !== 'FlushContext'),
    );
    describe.each(commands)(`${session}, %s`, (command) => {
      it.each(WIRE)('%s: a typed error soon, nothing left', async (_, fault, codes) => {
        simulator.injectFault({ ...fault, command });
        const started = performance.now();
        // Undefining the index is done again by the cleanup: there the fault costs nothing.
        const outcome = await run({ session, timeoutMs: 400 }).then(
          () => 'made',
          (error: { name: string; code: string }) => {
            if (error.name !== 'ToolError') throw error;
            return error.code;
          },
        );
        expect(performance.now() - started).toBeLessThan(5_000);
        expect([...codes, ...(command === 'NV_UndefineSpace' ? ['made'] : [])]).toContain(outcome);
      });
    });
  }

  it.each(SESSIONS)('a single wrong byte is noticed or does not matter (%s)', async (session) => {
    const outcomes = new Map<string, number>();
    for (const command of COMMANDS)
      for (const value of [0, 3, 6, 9, 10, 11, 13, 14, 16, 21, 30, 45, 80, 140, 200, 333]) {
        simulator.clearFaults();
        simulator.injectFault({ kind: 'garbled', value, command });
        const outcome = await run({ session, timeoutMs: 400 }).then(
          async ({ bundle }) => {
            await verified(bundle as AttestationBundle);
            return 'verifies';
          },
          (error: { name: string; code: string }) => {
            if (error.name !== 'ToolError') throw error;
            return error.code;
          },
        );
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        expect(await leftBehind(), `${command} byte ${value}: ${outcome}`).toEqual([]);
      }
    expect(outcomes.get('tpm.response-malformed')).toBeGreaterThan(10);
  });

  it.each([
    ['RETRY', 0x922],
    ['YIELDED', 0x908],
    ['TESTING', 0x90a],
  ])('sends a command again on %s', async (_, value) => {
    for (const command of COMMANDS) simulator.injectFault({ kind: 'rc', value, command, times: 2 });
    const { bundle } = await run();
    await verified(bundle as AttestationBundle);
  });
  it('does not send it again for ever', async () => {
    simulator.injectFault({ kind: 'rc', value: 0x922, command: 'Quote', times: 1_000 });
    await expect(run({ session: 'password' })).rejects.toMatchObject({
      code: 'tpm.retries-exhausted',
    });
  });
  it.each<[string, Fault, string]>([
    ['full NV memory', { kind: 'nv-full' }, 'tpm.nv-space'],
    [
      'an index that is too large',
      { kind: 'rc', value: 0x2d5, command: 'NV_DefineSpace' },
      'tpm.nv-space',
    ],
    [
      'no room for objects',
      { kind: 'rc', value: 0x902, command: 'CreatePrimary' },
      'tpm.no-memory',
    ],
    [
      'no room for sessions',
      { kind: 'rc', value: 0x903, command: 'StartAuthSession' },
      'tpm.no-memory',
    ],
    [
      'an owner password',
      { kind: 'rc', value: 0x9a2, command: 'NV_DefineSpace' },
      'tpm.auth-failed',
    ],
    ['lockout', { kind: 'rc', value: 0x921, command: 'NV_Write' }, 'tpm.auth-failed'],
    [
      'no vendor command',
      { kind: 'rc', value: 0x143, command: 'NSM_REQUEST' },
      'attest.not-nitrotpm',
    ],
    ['an NSM error', { kind: 'nsm-error', error: 'InvalidArgument' }, 'attest.nsm-error'],
    ['an internal NSM error', { kind: 'nsm-error' }, 'attest.nsm-error'],
  ])('%s gives its own code', async (_, fault, code) => {
    simulator.injectFault(fault);
    await expect(run()).rejects.toMatchObject({ name: 'ToolError', code });
  });
  it('takes another index when one appears at the same place', async () => {
    simulator.injectFault({ kind: 'rc', value: 0x14c, command: 'NV_DefineSpace', times: 2 });
    const { bundle } = await run();
    await verified(bundle as AttestationBundle);
  });
  it('says what it could not remove, and why it had to', async () => {
    simulator.injectFault({ kind: 'rc', value: 0x101, command: 'Quote' });
    simulator.injectFault({ kind: 'rc', value: 0x101, command: 'FlushContext', times: 100 });
    await expect(run({ session: 'password' })).rejects.toMatchObject({
      code: 'attest.cleanup-failed',
      actual: '0x80000000',
      cause: { code: 'tpm.command-failed' },
    });
    expect(await leftBehind()).toEqual([0x80000000]);
    simulator.restart();
  });
  it('leaves alone what others have in the TPM', async () => {
    const other = new TpmClient(await simulator.transport());
    const { createPrimary, flushContext } = await import('./tpm/commands/keys.js');
    const { AK_TEMPLATE } = await import('./tpm/tpmt-public.js');
    const key = await createPrimary(other, 0x40000001, AK_TEMPLATE);
    simulator.injectFault({ kind: 'garbled', command: 'CreatePrimary' });
    await expect(run({ session: 'password', timeoutMs: 400 })).rejects.toMatchObject({
      name: 'ToolError',
    });
    expect(await leftBehind()).toEqual([key.handle]);
    await flushContext(other, key.handle);
  });
  it('needs the SHA-384 bank', async () => {
    const poor = await createSimulator({ pki, banks: [TPM_ALG.SHA256] });
    const transport = await poor.transport();
    await expect(attest({ nonce: NONCE, session: 'password', transport })).rejects.toMatchObject({
      code: 'tpm.unsupported',
    });
    expect(poor.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  });
});
