import { createPublicKey, verify as nodeVerify } from 'node:crypto';
import { base64url, exportJWK, exportPKCS8, exportSPKI, generateKeyPair, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { createNitroPki } from '../../tools/simulator/nitro-pki.js';
import { inspectAttestation } from '../inspect-attestation.js';
import type { Code } from '../result/codes.js';
import type { Signer } from '../result/signer.js';
import { expectRejection, rejectionOf } from '../test-support/rejection.js';
import { createSigner } from './create-signer.js';
import { type SignManifestOptions, signManifest } from './sign-manifest.js';
import type { ManifestKeys } from './signed-manifest.js';
import { verifySignedManifest } from './verify-signed-manifest.js';

const MANIFEST = {
  version: 1,
  name: 'signed image',
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'a', pcrs: { '4': 'a1'.repeat(48), '12': '00'.repeat(48) } }],
};
const TEXT = `${JSON.stringify(MANIFEST, undefined, 2)}\n`;
const NOW = Date.UTC(2026, 5, 1);
const at = (nowMs: number) => ({
  nowMs,
  source: 'given' as const,
  clockToleranceSeconds: 60,
  documentMs: nowMs,
});
const day = 86_400_000;
const date = (offset: number): Date => new Date(NOW + offset);

interface Party {
  readonly signer: Signer;
  readonly jwk: JWK;
  readonly pem: string;
}
async function party(alg: string, keyId: string): Promise<Party> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    signer: await createSigner(await exportPKCS8(privateKey), { keyId }),
    jwk: { ...(await exportJWK(publicKey)), kid: keyId },
    pem: await exportSPKI(publicKey),
  };
}
const ann = await party('ES256', 'ann');
const bob = await party('ES384', 'bob');
const cid = await party('EdDSA', 'cid');
const eve = await party('ES256', 'eve');

async function signed(
  parties: readonly Party[],
  options: SignManifestOptions = {},
): Promise<string> {
  let text = TEXT;
  for (const { signer } of parties)
    text = await signManifest(text, signer, { form: 'json', ...options });
  return text;
}
const verify = (text: string, keys: ManifestKeys, nowMs = NOW) =>
  verifySignedManifest(text, keys, at(nowMs));
async function refused(text: string, keys: ManifestKeys, code: Code, nowMs = NOW): Promise<void> {
  expectRejection(await rejectionOf(verify(text, keys, nowMs)), code);
}
const all = [ann.jwk, bob.jwk, cid.jwk];

describe('signing and verifying', () => {
  it('keeps the bytes as they were, compact and JSON, and counts the signers', async () => {
    const compact = await signManifest(TEXT, ann.signer);
    expect(compact.split('.')).toHaveLength(3);
    for (const text of [compact, await signed([ann, bob, cid])]) {
      const { manifest, payload } = await verify(text, all);
      expect(new TextDecoder().decode(payload)).toBe(TEXT);
      expect(manifest.name).toBe('signed image');
    }
    const { manifest } = await verify(await signed([ann, bob, cid]), all);
    expect(manifest.trust).toEqual({ source: 'signature', keyIds: ['ann', 'bob', 'cid'] });
  });

  it('node:crypto by hand agrees on each algorithm', async () => {
    for (const { signer, pem } of [ann, bob, cid]) {
      const [header, payload, signature] = (await signManifest(TEXT, signer)).split('.') as [
        string,
        string,
        string,
      ];
      const hash = { ES256: 'sha256', ES384: 'sha384', EdDSA: null }[signer.algorithm];
      const key = { key: createPublicKey(pem), dsaEncoding: 'ieee-p1363' as const };
      const input = Buffer.from(`${header}.${payload}`);
      expect(nodeVerify(hash, input, key, Buffer.from(signature, 'base64url'))).toBe(true);
    }
  });

  it('takes keys as JWK, JWK set, PEM, several PEM, and mixed', async () => {
    const text = await signed([bob]);
    for (const keys of [
      [bob.jwk],
      { keys: [bob.jwk] },
      bob.pem,
      `${ann.pem}${bob.pem}`,
      [ann.jwk, bob.pem],
      { keys: bob.jwk },
    ])
      expect((await verify(text, keys)).manifest.sets).toHaveLength(1);
    await refused(text, ann.pem, 'manifest.signature-invalid');
  });

  it('does not sign what is no manifest', async () => {
    expectRejection(await rejectionOf(signManifest('{}x', ann.signer)), 'manifest.malformed');
    expectRejection(
      await rejectionOf(signManifest({ payload: '!', signatures: [] }, ann.signer)),
      'manifest.signature-invalid',
    );
    for (const options of [
      { version: -1 },
      { version: 1.5 },
      { notAfter: new Date(Number.NaN) },
      { notBefore: date(1000), notAfter: date(0) },
    ])
      expect(await rejectionOf(signManifest(TEXT, ann.signer, options))).toBeInstanceOf(TypeError);
  });

  it('refuses private keys of other kinds', async () => {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    for (const key of [
      await exportPKCS8(privateKey),
      'text',
      ann.jwk,
      { kty: 'oct', k: 'AA' } as JWK,
    ])
      expect(await rejectionOf(createSigner(key))).toBeInstanceOf(TypeError);
  });
});

