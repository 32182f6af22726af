import { spawn } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspectAttestation } from 'tee-verify';
import { encodeHex } from 'tee-verify/bytes';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createNitroPki, type NitroPki } from '../simulator/nitro-pki.js';
import { listen } from '../simulator/socket-server.js';
import { createSimulator } from '../simulator/tpm-simulator.js';
import { attest } from './attest.js';
import { akPoint, makeBundle } from './bundle.js';
import { havePrograms, startSwtpm } from './testing/start-swtpm.js';
import { createPrimary, flushContext, quote } from './tpm/commands/keys.js';
import { pcrExtend, readPcrs } from './tpm/commands/pcrs.js';
import { TPM_ALG, TPM_RH } from './tpm/constants.js';
import { allPcrs } from './tpm/pcr-selection.js';
import { readStructure } from './tpm/read-structure.js';
import { PASSWORD_SESSION } from './tpm/session.js';
import { TpmClient } from './tpm/tpm-client.js';
import { AK_TEMPLATE, type EccPublic, readPublic } from './tpm/tpmt-public.js';
import { decodeSignature, type EcdsaSignature, encodeSignature } from './tpm/tpmt-signature.js';
import { openSocketTransport } from './transport/socket-transport.js';
import type { TpmTransport } from './transport/tpm-transport.js';

const ALL = 'sha384:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23';
const NONCE = new Uint8Array(32).map((_, i) => 0xa0 + i);

interface Tpm {
  readonly port: number;
  connect(): Promise<TpmTransport>;
  stop(): Promise<void>;
}
const STARTERS: readonly (readonly [string, () => Promise<Tpm>])[] = [
  ['swtpm', startSwtpm],
  [
    'the simulator',
    async () => {
      const simulator = await createSimulator({ banks: [TPM_ALG.SHA256, TPM_ALG.SHA384] });
      const listening = await listen(simulator, { host: '127.0.0.1', port: 0 }, { control: true });
      const port = listening.port as number;
      return {
        port,
        connect: () => openSocketTransport({ host: '127.0.0.1', port }, { timeoutMs: 10_000 }),
        stop: () => listening.close(),
      };
    },
  ],
];

const ready = havePrograms('swtpm', 'tpm2_quote', 'tpm2_checkquote', 'tpm2_pcrread');
const describeIf = ready ? describe.each(STARTERS) : describe.skip.each(STARTERS);

