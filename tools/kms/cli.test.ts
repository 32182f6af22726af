import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBase64 } from 'tee-verify/bytes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator } from '../emulator/emulator.js';
import { createKmsService } from '../emulator/kms-endpoint.js';
import { type EmulatedKey, encryptWith } from '../emulator/kms-keys.js';
import type { ChooseFault, LocalServer } from '../emulator/local-server.js';
import { bootFromManifest } from '../simulator/boot-state.js';
import { createNitroPki } from '../simulator/nitro-pki.js';
import { type ListeningSimulator, listen } from '../simulator/socket-server.js';
import { createSimulator, type TpmSimulator } from '../simulator/tpm-simulator.js';
import { parseKeyPolicy } from './policy-document.js';
import {
  expectError,
  type Outcome,
  type RunOptions,
  runTeeKms,
  textOf,
} from './testing/run-tee-kms.js';

const folder = mkdtempSync(join(tmpdir(), 'tee-kms-cli-'));
const at = (...names: string[]): string => join(folder, ...names);
const APP = 'arn:aws:iam::111122223333:role/app';
const KEY = 'arn:aws:kms:us-east-1:111122223333:key/secrets';
const ZERO = '00'.repeat(48);
const MANIFEST = JSON.stringify({
  version: 1,
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'v1', pcrs: { 4: 'a4'.repeat(48), 12: ZERO } }],
});
// Every byte there is: nothing on the way may take it for text.
const SECRET = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);

let tpm: TpmSimulator;
let listening: ListeningSimulator;
let kms: ReturnType<typeof createKmsService>;
let server: LocalServer;
let faults: ChooseFault | undefined;

const run = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  runTeeKms(folder, args, options);
const to = (): string[] => ['--tpm', listening.address, '--endpoint', server.url];
const decrypt = (...more: string[]): string[] => [
  'decrypt',
  ...['--key-id', KEY, '--ciphertext', '@secret.enc'],
  ...to(),
  ...more,
];
beforeAll(async () => {
  const pki = await createNitroPki();
  tpm = await createSimulator({ pki });
  await tpm.prepare();
  listening = await listen(tpm, { host: '127.0.0.1', port: 0 });
  writeFileSync(at('manifest.json'), MANIFEST);
  const made = await run([
    'policy',
    'manifest.json',
    '--principal',
    APP,
    '--actions',
    'kms:Decrypt',
    'kms:GenerateDataKey',
  ]);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  kms = createKmsService({
    trustAnchors: [pki.rootDer],
    keys: { secrets: parseKeyPolicy(textOf(made)) },
  });
  server = await startEmulator({ services: [kms], faults: (request) => faults?.(request) });
  const key = kms.keys.find(KEY) as EmulatedKey;
  writeFileSync(at('secret.enc'), encryptWith(key, SECRET, {}));
  writeFileSync(at('secret.b64'), `${encodeBase64(encryptWith(key, SECRET, { a: 'b=c' }))}\n`);
});

beforeEach(() => {
  faults = undefined;
  tpm.restart();
  bootFromManifest(tpm, MANIFEST);
});