describe('thresholds', () => {
  it('counts different signers, whatever else is there', async () => {
    const two = { keys: all, threshold: 2 };
    expect((await verify(await signed([ann, cid]), two)).manifest.trust).toEqual({
      source: 'signature',
      keyIds: ['ann', 'cid'],
    });
    expect((await verify(await signed([eve, ann, eve, bob]), two)).manifest.trust).toMatchObject({
      keyIds: ['ann', 'bob'],
    });
    await refused(await signed([ann]), two, 'manifest.threshold-not-met');
    await refused(await signed([ann, eve]), two, 'manifest.threshold-not-met');
    await refused(await signed([eve, eve]), two, 'manifest.signature-invalid');
    await refused(
      await signed([ann, bob]),
      { keys: all, threshold: 3 },
      'manifest.threshold-not-met',
    );
  });

  it('one key has one vote: signing twice, or under another name, adds nothing', async () => {
    const twice = { keys: [ann.jwk, { ...ann.jwk, kid: 'another' }, bob.jwk], threshold: 2 };
    await refused(await signed([ann, ann]), twice, 'manifest.threshold-not-met');
    const jws = JSON.parse(await signed([ann])) as { signatures: object[] };
    jws.signatures.push(jws.signatures[0] as object);
    await refused(JSON.stringify(jws), twice, 'manifest.threshold-not-met');
    // It can never be met: a mistake of the caller.
    const never = { keys: [ann.jwk, { ...ann.jwk, kid: 'another' }], threshold: 2 };
    expect(await rejectionOf(verify(await signed([ann, bob]), never))).toBeInstanceOf(TypeError);
  });

  it('two signatures cannot be over two readings of one payload (b64, RFC 7797)', async () => {
    const jws = JSON.parse(await signed([ann, bob])) as {
      payload: string;
      signatures: { protected: string; signature: string }[];
    };
    const header = base64url.encode(
      JSON.stringify({ alg: 'ES384', typ: 'tee-manifest+jws', b64: false, crit: ['b64'] }),
    );
    const input = new TextEncoder().encode(`${header}.${jws.payload}`);
    const signature = base64url.encode(await bob.signer.sign(input));
    jws.signatures[1] = { protected: header, signature };
    const text = JSON.stringify(jws);
    await refused(text, { keys: all, threshold: 2 }, 'manifest.threshold-not-met');
    await refused(text, [bob.jwk], 'manifest.signature-invalid');
  });

  it.each<readonly [string, unknown]>([
    ['threshold 0', { keys: all, threshold: 0 }],
    ['threshold 1.5', { keys: all, threshold: 1.5 }],
    ['threshold as text', { keys: all, threshold: '2' }],
    ['a misspelled rule', { keys: all, treshold: 2 }],
    ['minVersion -1', { keys: all, minVersion: -1 }],
    ['nothing', { threshold: 1 }],
    [
      'a certificate among the keys',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
    ],
    ['an anchor that is none', { anchors: ['x'] }],
    ['null', null],
  ])('%s is a TypeError', async (_name, keys) => {
    const withChain = await createSigner(
      await exportPKCS8((await generateKeyPair('ES384', { extractable: true })).privateKey),
      { certificates: '-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----' },
    );
    const text = await signManifest(TEXT, withChain);
    expect(await rejectionOf(verify(text, keys as ManifestKeys))).toBeInstanceOf(TypeError);
  });

  it('more signatures than 16 are not looked at', async () => {
    const sixteen = await signed(Array(16).fill(ann));
    expect((await verify(sixteen, [ann.jwk])).manifest.name).toBe('signed image');
    const json = JSON.parse(sixteen) as { payload: string; signatures: unknown[] };
    const more = JSON.stringify({ ...json, signatures: [...json.signatures, json.signatures[0]] });
    await refused(more, [ann.jwk], 'manifest.signature-invalid');
    const added = await rejectionOf(signManifest(sixteen, ann.signer));
    expectRejection(added, 'manifest.signature-invalid');
  });

  it('does not write what is too large to be read again', async () => {
    const large = TEXT.replace('"version"', `${' '.repeat(900_000)}"version"`);
    const compact = await signManifest(large, ann.signer);
    expect((await verify(compact, [ann.jwk])).payload).toHaveLength(large.length);
    const added = await rejectionOf(signManifest(compact, bob.signer));
    expectRejection(added, 'manifest.malformed');
  });

  it.each<readonly [string, unknown]>([
    ['undefined', { keys: [ann.jwk, bob.jwk], threshold: undefined }],
    ['inherited', Object.assign(Object.create({ threshold: 2 }), { keys: [ann.jwk, bob.jwk] })],
    [
      'computed by a class',
      new (class {
        readonly keys = [ann.jwk, bob.jwk];
        get threshold(): number {
          return 2;
        }
      })(),
    ],
    [
      'hidden',
      Object.defineProperty({ keys: [ann.jwk, bob.jwk] }, 'threshold', {
        value: 2,
        enumerable: false,
      }),
    ],
  ])('a threshold that is %s is not lost: TypeError', async (_, keys) => {
    const one = await signManifest(TEXT, ann.signer);
    await expect(verify(one, keys as ManifestKeys)).rejects.toThrow(TypeError);
    const image = await inspectAttestation(Uint8Array.of(0x84), one, {
      manifestKeys: keys as ManifestKeys,
    }).catch((error: unknown) => error);
    expect(image).toBeInstanceOf(TypeError);
  });

  it.each<readonly [string, string, RegExp]>([
    ['a damaged block', ann.pem + bob.pem.replace('\nM', '\n!'), /damaged/],
    [
      'a private key beside a public one',
      `${ann.pem}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----`,
      /private/,
    ],
  ])('PEM with %s is a TypeError', async (_, pem, message) => {
    await expect(verify(await signManifest(TEXT, ann.signer), pem)).rejects.toThrow(message);
  });
});