describeIf('tpm2-tools with %s', (_, start) => {
  let tpm: Tpm;
  let pki: NitroPki;
  let folder: string;

  beforeAll(async () => {
    tpm = await start();
    pki = await createNitroPki();
    await withClient((client) =>
      pcrExtend(
        client,
        8,
        new Map([
          [TPM_ALG.SHA384, new Uint8Array(48).fill(3)],
          [TPM_ALG.SHA256, new Uint8Array(32).fill(4)],
        ]),
      ),
    );
  });
  afterAll(() => tpm?.stop());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tpm2-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (name: string): string => join(folder, name);
  /** Not spawnSync: the simulator answers in this very process. */
  const tool = (name: string, ...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn(name, args, {
        cwd: folder,
        env: { ...process.env, TPM2TOOLS_TCTI: `swtpm:host=127.0.0.1,port=${tpm.port}` },
      });
      let output = '';
      let errors = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      child.stderr.on('data', (chunk) => {
        errors += chunk;
      });
      child.on('error', reject);
      child.on('close', (status) => {
        if (status === 0) resolve(output);
        else reject(new Error(`${name} ${args.join(' ')}: status ${status}: ${errors}`));
      });
    });
  const withClient = async <T>(use: (client: TpmClient) => Promise<T>): Promise<T> => {
    const client = new TpmClient(await tpm.connect());
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  };

  it('tpm2_pcrread agrees with our PCR_Read', async () => {
    await tool('tpm2_pcrread', ALL, '-o', 'pcrs.bin');
    const { values } = await withClient((client) => readPcrs(client, allPcrs(TPM_ALG.SHA384)));
    const ours = Buffer.concat([...values.values()]);
    expect(readFileSync(file('pcrs.bin')).equals(ours)).toBe(true);
    expect(values.get(8)?.every((byte) => byte === 0)).toBe(false);
  });

  it('tpm2_getcap and tpm2_getrandom work', async () => {
    expect(await tool('tpm2_getcap', 'properties-fixed')).toContain('TPM2_PT_PCR_COUNT');
    expect(await tool('tpm2_getcap', 'pcrs')).toContain('sha384');
    expect(await tool('tpm2_getcap', 'algorithms')).toContain('ecdsa');
    expect(await tool('tpm2_getcap', 'commands')).toContain('TPM2_CC_Quote');
    expect(await tool('tpm2_getcap', 'handles-transient')).toBe('');
    expect((await tool('tpm2_getrandom', '--hex', '16')).trim()).toMatch(/^[0-9a-f]{32}$/);
  });

  it('tpm2_checkquote accepts our quote', async () => {
    await withClient(async (client) => {
      const key = await createPrimary(client, TPM_RH.ENDORSEMENT, AK_TEMPLATE);
      const area = key.publicArea as EccPublic;
      const selection = allPcrs(TPM_ALG.SHA384);
      const { attest: message, signature } = await quote(client, key, NONCE, [selection]);
      const { values } = await readPcrs(client, selection);
      await flushContext(client, key.handle);
      writeFileSync(file('ak.pem'), pemOf(area));
      writeFileSync(file('quote.msg'), message);
      writeFileSync(file('quote.sig'), encodeSignature(signature));
      writeFileSync(file('quote.pcrs'), serializedPcrs([...values.values()]));
    });
    const check = (nonce: Uint8Array): Promise<string> =>
      tool(
        'tpm2_checkquote',
        ...['-u', 'ak.pem', '-m', 'quote.msg', '-s', 'quote.sig'],
        ...['-f', 'quote.pcrs', '-g', 'sha256', '-q', encodeHex(nonce)],
      );
    await check(NONCE);
    await expect(check(NONCE.map((byte) => byte ^ 1))).rejects.toThrow('tpm2_checkquote');
  });

  it("our verifier accepts tpm2_quote's quote", async () => {
    await tool(
      'tpm2_createprimary',
      '-C',
      'e',
      '-G',
      'ecc256:ecdsa-sha256:null',
      '-c',
      'ak.ctx',
      '-a',
      'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth',
    );
    await tool('tpm2_readpublic', '-c', 'ak.ctx', '-o', 'ak.pub');
    await tool(
      'tpm2_quote',
      ...['-c', 'ak.ctx', '-l', ALL, '-q', encodeHex(NONCE), '-g', 'sha256'],
      ...['-m', 'quote.msg', '-s', 'quote.sig'],
    );
    await tool('tpm2_flushcontext', '-t');
    // TPM2B_PUBLIC: a size, then TPMT_PUBLIC.
    const ak = readEccPublic(file('ak.pub'));
    const { values } = await withClient((client) => readPcrs(client, allPcrs(TPM_ALG.SHA384)));
    const signature = decodeTpmSignature(readFileSync(file('quote.sig')));
    const message = new Uint8Array(readFileSync(file('quote.msg')));
    const document = await pki.issueDocument({
      platform: 'nitrotpm',
      moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
      timestampMs: Date.now(),
      pcrs: values,
      publicKey: akPoint(ak),
      nonce: NONCE,
    });
    const bundle = makeBundle({
      nonce: NONCE,
      pcrs: values,
      ak,
      quote: { attest: message, signature },
      document,
    });
    const report = await inspectAttestation(bundle, undefined, {
      nonce: NONCE,
      trustAnchors: [pki.rootDer],
    });
    expect(report.code).toBeUndefined();
    expect(report.steps.find(({ step }) => step === 'quote')?.state).toBe('passed');
  });

  it('makes the same attestation key as tpm2_createprimary', async () => {
    await tool(
      'tpm2_createprimary',
      '-C',
      'e',
      '-G',
      'ecc256:ecdsa-sha256:null',
      '-c',
      'ak.ctx',
      '-a',
      'restricted|sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth',
    );
    await tool('tpm2_readpublic', '-c', 'ak.ctx', '-o', 'ak.pub');
    await tool('tpm2_flushcontext', '-t');
    const theirs = readEccPublic(file('ak.pub'));
    expect(theirs.objectAttributes).toBe(AK_TEMPLATE.objectAttributes);
    expect(theirs.scheme).toEqual(AK_TEMPLATE.scheme);
  });

  it('tpm2-tools extend, define, write and read what we see', async () => {
    await tool('tpm2_pcrextend', `16:sha384=${'11'.repeat(48)}`);
    await withClient(async (client) => {
      const one = { hashAlgorithm: TPM_ALG.SHA384, indices: [16] };
      const { values } = await readPcrs(client, one);
      expect(values.get(16)?.every((byte) => byte === 0)).toBe(false);
    });
    await tool('tpm2_pcrreset', '16');
    writeFileSync(file('data'), 'hello from tpm2-tools');
    await tool(
      'tpm2_nvdefine',
      '0x1800100',
      '-C',
      'o',
      '-s',
      '64',
      '-a',
      'authread|authwrite|no_da',
      '-p',
      'secret',
    );
    await tool('tpm2_nvwrite', '0x1800100', '-C', '0x1800100', '-P', 'secret', '-i', 'data');
    await withClient(async (client) => {
      const { nvRead, nvReadPublic } = await import('./tpm/commands/nv.js');
      const { area } = await nvReadPublic(client, 0x1800100);
      const authValue = new TextEncoder().encode('secret');
      const read = await nvRead(client, area, 0, 21, 64, { session: PASSWORD_SESSION, authValue });
      expect(Buffer.from(read).toString()).toBe('hello from tpm2-tools');
    });
    expect(
      await tool('tpm2_nvread', '0x1800100', '-C', '0x1800100', '-P', 'secret', '-s', '21'),
    ).toBe('hello from tpm2-tools');
    await tool('tpm2_nvundefine', '0x1800100', '-C', 'o');
  });

  it('an HMAC session of tpm2-tools protects a command', async () => {
    await tool('tpm2_startauthsession', '-S', 'session.ctx', '--hmac-session');
    writeFileSync(file('data'), 'secret data');
    await tool(
      'tpm2_nvdefine',
      '0x1800101',
      '-C',
      'o',
      '-s',
      '16',
      '-a',
      'authread|authwrite|no_da',
    );
    await tool(
      'tpm2_nvwrite',
      '0x1800101',
      '-C',
      '0x1800101',
      '-P',
      'session:session.ctx',
      '-i',
      'data',
    );
    await tool('tpm2_flushcontext', 'session.ctx');
    await tool('tpm2_nvundefine', '0x1800101', '-C', 'o');
    expect(await tool('tpm2_getcap', 'handles-loaded-session')).toBe('');
  });
});

