import fc from 'fast-check';
import { inspectAttestation } from 'tee-verify';
import { encodeHex } from 'tee-verify/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import { attest } from '../agent/attest.js';
import { TPM_ALG } from '../agent/tpm/constants.js';
import { tpmHash } from '../agent/tpm/names.js';
import { openSocketTransport } from '../agent/transport/socket-transport.js';
import { type Fault, parseFault } from './faults.js';
import { createNitroPki, type NitroPki } from './nitro-pki.js';
import { listen } from './socket-server.js';
import { createSimulator } from './tpm-simulator.js';

const NONCE = new Uint8Array(16).fill(5);
const EMPTY = { transient: [], sessions: [], nvIndices: [] };

let pki: NitroPki;
beforeAll(async () => {
  pki = await createNitroPki();
});

describe('the simulator', () => {
  it('is marked as simulated and never chains to AWS', async () => {
    const simulator = await createSimulator({ pki });
    const { bundle } = await attest({
      nonce: NONCE,
      session: 'password',
      transport: await simulator.transport(),
    });
    const report = await inspectAttestation(bundle as object, undefined, { nonce: NONCE });
    expect(report).toMatchObject({ verdict: 'rejected', code: 'x509.untrusted-anchor' });
    expect(Buffer.from(simulator.rootDer).includes('NOT AWS')).toBe(true);
    expect(simulator.rootPem).toContain('BEGIN CERTIFICATE');
  });
  it('puts its PCRs, its module and its time into the documents', async () => {
    const value = new Uint8Array(48).fill(0x44);
    const digest = new Uint8Array(48).fill(7);
    const now = new Date('2026-01-02T03:04:05.678Z');
    const moduleId = 'i-00000000000000042-tpm0000000000000000';
    const simulator = await createSimulator({
      pki,
      moduleId,
      now: () => now,
      pcrs: new Map([[4, value]]),
    });
    simulator.extendPcr(11, digest);
    const { bundle } = await attest({
      nonce: NONCE,
      session: 'password',
      transport: await simulator.transport(),
    });
    const report = await inspectAttestation(bundle as object, undefined, {
      nonce: NONCE,
      now,
      trustAnchors: [pki.rootDer],
    });
    expect(report.claims).toMatchObject({ moduleId, timestampMs: now.getTime() });
    expect(bundle?.pcrs.sha384['4']).toBe('44'.repeat(48));
    expect(bundle?.pcrs.sha384['11']).toBe(
      encodeHex(tpmHash(TPM_ALG.SHA384, new Uint8Array(48), digest)),
    );
  });
  it('makes the same attestation key from the same seed', async () => {
    const keyOf = async (seed: Uint8Array): Promise<string | undefined> => {
      const simulator = await createSimulator({ pki, seed });
      const transport = await simulator.transport();
      const { bundle } = await attest({ nonce: NONCE, session: 'password', transport });
      return bundle?.signing_key_public_keys.ecc_p256.x;
    };
    const seed = new Uint8Array(32).fill(1);
    expect(await keyOf(seed)).toBe(await keyOf(seed));
    expect(await keyOf(seed)).not.toBe(await keyOf(new Uint8Array(32).fill(2)));
  });
  it('forgets what is volatile at a power cycle', async () => {
    const simulator = await createSimulator({ pki });
    simulator.setPcr(4, new Uint8Array(48).fill(1));
    simulator.restart();
    expect(simulator.readPcr(4).every((byte) => byte === 0)).toBe(true);
    expect(simulator.readPcr(17).every((byte) => byte === 0xff)).toBe(true);
  });
  it('lets locality 4 reset PCR 17, and nobody else', async () => {
    const simulator = await createSimulator({ pki });
    const reset = Buffer.from('80020000001b0000013d0000001100000009400000090000010000', 'hex');
    const codeOf = async (): Promise<number> =>
      Buffer.from((await simulator.execute(reset)).bytes).readUInt32BE(6);
    expect(await codeOf()).toBe(0x907);
    simulator.locality = 4;
    expect(await codeOf()).toBe(0);
    expect(simulator.readPcr(17).every((byte) => byte === 0)).toBe(true);
  });
  it('answers any bytes with a response', async () => {
    const simulator = await createSimulator({ pki });
    const code = fc.constantFrom(
      0x120,
      0x122,
      0x12a,
      0x131,
      0x137,
      0x13d,
      0x143,
      0x14e,
      0x158,
      0x15d,
      0x162,
      0x165,
      0x169,
      0x173,
      0x176,
      0x17a,
      0x17e,
      0x182,
      0x20000001,
      0x999,
    );
    await fc.assert(
      fc.asyncProperty(
        code,
        fc.boolean(),
        fc.uint8Array({ maxLength: 80 }),
        async (command, sessions, body) => {
          const bytes = Buffer.alloc(10 + body.length);
          bytes.writeUInt16BE(sessions ? 0x8002 : 0x8001, 0);
          bytes.writeUInt32BE(bytes.length, 2);
          bytes.writeUInt32BE(command, 6);
          bytes.set(body, 10);
          const answer = Buffer.from((await simulator.execute(bytes)).bytes);
          expect(answer.readUInt32BE(2)).toBe(answer.length);
        },
      ),
      { numRuns: 1_000 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        const answer = Buffer.from((await simulator.execute(bytes)).bytes);
        expect(answer.readUInt32BE(2)).toBe(answer.length);
        expect(answer.readUInt32BE(6)).not.toBe(0);
      }),
    );
  });
  it.each<[string, () => Promise<unknown>, string]>([
    [
      'a short seed',
      () => createSimulator({ pki, seed: new Uint8Array(31) }),
      'simulator.option-invalid',
    ],
    [
      'PCR 24',
      () => createSimulator({ pki, pcrs: new Map([[24, new Uint8Array(48)]]) }),
      'simulator.option-invalid',
    ],
    [
      'a short PCR',
      () => createSimulator({ pki, pcrs: new Map([[4, new Uint8Array(32)]]) }),
      'simulator.option-invalid',
    ],
    [
      'a bank that is not there',
      async () =>
        (await createSimulator({ pki, banks: [TPM_ALG.SHA384] })).readPcr(0, TPM_ALG.SHA1),
      'simulator.option-invalid',
    ],
    [
      'extending PCR 17',
      async () => (await createSimulator({ pki })).extendPcr(17, new Uint8Array(48)),
      'simulator.option-invalid',
    ],
    [
      'an unknown fault',
      () => createSimulator({ pki, faults: [{ kind: 'rc' }] }),
      'simulator.fault-invalid',
    ],
  ])('refuses %s', async (_, work, code) => {
    await expect(work()).rejects.toMatchObject({ name: 'ToolError', code });
  });
  it('refuses more NV than it has', async () => {
    const simulator = await createSimulator({ pki, limits: { nvSize: 8000 } });
    await expect(
      attest({ nonce: NONCE, session: 'password', transport: await simulator.transport() }),
    ).rejects.toMatchObject({ code: 'tpm.nv-space' });
    expect(simulator.inventory()).toEqual(EMPTY);
  });
});