describe('validity and version', () => {
  it('is judged at the time given, with tolerance', async () => {
    const text = await signed([ann], { notBefore: date(0), notAfter: date(day) });
    for (const nowMs of [NOW, NOW + day, NOW - 60_000, NOW + day + 60_000])
      expect((await verify(text, all, nowMs)).manifest.trust).toMatchObject({
        notBeforeMs: NOW,
        notAfterMs: NOW + day,
      });
    await refused(text, all, 'manifest.not-yet-valid', NOW - 61_000);
    await refused(text, all, 'manifest.expired', NOW + day + 61_000);
  });

  it('an old version is refused, and so is one without', async () => {
    const text = await signed([ann], { version: 7 });
    expect((await verify(text, { keys: all, minVersion: 7 })).manifest.trust).toMatchObject({
      version: 7,
    });
    await refused(text, { keys: all, minVersion: 8 }, 'manifest.version-too-old');
    await refused(await signed([ann]), { keys: all, minVersion: 0 }, 'manifest.version-too-old');
  });

  it('a signature outside its limits is no vote; the reason is named when it would have sufficed', async () => {
    const old = await signed([ann], { notAfter: date(-day), version: 1 });
    const text = await signManifest(old, bob.signer, { version: 2 });
    const two = { keys: all, threshold: 2 };
    await refused(text, two, 'manifest.expired');
    expect((await verify(text, all)).manifest.trust).toEqual({
      source: 'signature',
      keyIds: ['bob'],
      version: 2,
    });
    expect((await verify(text, two, NOW - 2 * day)).manifest.trust).toMatchObject({ version: 1 });
    await refused(text, { keys: all, threshold: 3 }, 'manifest.threshold-not-met');
  });

  it('limits that are no numbers are no limits that anybody could judge', async () => {
    for (const limit of [{ exp: '1' }, { nbf: -1 }, { exp: 1e300 }, { manifest_version: null }]) {
      const header = { alg: 'ES256', typ: 'tee-manifest+jws', ...limit };
      const head = base64url.encode(JSON.stringify(header));
      const input = `${head}.${base64url.encode(TEXT)}`;
      const signature = await ann.signer.sign(new TextEncoder().encode(input));
      await refused(`${input}.${base64url.encode(signature)}`, all, 'manifest.signature-invalid');
    }
  });
});

