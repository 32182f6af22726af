import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import * as fc from 'fast-check';
import {
  AttestationError,
  readAttestedKey,
  requireAttestedKey,
  type VerifiedClaims,
} from 'tee-verify/browser';
import { describe, expect, it } from 'vitest';

const CURVES = ['P-256', 'P-384'] as const;
const make = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey,
  X25519: () => generateKeyPairSync('x25519').publicKey,
  Ed25519: () => generateKeyPairSync('ed25519').publicKey,
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
};
const TYPES = Object.keys(make) as (keyof typeof make)[];

const spkiOf = (key: KeyObject): Uint8Array<ArrayBuffer> =>
  new Uint8Array(key.export({ type: 'spki', format: 'der' }));
const text = (value: object | string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const claims = (publicKeyBytes?: Uint8Array, userDataBytes?: Uint8Array): VerifiedClaims =>
  ({ publicKeyBytes, userDataBytes }) as unknown as VerifiedClaims;
const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof AttestationError ? error.code : error),
  );

describe.each(TYPES)('a key of type %s', (type) => {
  const key = make[type]();
  const spki = spkiOf(key);
  const jwk = key.export({ format: 'jwk' });

  it('is the same from SPKI and from JWK', async () => {
    for (const field of [spki, text(jwk)]) {
      const read = await readAttestedKey(claims(field));
      expect(read.type).toBe(type);
      expect(read.spki).toEqual(spki);
      expect(read.jwk).toEqual(jwk);
      expect(read.spkiSha256).toEqual(await sha256(spki));
      const hasHpke = type !== 'RSA' && type !== 'Ed25519';
      expect(read.hpkePublicKey === undefined).toBe(!hasHpke);
      if (hasHpke)
        expect(spki.slice(-(read.hpkePublicKey?.length as number))).toEqual(read.hpkePublicKey);
    }
  });

  it('is required in every form, and no other is accepted', async () => {
    const other = make[type]();
    for (const field of [spki, text(jwk), await sha256(spki)])
      for (const presented of [spki, jwk]) {
        expect(
          (await requireAttestedKey(claims(undefined, field), presented, 'userData')).spki,
        ).toEqual(spki);
        expect(
          await codeOf(requireAttestedKey(claims(undefined, field), spkiOf(other), 'userData')),
        ).toBe('binding.key-mismatch');
      }
  });

  it('is not read from anything cut, longer or damaged', async () => {
    for (let length = 1; length < spki.length; length++)
      expect(await codeOf(readAttestedKey(claims(spki.slice(0, length))))).toBe(
        'binding.key-unsupported',
      );
    expect(await codeOf(readAttestedKey(claims(new Uint8Array([...spki, 0]))))).toBe(
      'binding.key-unsupported',
    );
    const damaged = spki.slice();
    damaged[1] = (damaged[1] as number) ^ 1;
    expect(await codeOf(readAttestedKey(claims(damaged)))).toBe('binding.key-unsupported');
  });
});

describe('readAttestedKey', () => {
  it.each(CURVES)('reads a bare point of %s', async (curve) => {
    const spki = spkiOf(make[curve]());
    const point = spki.slice(-(curve === 'P-256' ? 65 : 97));
    expect((await readAttestedKey(claims(point))).spki).toEqual(spki);
    point[10] = (point[10] as number) ^ 1;
    expect(await codeOf(readAttestedKey(claims(point)))).toBe('binding.key-unsupported');
  });

  it('takes 32 bare bytes only as what the caller says', async () => {
    const spki = spkiOf(make.X25519());
    const bare = spki.slice(-32);
    expect(await codeOf(readAttestedKey(claims(bare)))).toBe('binding.key-unsupported');
    expect((await readAttestedKey(claims(bare), 'publicKey', 'X25519')).spki).toEqual(spki);
    expect(await codeOf(readAttestedKey(claims(spki), 'publicKey', 'X25519'))).toBe(
      'binding.key-unsupported',
    );
  });

  it.each<[string, Uint8Array | undefined]>([
    ['binding.key-missing', undefined],
    ['binding.key-missing', new Uint8Array()],
    ['binding.key-unsupported', text('{')],
    ['binding.key-unsupported', text('{}')],
    ['binding.key-unsupported', text('{"kty":"oct","k":"AAAA"}')],
    ['binding.key-unsupported', text('{"kty":"EC","crv":"X25519","x":"AAAA"}')],
    ['binding.key-unsupported', text('{"kty":"OKP","crv":"X25519","x":"AAAA"}')],
    ['binding.key-unsupported', text('{"kty":"OKP","crv":"X25519","x":7}')],
    ['binding.key-unsupported', text('{"kty":"RSA","n":"AQAB","e":"AQAB"}')],
    ['binding.key-unsupported', text({ ...make.X25519().export({ format: 'jwk' }), d: 'AAAA' })],
    ['binding.key-unsupported', Uint8Array.of(0x7b, 0xff)],
    ['binding.key-unsupported', Uint8Array.of(0x30, 0x80)],
    [
      'binding.key-unsupported',
      spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey),
    ],
    [
      'binding.key-unsupported',
      spkiOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey),
    ],
  ])('says %s', async (code, field) => {
    expect(await codeOf(readAttestedKey(claims(field)))).toBe(code);
  });

  it('never throws anything else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        expect(await codeOf(readAttestedKey(claims(bytes)))).toMatch(/^binding\.|^resolved$/);
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        expect(await codeOf(readAttestedKey(claims(text(json))))).toMatch(/^binding\./);
      }),
    );
  });

  it('reads no other place', async () => {
    expect(await codeOf(readAttestedKey(claims(), 'nonce' as never))).toBeInstanceOf(TypeError);
  });
});

describe('requireAttestedKey', () => {
  it('takes a CryptoKey', async () => {
    const { publicKey } = await crypto.subtle.generateKey(
      { name: 'ECDH', namedCurve: 'P-256' },
      false,
      ['deriveBits'],
    );
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
    expect((await requireAttestedKey(claims(spki), publicKey)).type).toBe('P-256');
  });
  it('does not take a key for its hash, nor a hash for a key', async () => {
    const spki = spkiOf(make['P-256']());
    expect(await codeOf(requireAttestedKey(claims(await sha256(spki)), await sha256(spki)))).toBe(
      'binding.key-unsupported',
    );
    const bare = spkiOf(make.X25519());
    expect(await codeOf(requireAttestedKey(claims(bare.slice(-32)), bare))).toBe(
      'binding.key-mismatch',
    );
  });
  it('refuses what is presented without form', async () => {
    const field = spkiOf(make['P-256']());
    for (const presented of [new Uint8Array(), new Uint8Array(5), {}, { kty: 'EC' }])
      expect(await codeOf(requireAttestedKey(claims(field), presented))).toBe(
        'binding.key-unsupported',
      );
  });
});