afterAll(async () => {
  await server?.close();
  await listening?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('tee-kms decrypt', () => {
  it('writes the secret, the whole secret and nothing but the secret', async () => {
    const outcome = await run(decrypt());
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(outcome.stdout).toEqual(SECRET);
    expect(tpm.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  });

  it('takes base64, standard input and an encryption context', async () => {
    const text = readFileSync(at('secret.b64'), 'utf8').trim();
    const base = ['decrypt', '--key-id', KEY, ...to(), '--encryption-context', 'a=b=c'];
    for (const [ciphertext, input] of [
      [text, undefined],
      ['@secret.b64', undefined],
      ['-', text],
    ] as const) {
      const outcome = await run(
        [...base, '--ciphertext', ciphertext],
        input === undefined ? {} : { input },
      );
      expect(outcome.stderr).toBe('');
      expect(outcome.stdout).toEqual(SECRET);
    }
  });

  it('shows the PCRs of this machine when access is denied', async () => {
    tpm.setPcr(12, new Uint8Array(48).fill(1));
    const outcome = await run(decrypt());
    expectError(outcome, 'kms.access-denied', 1, 5);
    expect(outcome.stderr).toContain(`\n  PCR4  ${'a4'.repeat(48)}\n`);
    expect(outcome.stderr).toContain(`\n  PCR7  ${ZERO}  (zero)\n`);
    expect(outcome.stderr).toContain(`\n  PCR12 ${'01'.repeat(48)}\n`);
    tpm.setPcr(12, new Uint8Array(48));
    tpm.setPcr(4, new Uint8Array(48).fill(2));
    expectError(await run(decrypt('--out', 'denied')), 'kms.access-denied', 1, 5);
    expect(existsSync(at('denied'))).toBe(false);
  });

  it.each<[string, string, (answer: ServerResponse) => void]>([
    ['never ends', 'kms.unreachable', (answer) => void answer.write('{')],
    [
      'has no bound',
      'kms.service-failed',
      (answer) => {
        const chunk = Buffer.alloc(65_536, ' ');
        const more = (): void => {
          if (answer.destroyed) return;
          answer.write(chunk);
          setImmediate(more);
        };
        more();
      },
    ],
  ])('ends an answer that %s', async (_, code, start) => {
    const liar = createServer((request, answer) => {
      request.resume();
      answer.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      start(answer);
    }).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    try {
      const url = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
      expectError(await run(decrypt('--endpoint', url, '--timeout', '2')), code);
    } finally {
      liar.closeAllConnections();
      liar.close();
    }
  });

  it('says what is wrong in one line', async () => {
    const rows: readonly (readonly [string[], string, number, NodeJS.ProcessEnv?])[] = [
      [decrypt('--ciphertext', '!'), 'usage.option-invalid', 2],
      [decrypt('--ciphertext', ''), 'usage.option-invalid', 2],
      [decrypt('--ciphertext', '@nothing'), 'file.unreadable', 2],
      [decrypt('--ciphertext', '@big'), 'file.too-large', 2],
      [decrypt('--encryption-context', 'a'), 'usage.option-invalid', 2],
      [decrypt('--encryption-context', 'a=1', 'a=2'), 'usage.option-invalid', 2],
      [decrypt('--timeout', '0'), 'usage.option-invalid', 2],
      [decrypt('--endpoint', 'kms.example'), 'usage.option-invalid', 2],
      [decrypt('--endpoint', 'http://127.0.0.1:9'), 'kms.unreachable', 1],
      [decrypt('--tpm', 'tcp:127.0.0.1:9'), 'transport.connect-failed', 1],
      [decrypt('--tpm', 'nonsense'), 'usage.option-invalid', 2],
      [decrypt('--key-id', 'nobody', '--region', 'us-east-1'), 'kms.key-unusable', 1],
      [decrypt('--key-id', 'secrets'), 'kms.unreachable', 1],
      [decrypt('--ciphertext', 'AQIDBA'), 'kms.ciphertext-refused', 1],
      [decrypt('--encryption-context', 'a=b'), 'kms.ciphertext-refused', 1],
      [decrypt(), 'kms.credentials', 1, { AWS_ACCESS_KEY_ID: 'nobody' }],
      [
        decrypt(),
        'kms.credentials',
        1,
        {
          AWS_ACCESS_KEY_ID: '',
          AWS_SECRET_ACCESS_KEY: '',
          AWS_EC2_METADATA_DISABLED: 'true',
          HOME: folder,
        },
      ],
    ];
    writeFileSync(at('big'), new Uint8Array(20_000));
    for (const [args, code, status, env] of rows)
      expectError(await run(args, env === undefined ? {} : { env }), code, status);
  });

  it('tries again when the service throttles or the connection breaks, and gives up in the end', async () => {
    let count = 0;
    faults = () => {
      count++;
      if (count === 1) return { answer: kms.throttled };
      return count === 2 ? { reset: 'before' } : undefined;
    };
    expect((await run(decrypt())).stdout).toEqual(SECRET);
    expect(count).toBe(3);
    faults = () => ({ answer: kms.throttled });
    expectError(await run(decrypt()), 'kms.throttled');
    faults = () => ({ delayMs: 10_000 });
    expectError(await run(decrypt('--timeout', '1')), 'kms.unreachable');
  });

  it('does not use an answer in the clear', async () => {
    const body = JSON.stringify({ KeyId: KEY, Plaintext: encodeBase64(SECRET) });
    faults = () => ({ answer: { status: 200, body } });
    expectError(await run(decrypt('--out', 'clear')), 'kms.recipient-ignored');
    expect(existsSync(at('clear'))).toBe(false);
  });

  it('ends at a signal without writing anything', async () => {
    faults = () => ({ delayMs: 5000 });
    const outcome = await run(decrypt('--out', 'stopped'), {
      onStart: (child) => {
        const before = server.requests.length;
        const timer = setInterval(() => {
          if (tpm.inventory().sessions.length === 0 && server.requests.length === before) return;
          clearInterval(timer);
          child.kill('SIGINT');
        }, 20);
      },
    });
    expect(outcome.stderr).toMatch(/^tee-kms: attest\.interrupted: /);
    expect(outcome.status).toBe(130);
    expect(existsSync(at('stopped'))).toBe(false);
    expect(tpm.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  });
});

describe('files of secrets', () => {
  const mode = (name: string): number => statSync(at(name)).mode & 0o777;
  const isRoot = process.geteuid?.() === 0;

  it('have mode 0600, or less when they had less', async () => {
    expect(await run(decrypt('--out', 'new'))).toMatchObject({ status: 0, stderr: '' });
    expect(mode('new')).toBe(0o600);
    writeFileSync(at('open'), 'old', { mode: 0o644 });
    await run(decrypt('--out', 'open'));
    expect(mode('open')).toBe(0o600);
    writeFileSync(at('tight'), 'old', { mode: 0o400 });
    await run(decrypt('--out', 'tight'));
    expect(mode('tight')).toBe(0o400);
    chmodSync(at('tight'), 0o600);
    for (const name of ['new', 'open', 'tight'])
      expect(new Uint8Array(readFileSync(at(name)))).toEqual(SECRET);
  });

  it('are no links, folders, pipes or files of others', async () => {
    writeFileSync(at('target'), 'theirs', { mode: 0o644 });
    symlinkSync(at('target'), at('link'));
    symlinkSync(at('nowhere'), at('dangling'));
    mkdirSync(at('folder'));
    let asked = 0;
    faults = () => {
      asked++;
      return undefined;
    };
    for (const name of ['link', 'dangling', 'folder', '/dev/null'])
      expectError(await run(decrypt('--out', name)), 'file.unwritable', 2);
    // Nothing was asked for that nobody could have received.
    expect(asked).toBe(0);
    expectError(await run(decrypt('--out', 'none/file')), 'file.unwritable', 2);
    expect(readFileSync(at('target'), 'utf8')).toBe('theirs');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(existsSync(at('nowhere'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it.runIf(isRoot)('of other users are refused even for root', async () => {
    const { chownSync } = await import('node:fs');
    writeFileSync(at('of-others'), 'x');
    chownSync(at('of-others'), 12_345, 12_345);
    expectError(await run(decrypt('--out', 'of-others')), 'file.unwritable', 2);
  });
});

describe('tee-kms generate-data-key and generate-random', () => {
  const key = (...more: string[]): string[] => [
    'generate-data-key',
    '--key-id',
    KEY,
    ...to(),
    ...more,
  ];

  it('makes a key whose copy decrypts to it', async () => {
    const made = await run(
      key('--out', 'key', '--ciphertext-out', 'key.enc', '--encryption-context', 'a=1'),
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(made.stdout).toHaveLength(0);
    expect(statSync(at('key')).mode & 0o777).toBe(0o600);
    const again = await run(decrypt('--ciphertext', '@key.enc', '--encryption-context', 'a=1'));
    expect(again.stdout).toEqual(new Uint8Array(readFileSync(at('key'))));
    expect(again.stdout).toHaveLength(32);
    const lost = await run(key('--number-of-bytes', '48'));
    expect(lost.stdout).toHaveLength(48);
    expect(lost.stderr).toBe('tee-kms: note: the encrypted copy was not kept (--ciphertext-out)\n');
    expect((await run(key('--key-spec', 'AES_128'))).stdout).toHaveLength(16);
  });

  it('makes random bytes', async () => {
    const args = ['generate-random', '--number-of-bytes', '33', '--region', 'us-east-1', ...to()];
    const [one, other] = [await run(args), await run(args)];
    expect(one).toMatchObject({ status: 0, stderr: '' });
    expect(one.stdout).toHaveLength(33);
    expect(one.stdout).not.toEqual(other.stdout);
  });

  it('refuses what does not go together', async () => {
    for (const [args, code] of [
      [key('--key-spec', 'AES_256', '--number-of-bytes', '3'), 'usage.option-conflict'],
      [key('--ciphertext-out', '-'), 'usage.option-conflict'],
      [key('--out', 'one', '--ciphertext-out', './one'), 'usage.option-conflict'],
      [key('--number-of-bytes', '1025'), 'usage.option-invalid'],
      [key('--number-of-bytes', '0x10'), 'usage.option-invalid'],
    ] as const)
      expectError(await run(args), code, 2);
  });
});