describe('faults', () => {
  it.each<[string, Fault]>([
    ['late=500', { kind: 'late', value: 500 }],
    ['late=500@Quote', { kind: 'late', value: 500, command: 'Quote' }],
    ['rc=0x922#3x2', { kind: 'rc', value: 0x922, nth: 3, times: 2 }],
    ['truncated@NV_Read#2', { kind: 'truncated', command: 'NV_Read', nth: 2 }],
    ['nv-full', { kind: 'nv-full' }],
    ['nsm-error=InputTooLarge', { kind: 'nsm-error', error: 'InputTooLarge' }],
  ])('%s is understood', (text, fault) => {
    expect(parseFault(text)).toEqual(fault);
  });
  it.each([
    '',
    'late',
    'rc',
    'rc=0',
    'slow=1',
    'late=x',
    'rc=1@Nothing',
    'rc=1#0',
    'rc=1x0',
    'nsm-error=Tired',
    'late=500 ',
  ])('"%s" is refused', (text) => {
    expect(() => parseFault(text)).toThrow(
      expect.objectContaining({ code: 'simulator.fault-invalid' }),
    );
  });
});

describe('over a socket', () => {
  it.each<[string, string]>([
    ['late=3000@NV_Read', 'transport.timeout'],
    ['late=3000@NV_DefineSpace', 'transport.timeout'],
    ['late=3000@CreatePrimary', 'transport.timeout'],
    ['truncated@CreatePrimary', 'transport.disconnected'],
    ['truncated=4@NSM_REQUEST', 'transport.disconnected'],
    ['oversized@Quote', 'tpm.response-too-large'],
    ['oversized=9@Quote', 'tpm.response-malformed'],
    ['garbled@NV_DefineSpace', 'tpm.response-too-large'],
    ['disconnect@NV_Write', 'transport.disconnected'],
    ['disconnect@CreatePrimary', 'transport.disconnected'],
    ['disconnect@GetCapability', 'transport.disconnected'],
  ])('%s gives %s and leaves nothing', async (fault, code) => {
    const simulator = await createSimulator({ pki, faults: [parseFault(fault)] });
    const { port, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    try {
      const started = performance.now();
      await expect(
        attest({ nonce: NONCE, session: 'password', tpm: `tcp:127.0.0.1:${port}`, timeoutMs: 400 }),
      ).rejects.toMatchObject({ name: 'ToolError', code });
      expect(performance.now() - started).toBeLessThan(2_500);
      expect(simulator.inventory()).toEqual(EMPTY);
    } finally {
      await close();
    }
  });
  it('serves several clients at once', async () => {
    const simulator = await createSimulator({ pki });
    const { port, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    try {
      const nonces = [1, 2].map((fill) => new Uint8Array(8).fill(fill));
      const made = await Promise.all(
        nonces.map((nonce) => attest({ nonce, session: 'password', tpm: `tcp:127.0.0.1:${port}` })),
      );
      expect(made.map(({ bundle }) => bundle?.attestation.nitro.nonce)).toEqual(
        nonces.map(encodeHex),
      );
      expect(simulator.inventory()).toEqual(EMPTY);
    } finally {
      await close();
    }
  });
  it('ends a connection that sends no TPM command', async () => {
    const simulator = await createSimulator({ pki });
    const { port, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    try {
      const transport = await openSocketTransport(
        { host: '127.0.0.1', port: port as number },
        { timeoutMs: 1000 },
      );
      const answer = Buffer.from(
        await transport.exchange(Buffer.from('GET / HTTP/1.1\r\n\r\n'), { timeoutMs: 1000 }),
      );
      expect(answer.readUInt32BE(6)).toBe(0x142);
      await expect(transport.exchange(Buffer.alloc(10), { timeoutMs: 1000 })).rejects.toMatchObject(
        {
          code: 'transport.disconnected',
        },
      );
    } finally {
      await close();
    }
  });
  it('says that an address is in use', async () => {
    const simulator = await createSimulator({ pki });
    const { port, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    try {
      await expect(
        listen(simulator, { host: '127.0.0.1', port: port as number }),
      ).rejects.toMatchObject({ code: 'simulator.listen-failed' });
    } finally {
      await close();
    }
  });
});