(ready ? describe : describe.skip)('the simulator after tpm2-tools', () => {
  it('still attests over the same port', async () => {
    const simulator = await createSimulator();
    const { port, close } = await listen(
      simulator,
      { host: '127.0.0.1', port: 0 },
      { control: true },
    );
    try {
      const { bundle } = await attest({ nonce: NONCE, tpm: `tcp:127.0.0.1:${port}` });
      const report = await inspectAttestation(bundle as object, undefined, {
        nonce: NONCE,
        trustAnchors: [simulator.rootPem],
      });
      expect(report.verdict).toBe('unappraised');
    } finally {
      await close();
    }
  });
});

function pemOf(area: EccPublic): string {
  const key = createPublicKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: Buffer.from(area.x).toString('base64url'),
      y: Buffer.from(area.y).toString('base64url'),
    },
  });
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function decodeTpmSignature(bytes: Uint8Array): EcdsaSignature {
  const signature = decodeSignature(bytes);
  if (signature.type !== 'ecdsa') throw new Error('not ECDSA');
  return signature;
}

/** PCRs in the file format of tpm2_quote: its C structures as they lie in memory, little-endian. */
function serializedPcrs(values: readonly Uint8Array[]): Buffer {
  const selections = Buffer.alloc(132);
  selections.writeUInt32LE(1, 0);
  selections.writeUInt16LE(TPM_ALG.SHA384, 4);
  selections.set([3, 0xff, 0xff, 0xff], 6);
  const lists = Array.from({ length: Math.ceil(values.length / 8) }, (_, list) => {
    const digests = values.slice(8 * list, 8 * list + 8);
    const bytes = Buffer.alloc(532);
    bytes.writeUInt32LE(digests.length, 0);
    digests.forEach((digest, i) => {
      bytes.writeUInt16LE(digest.length, 4 + 66 * i);
      bytes.set(digest, 6 + 66 * i);
    });
    return bytes;
  });
  const count = Buffer.alloc(4);
  count.writeUInt32LE(lists.length);
  return Buffer.concat([selections, count, ...lists]);
}

/** A TPM2B_PUBLIC as tpm2-tools write it. */
function readEccPublic(path: string): EccPublic {
  return readStructure(
    new Uint8Array(readFileSync(path).subarray(2)),
    'TPMT_PUBLIC',
    readPublic,
  ) as EccPublic;
}
