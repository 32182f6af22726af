import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { p256, p384 } from '@noble/curves/nist.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNitroPki } from '../simulator/nitro-pki.js';

const COMMAND = fileURLToPath(new URL('bin/tee-image.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../dist/tee-image.js', import.meta.url));
if (!existsSync(BUILT)) throw new Error('tee-image is not built: run npm run build first');

const folder = mkdtempSync(join(tmpdir(), 'tee-image-manifest-'));
const at = (name: string): string => join(folder, name);
const MANIFEST = `${JSON.stringify(
  {
    version: 1,
    name: 'payments\u001b[31m',
    platform: 'nitrotpm',
    hashAlgorithm: 'SHA384',
    measurementSets: [{ label: '7.1', pcrs: { '4': 'a4'.repeat(48), '12': '00'.repeat(48) } }],
  },
  undefined,
  2,
)}\n`;
const SHA256 = createHash('sha256').update(MANIFEST).digest('hex');

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}
function run(
  args: readonly string[],
  input?: string,
  env: Record<string, string> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [COMMAND, 'manifest', ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : Number(error.code);
        expect(stderr, stderr).not.toContain('    at ');
        resolve({ status, stdout, stderr });
      },
    );
    child.stdin?.end(input ?? '');
  });
}

const curves = { one: 'P-256', two: 'P-384' } as const;
beforeAll(async () => {
  writeFileSync(at('manifest.json'), MANIFEST);
  writeFileSync(at('other.crt'), (await createNitroPki()).rootPem);
  for (const [name, namedCurve] of Object.entries(curves)) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
    // SEC1, as openssl ecparam -genkey writes it.
    writeFileSync(at(`${name}.pem`), privateKey.export({ format: 'pem', type: 'sec1' }));
    writeFileSync(at(`${name}.pub.pem`), publicKey.export({ format: 'pem', type: 'spki' }));
  }
  const pem = readFileSync(at('one.pub.pem'), 'utf8').replaceAll('\n', '');
  writeFileSync(at('two-of-two.json'), JSON.stringify({ keys: [pem, pem], threshold: 2 }));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(at('ed.jwk'), JSON.stringify(privateKey.export({ format: 'jwk' })));
  writeFileSync(at('ed.pub.jwk'), JSON.stringify(publicKey.export({ format: 'jwk' })));
  writeFileSync(at('ed.der'), privateKey.export({ format: 'der', type: 'pkcs8' }));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('tee-image manifest', () => {
  it('signs, adds signatures, verifies, extracts and shows', async () => {
    const sign = ['sign', at('manifest.json'), '--key', at('one.pem'), '--key-id', 'one'];
    const limits = ['--manifest-version', '7', '--not-after', '2999-01-01T00:00:00Z'];
    expect(await run([...sign, ...limits, '-o', at('signed')])).toMatchObject({ status: 0 });
    const second = await run(
      ['sign', at('signed'), '--key', '-', '--manifest-version', '8'],
      readFileSync(at('two.pem'), 'utf8'),
    );
    writeFileSync(at('twice'), second.stdout);
    expect(second.status, second.stderr).toBe(0);
    const keys = ['--keys', at('one.pub.pem'), at('two.pub.pem')];
    const verified = await run([
      'verify',
      at('twice'),
      ...keys,
      '--threshold',
      '2',
      '--min-version',
      '7',
      '--json',
    ]);
    expect(verified.status, verified.stderr).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({
      sha256: SHA256,
      version: 7,
      notAfterMs: Date.UTC(2999, 0, 1),
    });
    const extracted = await run(['verify', at('twice'), ...keys, '--extract', '-']);
    expect(extracted.stdout).toBe(MANIFEST);
    const shown = await run(['show', at('twice')]);
    expect(shown.stdout).toContain(SHA256);
    expect(shown.stdout.match(/NOT VERIFIED/g)).toHaveLength(2);
    expect(shown.stdout).toContain('2999-01-01');
    expect(shown.stdout).not.toContain('\u001b');
    expect((await run(['show', '-'], MANIFEST)).stdout).toContain('signatures none');
    for (const [args, code] of [
      [['--keys', at('one.pub.pem'), '--min-version', '8'], 'manifest.version-too-old'],
      [['--keys', at('one.pub.pem'), '--at', '2999-01-02T00:00:00Z'], 'manifest.expired'],
      [['--keys', at('ed.pub.jwk')], 'manifest.signature-invalid'],
      [
        ['--keys', at('one.pub.pem'), at('ed.pub.jwk'), '--threshold', '2'],
        'manifest.threshold-not-met',
      ],
    ] as const) {
      const refused = await run(['verify', at('twice'), ...args]);
      expect([refused.status, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toContain(code);
    }
  });

  it('takes keys as JWK and DER, and sends certificates along', async () => {
    for (const key of ['ed.jwk', 'ed.der']) {
      const { stdout } = await run(['sign', '-', '--key', at(key)], MANIFEST);
      expect(await run(['verify', '-', '--keys', at('ed.pub.jwk')], stdout)).toMatchObject({
        status: 0,
      });
    }
    const pki = await createNitroPki();
    const { authorities, leaf } = await pki.issuePath('i-0123456789abcdef0-tpm0', Date.now());
    const pem = (der: Uint8Array): string =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    writeFileSync(
      at('chain.pem'),
      [leaf, ...authorities.slice(1).reverse()].map(({ der }) => pem(der)).join(''),
    );
    writeFileSync(at('root.pem'), pki.rootPem);
    writeFileSync(
      at('leaf.jwk'),
      JSON.stringify(await crypto.subtle.exportKey('jwk', leaf.keys.privateKey)),
    );
    const { stdout } = await run(
      ['sign', '-', '--key', at('leaf.jwk'), '--certificates', at('chain.pem')],
      MANIFEST,
    );
    const verified = await run(['verify', '-', '--anchor', at('root.pem')], stdout);
    expect(verified.status, verified.stderr).toBe(0);
    expect(verified.stdout).toContain('CN=i-0123456789abcdef0');
  });

  it.each<readonly [string, readonly string[], number, RegExp]>([
    ['no key', ['sign', 'MANIFEST'], 2, /--key and --kms-key/],
    ['two keys', ['sign', 'MANIFEST', '--key', 'a', '--kms-key', 'b'], 2, /both/],
    ['no such key', ['sign', 'MANIFEST', '--key', '/nowhere'], 2, /file\.unreadable/],
    ['a public key', ['sign', 'MANIFEST', '--key', 'FOLDER/one.pub.pem'], 1, /key\.unusable/],
    ['both from standard input', ['sign', '-', '--key', '-'], 2, /usage\.option-conflict/],
    [
      'no manifest',
      ['sign', 'FOLDER/one.pem', '--key', 'FOLDER/one.pem'],
      1,
      /manifest\.malformed/,
    ],
    ['a time that is none', ['sign', 'MANIFEST', '--not-after', 'tomorrow'], 2, /Expected a time/],
    ['no keys to verify with', ['verify', 'MANIFEST'], 2, /--keys or --anchor/],
    [
      'an unsigned manifest',
      ['verify', 'MANIFEST', '--keys', 'FOLDER/one.pub.pem'],
      1,
      /manifest\./,
    ],
    [
      'a private key to verify with',
      ['verify', 'MANIFEST', '--keys', 'FOLDER/ed.jwk'],
      2,
      /public keys/,
    ],
    [
      'a threshold nobody can meet',
      ['verify', 'MANIFEST', '--keys', 'FOLDER/one.pub.pem', '--threshold', '2'],
      2,
      /fewer than 2/,
    ],
    [
      'a threshold in the file of the keys',
      ['verify', 'MANIFEST', '--keys', 'FOLDER/two-of-two.json'],
      2,
      /usage\.option-conflict.*threshold/,
    ],
    [
      'standard input for the manifest and the keys',
      ['verify', '-', '--keys', '-'],
      2,
      /- more than once/,
    ],
    [
      '30 February',
      ['sign', 'MANIFEST', '--not-after', '2030-02-30T00:00:00Z'],
      2,
      /Expected a time/,
    ],
    [
      'an end before 1970',
      ['sign', 'MANIFEST', '--key', 'FOLDER/one.pem', '--not-after', '1969-01-01T00:00:00Z'],
      2,
      /Expected a time/,
    ],
    [
      'certificates of another key',
      ['sign', 'MANIFEST', '--key', 'FOLDER/two.pem', '--certificates', 'FOLDER/other.crt'],
      2,
      /certificate of another key/,
    ],
    [
      'certificates that are none',
      ['sign', 'MANIFEST', '--key', 'FOLDER/two.pem', '--certificates', 'FOLDER/one.pub.pem'],
      2,
      /no CERTIFICATE block/,
    ],
    ['an unknown command', ['frobnicate'], 2, /unknown command|frobnicate/],
  ])('%s', async (_name, args, status, message) => {
    const ended = await run(
      args.map((arg) => arg.replace('MANIFEST', at('manifest.json')).replace('FOLDER', folder)),
    );
    expect(ended.stderr).toMatch(message);
    expect(ended.status).toBe(status);
  });
});

describe('a key in AWS KMS', () => {
  let server: Server;
  let endpoint = '';
  const asked: { readonly target: string; readonly body: Record<string, string> }[] = [];

  beforeAll(async () => {
    // What KMS answers (AWS KMS API reference: GetPublicKey, Sign), with a key of the test.
    server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const target = String(request.headers['x-amz-target']);
      const body = JSON.parse(text) as Record<string, string>;
      asked.push({ target, body });
      const reply = (status: number, json: object): void => {
        response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
        response.end(JSON.stringify(json));
      };
      const name =
        body.KeyId === 'alias/one' ? 'one' : body.KeyId === 'alias/two' ? 'two' : undefined;
      if (name === undefined)
        return reply(400, { __type: 'NotFoundException', message: 'no such key' });
      const key = createPrivateKey(readFileSync(at(`${name}.pem`)));
      if (target === 'TrentService.GetPublicKey') {
        const der = readFileSync(at(`${name}.pub.pem`), 'utf8').replace(/-----.*?-----|\s/g, '');
        return reply(200, { KeyId: body.KeyId, PublicKey: der, KeyUsage: 'SIGN_VERIFY' });
      }
      const digest = new Uint8Array(Buffer.from(body.Message as string, 'base64'));
      return reply(200, { Signature: signDigest(key, digest).toString('base64') });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterAll(() => server.close());

  /** ECDSA over a digest, which node:crypto does not offer. */
  function signDigest(key: KeyObject, digest: Uint8Array): Buffer {
    const { d, crv } = key.export({ format: 'jwk' });
    const curve = crv === 'P-256' ? p256 : p384;
    const secret = new Uint8Array(Buffer.from(d as string, 'base64url'));
    return Buffer.from(curve.sign(digest, secret, { prehash: false, lowS: false, format: 'der' }));
  }

  it('signs digests, and the signature verifies', async () => {
    const env = {
      AWS_ENDPOINT_URL_KMS: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
    };
    for (const name of ['one', 'two']) {
      asked.length = 0;
      const { status, stdout, stderr } = await run(
        ['sign', at('manifest.json'), '--kms-key', `alias/${name}`],
        '',
        env,
      );
      // Nor what the SDK says of versions of Node.
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(asked.map(({ target }) => target)).toEqual([
        'TrentService.GetPublicKey',
        'TrentService.Sign',
      ]);
      expect(asked[1]?.body).toMatchObject({
        MessageType: 'DIGEST',
        SigningAlgorithm: name === 'one' ? 'ECDSA_SHA_256' : 'ECDSA_SHA_384',
      });
      expect(await run(['verify', '-', '--keys', at(`${name}.pub.pem`)], stdout)).toMatchObject({
        status: 0,
      });
    }
    const missing = await run(['sign', at('manifest.json'), '--kms-key', 'alias/none'], '', env);
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/key\.service-failed.*NotFoundException/);
  });
});
