import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSignatureList } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIdentity } from './create-identity.js';
import { readIdentity } from './secure-boot-identity.js';

const OWNER = '3f1c7a52-5d0e-4c1b-9a53-0c6d2f0e8b11';

describe('a Secure Boot identity', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-identity-'));
  const made = join(folder, 'keys');
  const beforeMs = Math.floor(Date.now() / 1000) * 1000;
  const modeOf = (name: string): number => statSync(join(made, name)).mode & 0o777;

  beforeAll(async () => {
    const umask = process.umask(0);
    try {
      expect(await createIdentity(made, { ownerGuid: OWNER.toUpperCase(), name: 'payments' })).toBe(
        OWNER,
      );
    } finally {
      process.umask(umask);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is a folder for its owner alone, with exactly these files', () => {
    expect(modeOf('')).toBe(0o700);
    const each = ['PK', 'KEK', 'db'].flatMap((name) =>
      ['.crt', '.esl', '.key', '.pem'].map((end) => `${name}${end}`),
    );
    expect(readdirSync(made).sort()).toEqual([...each, 'dbx.esl', 'owner-guid.txt'].sort());
    for (const name of ['PK.key', 'KEK.key', 'db.key']) expect(modeOf(name)).toBe(0o600);
    for (const name of ['PK.pem', 'db.esl', 'owner-guid.txt']) expect(modeOf(name)).toBe(0o644);
    expect(readFileSync(join(made, 'owner-guid.txt'), 'utf8')).toBe(`${OWNER}\n`);
    expect(readdirSync(folder)).toEqual(['keys']);
  });

  it.each(['PK', 'KEK', 'db'])('%s: RSA-2048, self-signed, its list holds it', (name) => {
    const certificate = new X509Certificate(readFileSync(join(made, `${name}.crt`)));
    const key = createPrivateKey(readFileSync(join(made, `${name}.key`)));
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(certificate.checkPrivateKey(key)).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.subject).toMatch(/^CN=payments Secure Boot /);
    expect(new X509Certificate(readFileSync(join(made, `${name}.pem`))).raw).toEqual(
      certificate.raw,
    );
    expect(Date.parse(certificate.validFrom)).toBeGreaterThanOrEqual(beforeMs);
    expect(Date.parse(certificate.validFrom)).toBeLessThanOrEqual(Date.now());
    const years =
      new Date(certificate.validTo).getUTCFullYear() - new Date(beforeMs).getUTCFullYear();
    expect(years).toBeGreaterThanOrEqual(29);
    const [entry, ...others] = parseSignatureList(readFileSync(join(made, `${name}.esl`)));
    expect(others).toEqual([]);
    expect(entry?.type).toBe('x509');
    expect(entry?.owner).toBe(OWNER);
    expect(Buffer.from(entry?.data ?? [])).toEqual(certificate.raw);
  });

  it('has three keys and serial numbers of its own', () => {
    const all = ['PK', 'KEK', 'db'].map(
      (name) => new X509Certificate(readFileSync(join(made, `${name}.crt`))),
    );
    expect(new Set(all.map(({ fingerprint256 }) => fingerprint256)).size).toBe(3);
    expect(new Set(all.map(({ publicKey }) => publicKey.export({ format: 'jwk' }).n)).size).toBe(3);
    for (const { serialNumber } of all) expect(serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it('is read back without its keys', async () => {
    for (const name of ['PK', 'KEK', 'db']) expect(modeOf(`${name}.key`)).toBe(0o600);
    const copy = join(folder, 'public');
    mkdirSync(copy);
    for (const name of ['PK', 'KEK', 'db'])
      writeFileSync(join(copy, `${name}.esl`), readFileSync(join(made, `${name}.esl`)));
    const { variables } = await readIdentity(copy);
    expect(Buffer.from(variables.db)).toEqual(readFileSync(join(made, 'db.esl')));
    expect(variables.dbx).toHaveLength(0);
    rmSync(copy, { recursive: true });
  });

  it('is never replaced', async () => {
    const before = readFileSync(join(made, 'PK.key'));
    await expect(createIdentity(made)).rejects.toMatchObject({ code: 'identity.exists' });
    expect(readFileSync(join(made, 'PK.key'))).toEqual(before);
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    await expect(createIdentity(file)).rejects.toMatchObject({ code: 'identity.exists' });
    rmSync(file);
    expect(readdirSync(folder)).toEqual(['keys']);
  });

  it('takes the place of an empty folder', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty, { mode: 0o755 });
    await createIdentity(empty);
    expect(statSync(empty).mode & 0o777).toBe(0o700);
    rmSync(empty, { recursive: true });
  });

  it.each([
    [{ ownerGuid: 'me' }, 'usage.option-invalid'],
    [{ name: '' }, 'usage.option-invalid'],
    [{ name: 'a,CN=b' }, 'usage.option-invalid'],
    [{ name: 'a'.repeat(31) }, 'usage.option-invalid'],
  ])('refuses %j', async (options, code) => {
    await expect(createIdentity(join(folder, 'no'), options)).rejects.toMatchObject({ code });
    expect(readdirSync(folder)).toEqual(['keys']);
  });

  it('cannot be made where nothing can be written', async () => {
    await expect(createIdentity(join(folder, 'none', 'keys'))).rejects.toMatchObject({
      code: 'file.unwritable',
    });
  });

  it.each([
    ['PK.esl', new Uint8Array(), 'identity.malformed'],
    ['PK.esl', Uint8Array.of(1, 2, 3), 'identity.malformed'],
    ['db.esl', new Uint8Array(), 'identity.malformed'],
    ['dbx.esl', Uint8Array.of(1), 'identity.malformed'],
    ['KEK.esl', undefined, 'file.unreadable'],
  ])('with %s as %j is refused', async (name, bytes, code) => {
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    for (const variable of ['PK', 'KEK', 'db'])
      writeFileSync(join(broken, `${variable}.esl`), readFileSync(join(made, `${variable}.esl`)));
    if (bytes === undefined) rmSync(join(broken, name));
    else writeFileSync(join(broken, name), bytes);
    try {
      await expect(readIdentity(broken)).rejects.toMatchObject({ code });
    } finally {
      rmSync(broken, { recursive: true });
    }
  });
});