describe('certificate chains', async () => {
  const pki = await createNitroPki({ now: new Date(NOW) });
  const other = await createNitroPki({ now: new Date(NOW) });
  const pem = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
  const pathOf = (from: typeof pki, name = 'i-0123456789abcdef0-tpm0') => from.issuePath(name, NOW);
  async function certified(from: typeof pki, withRoot = false, name?: string): Promise<Party> {
    const { authorities, leaf } = await pathOf(from, name);
    const chain = [leaf, ...authorities.slice(withRoot ? 0 : 1).reverse()];
    const key = (await exportJWK(leaf.keys.privateKey)) as JWK;
    const certificates = chain.map(({ der }) => pem(der)).join('');
    return { signer: await createSigner(key, { certificates }), jwk: {}, pem: '' };
  }

  it('a chain to a given anchor is enough, with and without the root', async () => {
    for (const withRoot of [false, true]) {
      const text = await signed([await certified(pki, withRoot)]);
      for (const anchor of [pki.rootPem, pki.rootDer]) {
        const { trust } = (await verify(text, { anchors: [anchor] })).manifest;
        expect(trust).toMatchObject({ keyIds: [expect.stringContaining('i-0123456789abcdef0')] });
      }
      await refused(text, { anchors: [other.rootPem] }, 'manifest.signature-invalid');
      await refused(text, all, 'manifest.signature-invalid');
      await refused(text, { anchors: [pki.rootPem] }, 'manifest.signature-invalid', NOW + day);
    }
  });

  it('a CA below the anchor may not sign, nor another key send the chain along', async () => {
    const { authorities, leaf } = await pathOf(pki);
    const instance = authorities.at(-1) as (typeof authorities)[number];
    const asCa = await createSigner((await exportJWK(instance.keys.privateKey)) as JWK, {
      certificates: authorities
        .slice(1)
        .reverse()
        .map(({ der }) => pem(der))
        .join(''),
    });
    await refused(
      await signManifest(TEXT, asCa),
      { anchors: [pki.rootPem] },
      'manifest.signature-invalid',
    );
    const thief = { ...bob.signer, certificates: [Buffer.from(leaf.der).toString('base64')] };
    await refused(
      await signManifest(TEXT, thief),
      { anchors: [pki.rootPem] },
      'manifest.signature-invalid',
    );
  });

  it('one subject has one vote, however many certificates it has', async () => {
    const first = await certified(pki);
    const fresh = await createNitroPki({ now: new Date(NOW) });
    const rules = { anchors: [pki.rootPem, fresh.rootPem], threshold: 2 };
    // The same names under both roots: a renewed key of the same signer.
    await refused(
      await signed([first, await certified(fresh)]),
      rules,
      'manifest.threshold-not-met',
    );
    const second = await certified(fresh, false, 'i-0fedcba9876543210-tpm0');
    expect((await verify(await signed([first, second]), rules)).manifest.sets).toHaveLength(1);
    const mixed = { ...rules, keys: [ann.jwk] };
    expect((await verify(await signed([first, ann]), mixed)).manifest.sets).toHaveLength(1);
  });

  it.each<readonly [string, unknown]>([
    ['text', 'AAAA'],
    ['empty', []],
    ['no base64', ['!!']],
    ['no certificate', ['AAAA']],
    ['numbers', [1, 2]],
    ['too long', Array(20).fill('AAAA')],
  ])('x5c that is %s', async (_name, x5c) => {
    const odd = { ...bob.signer, certificates: x5c as string[] };
    await refused(
      await signManifest(TEXT, odd),
      { anchors: [pki.rootPem] },
      'manifest.signature-invalid',
    );
  });
});
