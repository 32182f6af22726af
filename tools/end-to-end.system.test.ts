import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EBSClient, GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import {
  CreateKeyCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import { encodeBase64 } from 'tee-verify/bytes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePe } from '../src/measure/test-support/make-pe.js';

/**
 * From an image to a secret, with the commands that users have: the image is built and uploaded,
 * its manifest becomes the policy of a key, and only a machine that booted the image decrypts.
 * The machine, the snapshot service and the key service are emulated on loopback.
 */
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const COMMANDS = {
  image: at('image/bin/tee-image.js'),
  ami: at('ami/bin/tee-ami.js'),
  kms: at('kms/bin/tee-kms.js'),
  simulator: at('simulator/bin/tee-simulator.js'),
  emulator: at('../build/tools/emulator/cli.js'),
};
const NEEDED = [STUB, '/usr/bin/mkfs.erofs', '/usr/sbin/veritysetup', '/usr/bin/mcopy'];
const missing = [...NEEDED, COMMANDS.emulator].filter((path) => !existsSync(path));
if (missing.length > 0) {
  const message = `SKIPPED: from image to secret; missing ${missing.join(', ')} (npm run build, scripts/system-packages.txt)`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const PRINCIPAL = 'arn:aws:iam::111122223333:role/app';
const SECRET = 'the password of the database';
const OTHER = 'ab'.repeat(48);

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe.skipIf(missing.length > 0)('from an image to a running secret', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-end-to-end-'));
  const out = join(folder, 'out');
  const manifest = join(out, 'manifest.json');
  const running: ChildProcess[] = [];
  let endpoint = '';
  let keyId = '';
  let ciphertext = '';

  function run(command: keyof typeof COMMANDS, ...args: readonly string[]): Outcome {
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMANDS[command], ...args], {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        AWS_ACCESS_KEY_ID: 'app',
        AWS_SECRET_ACCESS_KEY: 'any',
        AWS_REGION: 'us-east-1',
      },
    });
    return { status, stdout, stderr };
  }

  /** Runs until the tests are over; resolves with its first line. */
  async function start(
    command: keyof typeof COMMANDS,
    ...args: readonly string[]
  ): Promise<string> {
    const child = spawn(process.execPath, [COMMANDS[command], ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.push(child);
    return new Promise((resolve, reject) => {
      let text = '';
      const hear = (chunk: Buffer): void => {
        text += chunk;
        if (text.includes('\n')) resolve(text.split('\n')[0] as string);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`${command} ended with ${code}: ${text}`)));
    });
  }

  const decrypt = (tpm: string): Outcome =>
    run(
      'kms',
      ...['decrypt', '--key-id', keyId, '--ciphertext', ciphertext],
      ...['--tpm', tpm, '--endpoint', endpoint],
    );

  const client = {
    region: 'us-east-1',
    credentials: { accessKeyId: 'admin', secretAccessKey: 'any' },
  };

  /** The whole volume that a snapshot would become. */
  async function readBack(snapshotId: string, sizeBytes: number): Promise<Buffer> {
    const ebs = new EBSClient({ ...client, endpoint });
    const volume = Buffer.alloc(sizeBytes);
    for (let token: string | undefined, more = true; more; more = token !== undefined) {
      const page = await ebs.send(
        new ListSnapshotBlocksCommand({ SnapshotId: snapshotId, NextToken: token }),
      );
      for (const { BlockIndex, BlockToken } of page.Blocks ?? []) {
        const block = await ebs.send(
          new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken }),
        );
        const bytes = (await block.BlockData?.transformToByteArray()) as Uint8Array;
        volume.set(bytes, (BlockIndex as number) * (page.BlockSize as number));
      }
      token = page.NextToken;
    }
    return volume;
  }

  /** PCR4 of the image. */
  const imagePcr = (pcr: number): string =>
    JSON.parse(readFileSync(manifest, 'utf8')).measurementSets[0].pcrs[pcr];

  const machines = { genuine: '', other: '', overridden: '' };

  beforeAll(async () => {
    const tree = join(folder, 'tree');
    mkdirSync(join(tree, 'etc'), { recursive: true });
    writeFileSync(join(tree, 'etc/app.conf'), 'answer=42\n'.repeat(1000));
    const kernel = makePe([{ name: '.text', data: new Uint8Array(4096).fill(7) }]);
    writeFileSync(join(folder, 'kernel'), kernel);
    writeFileSync(join(folder, 'initrd'), 'initrd');
    const built = run(
      'image',
      ...['build', '--kernel', join(folder, 'kernel'), '--initrd', join(folder, 'initrd')],
      ...['--root', tree, '--cmdline', 'console=ttyS0', '--name', 'app', '--out', out],
    );
    expect(built).toMatchObject({ status: 0 });

    const boots = {
      genuine: [],
      other: ['--pcr', `4=${OTHER}`],
      overridden: ['--extend', `12=${OTHER}`],
    };
    const roots: string[] = [];
    for (const [name, args] of Object.entries(boots)) {
      const root = join(folder, `${name}.pem`);
      const tpm = `unix:${join(folder, `${name}.tpm`)}`;
      await start('simulator', '--listen', tpm, '--root', root, '--manifest', manifest, ...args);
      machines[name as keyof typeof machines] = tpm;
      roots.push(root);
    }
    endpoint = await start('emulator', '--port', '0', '--root', ...roots);
  });

  afterAll(() => {
    for (const child of running) child.removeAllListeners('exit').kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('uploads the image: the snapshot is bit-identical', async () => {
    const image = join(out, 'app_1.raw');
    const created = run(
      'ami',
      ...['create', image, '--manifest', manifest, '--endpoint', endpoint, '--json'],
    );
    expect(created).toMatchObject({ status: 0 });
    const { snapshotId, imageId } = JSON.parse(created.stdout);
    expect(imageId).toMatch(/^ami-/);
    const bytes = readFileSync(image);
    expect((await readBack(snapshotId, bytes.length)).equals(bytes)).toBe(true);
  });

  it('binds a key to the manifest', async () => {
    const kms = new KMSClient({ ...client, endpoint });
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    keyId = KeyMetadata?.Arn as string;
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.from(SECRET) }),
    );
    ciphertext = encodeBase64(CiphertextBlob as Uint8Array);

    // Nobody but the administrators of the account yet.
    expect(decrypt(machines.genuine)).toMatchObject({ status: 1, stdout: '' });

    const { Policy } = await kms.send(new GetKeyPolicyCommand({ KeyId: keyId }));
    const policy = join(folder, 'policy.json');
    writeFileSync(policy, Policy as string);
    expect(
      run('kms', 'policy', manifest, '--principal', PRINCIPAL, '--merge', policy, '--out', policy),
    ).toMatchObject({ status: 0 });
    await kms.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy: readFileSync(policy, 'utf8') }));
  });

  it('gives the secret to a machine that booted the image', () => {
    expect(decrypt(machines.genuine)).toEqual({ status: 0, stdout: SECRET, stderr: '' });
  });

  it.each([
    ['another image', 'other', () => OTHER],
    ['a kernel command line from outside', 'overridden', () => imagePcr(4)],
  ] as const)('refuses a machine that booted %s, and shows its PCRs', (_what, name, pcr4) => {
    const { status, stdout, stderr } = decrypt(machines[name]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('kms.access-denied');
    expect(stderr).toContain(pcr4());
  });
});
