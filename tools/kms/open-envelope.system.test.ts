import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wrapForRecipient } from '../emulator/kms-envelope.js';
import { openEnvelope } from './open-envelope.js';

/** OpenSSL as an oracle: another reader and another writer of CMS. */
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = publicKey.export({ format: 'der', type: 'spki' });
const SECRET = new TextEncoder().encode('a secret that two programs can read');
const KEY_ID = 'ab'.repeat(32);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cms-'));
  writeFileSync(join(folder, 'key.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(join(folder, 'secret'), SECRET);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function openssl(...args: readonly string[]): Uint8Array {
  const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: folder });
  expect(`${status} ${stderr}`).toMatch(/^0 /);
  return new Uint8Array(stdout);
}

describe('openssl cms', () => {
  it.each([undefined, 16, 7])('reads what the emulator wraps, in chunks of %s', (chunkBytes) => {
    const options = chunkBytes === undefined ? {} : { chunkBytes };
    writeFileSync(join(folder, 'wrapped'), wrapForRecipient(spki, SECRET, options));
    const plaintext = openssl(
      ...['cms', '-decrypt', '-binary', '-inform', 'DER', '-in', 'wrapped', '-inkey', 'key.pem'],
    );
    expect(plaintext).toEqual(SECRET);
  });

  it.each([
    ['definite lengths', []],
    ['indefinite lengths', ['-stream']],
  ])('writes with %s what we open', (_, options) => {
    openssl(
      ...['req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=recipient', '-out', 'cert.pem'],
      ...['-addext', `subjectKeyIdentifier=${KEY_ID}`],
    );
    openssl(
      ...['cms', '-encrypt', '-binary', '-in', 'secret', '-outform', 'DER', '-out', 'envelope'],
      ...['-aes-256-cbc', '-keyid', ...options, '-recip', 'cert.pem'],
      ...['-keyopt', 'rsa_padding_mode:oaep', '-keyopt', 'rsa_oaep_md:sha256'],
      ...['-keyopt', 'rsa_mgf1_md:sha256'],
    );
    const envelope = new Uint8Array(readFileSync(join(folder, 'envelope')));
    const key = { privateKey, keyId: new Uint8Array(Buffer.from(KEY_ID, 'hex')) };
    expect(openEnvelope(envelope, key)).toEqual(SECRET);
  });
});
