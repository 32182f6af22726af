import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureImage } from '../build/measure-image.js';
import { makeEsp } from '../disk/make-esp.js';
import { parsePartitionDescription } from '../disk/partition-description.js';
import {
  COMMAND,
  canSign,
  makeSigningFixture,
  OWNER,
  type SigningFixture,
} from '../test-support/signing-fixture.js';
import { encodeSignatureList } from './encode-signature-list.js';
import { signBuild } from './sign-build.js';

describe.skipIf(!canSign())('signing refuses', () => {
  let fixture: SigningFixture;
  let keys: string;
  let output: string;
  const at = (...names: readonly string[]): string => fixture.at(...names);
  beforeAll(async () => {
    fixture = await makeSigningFixture();
    ({ keys } = fixture);
    output = at('signed');
    await fixture.build(at('out2'), '2', 'console=ttyS0 quiet');
  });
  afterAll(() => fixture?.remove());

  const copyOfBuild = (): string => {
    const copy = at('copy');
    rmSync(copy, { recursive: true, force: true });
    cpSync(at('out'), copy, { recursive: true });
    return copy;
  };

  const sign = (options: Partial<Parameters<typeof signBuild>[0]>) =>
    signBuild({ build: at('out'), identity: keys, output, ...options });
  async function expectRefused(
    options: Partial<Parameters<typeof signBuild>[0]>,
    code: string,
  ): Promise<void> {
    const before = readFileSync(join(output, 'manifest.json'));
    await expect(sign(options)).rejects.toMatchObject({ code });
    // The good output stands, and nothing half-made beside it.
    expect(readFileSync(join(output, 'manifest.json'))).toEqual(before);
    expect(readdirSync(fixture.folder).filter((name) => name.startsWith('.'))).toEqual([]);
  }
  const writeKey = (name: string, pem: string | Buffer): string => {
    writeFileSync(at(name), pem);
    return at(name);
  };

  it('a key that belongs to another certificate', () =>
    expectRefused({ key: join(keys, 'KEK.key') }, 'secure-boot.key-mismatch'));

  it('a certificate that firmware does not allow', () =>
    expectRefused(
      { key: join(keys, 'KEK.key'), certificate: join(keys, 'KEK.pem') },
      'uki.signer-not-in-db',
    ));

  it('a key that is none, is encrypted, or not RSA', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const rsa = createPrivateKey(readFileSync(join(keys, 'db.key')));
    const form = { type: 'pkcs8', format: 'pem' } as const;
    const files = [
      writeKey('none.key', 'hello'),
      writeKey('locked.key', rsa.export({ ...form, cipher: 'aes-256-cbc', passphrase: 'x' })),
      writeKey('ec.key', privateKey.export(form)),
      writeKey(
        'small.key',
        generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export(form),
      ),
    ];
    for (const key of files) await expectRefused({ key }, 'secure-boot.key-invalid');
    await expectRefused({ certificate: at('none.key') }, 'secure-boot.certificate-invalid');
    await expectRefused({ key: at('nowhere') }, 'file.unreadable');
  });

  it('an image of another build, or one that was changed', async () => {
    const copy = copyOfBuild();
    cpSync(at('out2/manifest.json'), join(copy, 'manifest.json'));
    await expectRefused({ build: copy }, 'secure-boot.image-invalid');
    copyOfBuild();
    cpSync(at('out2/unsigned.efi'), join(copy, 'unsigned.efi'));
    await expectRefused({ build: copy }, 'secure-boot.image-invalid');
    copyOfBuild();
    appendFileSync(join(copy, 'payments_1.raw'), Buffer.alloc(512));
    await expectRefused({ build: copy }, 'secure-boot.image-invalid');
    copyOfBuild();
    const raw = readFileSync(join(copy, 'payments_1.raw'));
    const inRoot = raw.indexOf('ID=test', raw.indexOf('ID=test') + 1);
    raw.writeUInt8(0, inRoot);
    writeFileSync(join(copy, 'payments_1.raw'), raw);
    await expectRefused({ build: copy }, 'secure-boot.image-invalid');
    const text = readFileSync(join(copy, 'partitions.json'), 'utf8');
    for (const [field, change] of [
      ...['espVolumeId', 'rootHash', 'diskUuid', 'uuid'].map(
        (name) =>
          [new RegExp(`"${name}": "(.)`), (digit: string) => (digit === '0' ? '1' : '0')] as const,
      ),
      [/"dataBytes": (\d+)/, (bytes: string) => `${Number(bytes) + 4096}`],
      [/"sizeBytes": (\d+)/, (bytes: string) => `${Number(bytes) + 1024 * 1024}`],
    ] as const) {
      copyOfBuild();
      const changed = text.replace(
        field,
        (match, value: string) => match.slice(0, -value.length) + change(value),
      );
      expect(changed).not.toBe(text);
      writeFileSync(join(copy, 'partitions.json'), changed);
      await expectRefused({ build: copy }, 'secure-boot.image-invalid');
    }
    copyOfBuild();
    writeFileSync(join(copy, 'partitions.json'), '{}');
    await expectRefused({ build: copy }, 'partitions.malformed');
    copyOfBuild();
    rmSync(join(copy, 'unsigned.efi'));
    await expectRefused({ build: copy }, 'file.unreadable');
  });

  it('a UKI whose digest signing would move', async () => {
    const copy = copyOfBuild();
    const description = readFileSync(join(copy, 'partitions.json'), 'utf8');
    const { partitions, architecture, espVolumeId, rootHash } =
      parsePartitionDescription(description);
    const [{ offsetBytes, sizeBytes }] = partitions;
    const [uki, raw, esp] = ['unsigned.efi', 'payments_1.raw', 'esp.img'].map((name) =>
      join(copy, name),
    ) as [string, string, string];
    // sbsign pads to 8 bytes, and the padding counts.
    appendFileSync(uki, Buffer.alloc(3));
    await makeEsp({ uki, output: esp, architecture, sizeBytes, volumeId: espVolumeId });
    const bytes = readFileSync(raw);
    bytes.set(readFileSync(esp), offsetBytes);
    writeFileSync(raw, bytes);
    const { manifest } = await measureImage(uki, {
      ...{ name: 'payments', version: '1', rootHash, raw },
      ...{ sourceRevision: undefined, stubProfile: undefined },
    });
    writeFileSync(join(copy, 'manifest.json'), manifest);
    await expectRefused({ build: copy }, 'secure-boot.digest-moved');
  });

  it('a signer that dbx forbids', async () => {
    const identity = at('revoked');
    cpSync(keys, identity, { recursive: true });
    const { raw } = new X509Certificate(readFileSync(join(keys, 'db.crt')));
    writeFileSync(join(identity, 'dbx.esl'), encodeSignatureList(OWNER, raw));
    await expectRefused({ identity }, 'uki.revoked-by-dbx');
  });

  it('to write over a folder that holds other things', async () => {
    await expectRefused({ output: at('out') }, 'output.not-replaceable');
    await expectRefused({ output: keys }, 'output.not-replaceable');
  });

  it('to go on without an identity', () =>
    expectRefused({ identity: at('nowhere') }, 'file.unreadable'));

  it('to leave half an image when the disk is full', () => {
    // A limit on the size of files stands for a full disk: writing fails in the same places.
    const script = 'ulimit -f 30000; exec "$@"';
    const args = [COMMAND, 'sign', at('out'), '--keys', keys, '--out', output];
    const before = readFileSync(join(output, 'manifest.json'));
    const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, ...args], {
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/^tee-image: file\.unwritable: [^\n]*\n$/);
    expect(status).toBe(2);
    expect(readFileSync(join(output, 'manifest.json'))).toEqual(before);
    expect(existsSync(join(output, 'payments_1.signed.raw'))).toBe(true);
    expect(readdirSync(fixture.folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
