import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { MeasurementManifest } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFile } from '../../common/file-source.js';
import { parsePartitionDescription } from '../disk/partition-description.js';
import { readEsp } from '../disk/read-esp.js';
import {
  COMMAND,
  canSign,
  makeSigningFixture,
  OWNER,
  type SigningFixture,
} from '../test-support/signing-fixture.js';
import { createIdentity } from './create-identity.js';
import { signBuild } from './sign-build.js';
import { decodeUefiData } from './uefi-variable-store.js';

const SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so';

describe.skipIf(!canSign())('signing a build', () => {
  let fixture: SigningFixture;
  let keys: string;
  const at = (...names: readonly string[]): string => fixture.at(...names);
  beforeAll(async () => {
    fixture = await makeSigningFixture();
    ({ keys } = fixture);
  });
  afterAll(() => fixture?.remove());

  const manifestOf = (out: string): MeasurementManifest =>
    JSON.parse(readFileSync(at(out, 'manifest.json'), 'utf8'));
  const pcrsOf = (out: string): Readonly<Record<string, string>> =>
    manifestOf(out).measurementSets[0]?.pcrs ?? {};
  const ukiDigest = (out: string): string | undefined =>
    manifestOf(out).measurementSets[0]?.events.find(({ kind }) => kind === 'image')?.digest;
  const run = (args: readonly string[], options: { input?: string; env?: object } = {}) => {
    const env = { ...process.env, ...options.env };
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, 'sign', ...args], {
      ...{ encoding: 'utf8', env },
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    return { status, stdout, stderr };
  };
  const sbverify = (uki: string): string =>
    spawnSync('sbverify', ['--cert', join(keys, 'db.pem'), uki], { encoding: 'utf8' }).stdout;
  /** Whether a file holds a private key, as text or as the number that makes it. */
  function holdsKey(path: string): boolean {
    const bytes = readFileSync(path);
    const { d = '' } = createPrivateKey(readFileSync(join(keys, 'db.key'))).export({
      format: 'jwk',
    });
    return bytes.includes('PRIVATE KEY') || bytes.includes(Buffer.from(d, 'base64url'));
  }
  it('makes exactly these files, and leaves the build as it was', () => {
    const names = ['manifest.json', 'partitions.json', 'payments_1.signed.raw', 'signed.efi'];
    expect(readdirSync(at('signed')).sort()).toEqual([...names, 'tpm_pcr.json', 'uefi_data.aws']);
    expect(readdirSync(at('out')).sort()).toEqual([
      'manifest.json',
      'partitions.json',
      'payments_1.raw',
      'tpm_pcr.json',
      'unsigned.efi',
    ]);
    for (const name of readdirSync(at('signed'))) expect(holdsKey(at('signed', name))).toBe(false);
    expect(holdsKey(join(keys, 'db.key'))).toBe(true);
  });

  it('signs the UKI, and changes nothing in the image but the system partition', async () => {
    expect(sbverify(at('signed/signed.efi'))).toContain('Signature verification OK');
    const before = readFileSync(at('out/payments_1.raw'));
    const after = readFileSync(at('signed/payments_1.signed.raw'));
    const description = parsePartitionDescription(
      readFileSync(at('signed/partitions.json'), 'utf8'),
    );
    const built = parsePartitionDescription(readFileSync(at('out/partitions.json'), 'utf8'));
    expect(description).toEqual({ ...built, image: 'payments_1.signed.raw' });
    const [{ offsetBytes, sizeBytes }] = description.partitions;
    const end = offsetBytes + sizeBytes;
    expect(after.length).toBe(before.length);
    expect(after.subarray(0, offsetBytes).equals(before.subarray(0, offsetBytes))).toBe(true);
    expect(after.subarray(end).equals(before.subarray(end))).toBe(true);
    const source = await openFile(at('signed/payments_1.signed.raw'));
    try {
      const { files, volumeId } = await readEsp(source, offsetBytes, sizeBytes);
      expect(files.map(({ path }) => path)).toEqual(['EFI/BOOT/BOOTX64.EFI']);
      expect(volumeId).toBe(built.espVolumeId);
      const [file] = files;
      const bytes = Buffer.from((await file?.source.read(0, file.source.size)) ?? []);
      expect(bytes.equals(readFileSync(at('signed/signed.efi')))).toBe(true);
    } finally {
      await source.close();
    }
  });

  it('makes what tee-image verify accepts', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        ...[COMMAND, 'verify', at('signed/payments_1.signed.raw')],
        ...['--manifest', at('signed/manifest.json'), '--secure-boot', keys],
      ],
      { encoding: 'utf8' },
    );
    expect(stdout + stderr).not.toMatch(/failed/i);
    expect(status).toBe(0);
  });

  it("moves no digest of PCR4, and pins PCR7; AWS's form says both and PCR12", () => {
    expect(ukiDigest('signed')).toMatch(/^[0-9a-f]{96}$/);
    expect(ukiDigest('signed')).toBe(ukiDigest('out'));
    const [before, after] = [pcrsOf('out'), pcrsOf('signed')];
    expect(Object.keys(after)).toEqual(['4', '7', '9', '11', '12']);
    for (const pcr of ['9', '11', '12']) expect(after[pcr]).toBe(before[pcr]);
    expect(after['7']).not.toBe(before['7']);
    const aws = JSON.parse(readFileSync(at('signed/tpm_pcr.json'), 'utf8')).Measurements;
    expect(aws).toEqual({
      ...{ HashAlgorithm: 'SHA384', PCR4: after['4'], PCR7: after['7'], PCR12: after['12'] },
    });
    const { name, imageVersion } = manifestOf('signed');
    expect([name, imageVersion]).toEqual(['payments', '1']);
    expect(manifestOf('signed')).toMatchObject({ provenance: { sourceRevision: 'abc123' } });
  });

  it('puts PK, KEK and db into the variable store, and no empty dbx', () => {
    const variables = decodeUefiData(readFileSync(at('signed/uefi_data.aws'), 'utf8'));
    expect(variables.map(({ name, guid, attributes }) => [name, guid, attributes])).toEqual([
      ['PK', '8be4df61-93ca-11d2-aa0d-00e098032b8c', 0x27],
      ['KEK', '8be4df61-93ca-11d2-aa0d-00e098032b8c', 0x27],
      ['db', 'd719b2cb-3d3a-4596-a3bc-dad00e67656f', 0x27],
    ]);
    for (const { name, data } of variables)
      expect(Buffer.from(data)).toEqual(readFileSync(join(keys, `${name}.esl`)));
  });

  it('leaves PCR7 unchanged with the same identity, also for another version', async () => {
    await fixture.build(at('out2'), '2', 'console=ttyS0 quiet');
    await signBuild({ build: at('out2'), identity: keys, output: at('signed2') });
    expect(pcrsOf('signed2')['4']).not.toBe(pcrsOf('signed')['4']);
    expect(pcrsOf('signed2')['7']).toBe(pcrsOf('signed')['7']);
    expect(readFileSync(at('signed2/uefi_data.aws'))).toEqual(
      readFileSync(at('signed/uefi_data.aws')),
    );
    await signBuild({ build: at('out'), identity: keys, output: at('again') });
    expect(pcrsOf('again')).toEqual(pcrsOf('signed'));
    // The owner's GUID alone is the same: certificates are measured, too.
    await createIdentity(at('other'), { ownerGuid: OWNER });
    await signBuild({ build: at('out'), identity: at('other'), output: at('by-other') });
    expect(pcrsOf('by-other')['7']).not.toBe(pcrsOf('signed')['7']);
    expect(pcrsOf('by-other')['4']).toBe(pcrsOf('signed')['4']);
  });

  it('signs a build that is read-only and behind a link, as in the Nix store', async () => {
    const store = at('store');
    const linked = at('linked');
    cpSync(at('out'), linked, { recursive: true });
    renameSync(join(linked, 'payments_1.raw'), store);
    symlinkSync(store, join(linked, 'payments_1.raw'));
    for (const name of readdirSync(linked)) chmodSync(join(linked, name), 0o444);
    await signBuild({ build: linked, identity: keys, output: at('from-store') });
    expect(statSync(at('from-store/payments_1.signed.raw')).mode & 0o777).toBe(0o644);
    expect(statSync(store).mode & 0o777).toBe(0o444);
    expect(readFileSync(store).equals(readFileSync(at('out/payments_1.raw')))).toBe(true);
    expect(pcrsOf('from-store')).toEqual(pcrsOf('signed'));
  });

  it('takes the key from standard input, and leaves no trace of it', () => {
    const identity = at('public');
    cpSync(keys, identity, { recursive: true, filter: (path) => !path.endsWith('.key') });
    const temporary = at('temporary');
    mkdirSync(temporary);
    // Others may build at the same time.
    const inMemory = (): string[] =>
      readdirSync('/dev/shm').filter((name) => name.startsWith('tee-image-key-'));
    const before = inMemory();
    const { status, stdout, stderr } = run(
      [at('out'), '--keys', identity, '--db-key', '-', '--out', at('from-stdin')],
      { input: readFileSync(join(keys, 'db.key'), 'utf8'), env: { TMPDIR: temporary } },
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`PCR7   ${pcrsOf('signed')['7']}`);
    expect(sbverify(at('from-stdin/signed.efi'))).toContain('Signature verification OK');
    for (const name of readdirSync(at('from-stdin')))
      expect(holdsKey(at('from-stdin', name))).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
    expect(inMemory()).toEqual(before);
  });

  it.skipIf(!existsSync(SOFTHSM))('signs with a key that stays in a PKCS#11 token', () => {
    const tokens = at('tokens');
    mkdirSync(tokens);
    writeFileSync(at('softhsm2.conf'), `directories.tokendir = ${tokens}\n`);
    const env = { SOFTHSM2_CONF: at('softhsm2.conf'), PKCS11_MODULE_PATH: SOFTHSM };
    const hsm = (...args: readonly string[]): void => {
      const { status, stderr } = spawnSync('softhsm2-util', args, {
        encoding: 'utf8',
        env: { ...process.env, ...env },
      });
      expect([status, stderr]).toEqual([0, '']);
    };
    hsm('--init-token', '--free', '--label', 'signing', '--pin', '1234', '--so-pin', '5678');
    hsm(
      ...['--import', join(keys, 'db.key'), '--token', 'signing', '--label', 'db', '--id', 'a1'],
      ...['--pin', '1234'],
    );
    writeFileSync(at('pin'), '1234');
    const sign = (pin: string, out: string) =>
      run(
        [
          ...[at('out'), '--keys', at('public'), '--out', at(out)],
          ...['--db-key', `pkcs11:token=signing;object=db;type=private;${pin}`],
        ],
        { env },
      );
    const { status, stderr } = sign(`pin-source=file:${at('pin')}`, 'from-token');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(sbverify(at('from-token/signed.efi'))).toContain('Signature verification OK');
    expect(pcrsOf('from-token')).toEqual(pcrsOf('signed'));
    const wrong = sign('pin-value=0000', 'wrong-pin');
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/^tee-image: host\.tool-failed/);
    expect(existsSync(at('wrong-pin'))).toBe(false);
  });

  it('says in one line what is wrong, with the exit status', () => {
    const usage = run([at('out')]);
    expect([usage.status, usage.stdout]).toEqual([2, '']);
    const mismatch = run([
      at('out'),
      '--keys',
      keys,
      '--db-key',
      join(keys, 'PK.key'),
      '--out',
      at('no'),
    ]);
    expect(mismatch.status).toBe(1);
    expect(mismatch.stderr).toMatch(/^tee-image: secure-boot\.key-mismatch: [^\n]*\n$/);
    expect(existsSync(at('no'))).toBe(false);
    const unreadable = run([at('nowhere'), '--keys', keys]);
    expect([unreadable.status, unreadable.stderr.split('\n').length]).toEqual([2, 2]);
  });
});
