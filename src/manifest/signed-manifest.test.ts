import {
  base64url,
  type CompactJWSHeaderParameters,
  CompactSign,
  exportJWK,
  FlattenedSign,
  GeneralSign,
  generateKeyPair,
  type JWK,
} from 'jose';
import { describe, expect, it } from 'vitest';
import { runFlow } from '../crypto/flow.js';
import type { Code } from '../result/codes.js';
import { expectRejection, notes, rejectionOf } from '../test-support/rejection.js';
import { loadManifest } from './load-manifest.js';
import type { ManifestInput } from './parse-manifest.js';
import type { ReferenceManifest } from './reference-manifest.js';
import { isSignedManifest, type ManifestKeys } from './signed-manifest.js';

const MANIFEST = {
  version: 1,
  name: 'signed image',
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'a', pcrs: { '4': 'a1'.repeat(48), '12': '00'.repeat(48) } }],
};
const TYP = 'tee-manifest+jws';
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const PAYLOAD = bytes(MANIFEST);

interface Signer {
  readonly alg: string;
  readonly key: CryptoKey;
  readonly jwk: JWK;
}
async function signer(alg: string, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, key: privateKey, jwk: { ...(await exportJWK(publicKey)), ...(kid && { kid }) } };
}
const one = await signer('ES256', 'one');
const two = await signer('ES384', 'two');
const edwards = await signer('EdDSA', 'ed');
const stranger = await signer('ES256');

const compact = (
  by: Signer,
  header: Partial<CompactJWSHeaderParameters> = {},
  payload = PAYLOAD,
): Promise<string> =>
  new CompactSign(payload).setProtectedHeader({ alg: by.alg, typ: TYP, ...header }).sign(by.key);
const flattened = (by: Signer, header: object = {}, payload = PAYLOAD) =>
  new FlattenedSign(payload).setProtectedHeader({ alg: by.alg, typ: TYP, ...header }).sign(by.key);
const general = (by: readonly Signer[], header: object = {}, payload = PAYLOAD) => {
  const sign = new GeneralSign(payload);
  for (const { alg, key } of by)
    sign.addSignature(key).setProtectedHeader({ alg, typ: TYP, ...header });
  return sign.sign();
};

const heard = notes();
const load = (input: unknown, keys: unknown, partial = false): Promise<ReferenceManifest> =>
  runFlow(loadManifest(input as ManifestInput, keys as ManifestKeys, partial, heard.note));
const refuse = async (input: unknown, keys: unknown, code: Code): Promise<void> => {
  expectRejection(await rejectionOf(load(input, keys)), code);
};

describe('a signed manifest', () => {
  it.each<readonly [string, () => Promise<unknown>, ManifestKeys, string]>([
    ['compact', () => compact(one), [one.jwk], 'one'],
    ['compact with spaces around', async () => `\n${await compact(one)}\n`, [one.jwk], 'one'],
    [
      'compact as bytes',
      async () => new TextEncoder().encode(await compact(one)),
      [one.jwk],
      'one',
    ],
    ['ES384', () => compact(two), [two.jwk], 'two'],
    ['EdDSA', () => compact(edwards), [edwards.jwk], 'ed'],
    ['flattened', () => flattened(one), [one.jwk], 'one'],
    ['flattened as text', async () => JSON.stringify(await flattened(one)), [one.jwk], 'one'],
    ['general', () => general([one]), [one.jwk], 'one'],
    ['general as text', async () => JSON.stringify(await general([one])), [one.jwk], 'one'],
    ['general, second signature', () => general([stranger, two]), [two.jwk], 'two'],
    ['a set of keys', () => compact(two), { keys: [one.jwk, two.jwk] }, 'two'],
    ['last of several keys', () => compact(two), [edwards.jwk, one.jwk, two.jwk], 'two'],
    ['a key without kid', () => compact(stranger), [stranger.jwk], 'unnamed key'],
    [
      'the kid of the header is no matter',
      () => compact(one, { kid: 'two' }),
      [two.jwk, one.jwk],
      'one',
    ],
    [
      'a key of another kind beside',
      () => compact(one),
      [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }, one.jwk],
      'one',
    ],
    [
      'AWS\u2019s format',
      () => compact(one, {}, bytes({ Measurements: { PCR0: 'a1'.repeat(48) } })),
      [one.jwk],
      'one',
    ],
  ])('%s', async (_name, make, keys, keyId) => {
    const manifest = await load(await make(), keys);
    expect(manifest.trust).toEqual({ source: 'signature', keyIds: [keyId] });
    expect(manifest.sets).toHaveLength(1);
    expect(heard.heard).toContain(`signed by ${keyId}`);
  });

  it('is not believed without keys, nor an unsigned one with keys', async () => {
    const error = await rejectionOf(load(await compact(one), undefined));
    expect((error as { code: Code }).code).toBe('manifest.keys-missing');
    const unsigned = await rejectionOf(load(MANIFEST, [one.jwk]));
    expect((unsigned as { code: Code }).code).toBe('manifest.signature-required');
    const text = await rejectionOf(load(JSON.stringify(MANIFEST), [one.jwk]));
    expect((text as { code: Code }).code).toBe('manifest.signature-required');
  });

  it.each<readonly [string, () => Promise<unknown>]>([
    ['another key', () => compact(stranger)],
    ['no typ', () => compact(one, { typ: undefined as never })],
    ['typ JWT', () => compact(one, { typ: 'JWT' })],
    ['typ with a prefix', () => compact(one, { typ: `application/${TYP}` })],
    ['typ in upper case', () => compact(one, { typ: TYP.toUpperCase() })],
    ['typ JWT, flattened', () => flattened(one, { typ: 'JWT' })],
    ['typ JWT, general', () => general([one], { typ: 'JWT' })],
    [
      'typ in the unprotected header only',
      () =>
        new FlattenedSign(PAYLOAD)
          .setProtectedHeader({ alg: 'ES256' })
          .setUnprotectedHeader({ typ: TYP })
          .sign(one.key),
    ],
    [
      'unknown critical header',
      async () => {
        const [, payload, signature] = (await compact(one)).split('.');
        return [
          base64url.encode(JSON.stringify({ alg: 'ES256', typ: TYP, crit: ['exp'], exp: 1 })),
          payload,
          signature,
        ].join('.');
      },
    ],
    [
      'changed payload',
      async () => {
        const [header, , signature] = (await compact(one)).split('.');
        return [
          header,
          base64url.encode(JSON.stringify({ ...MANIFEST, name: 'other' })),
          signature,
        ].join('.');
      },
    ],
    [
      'changed payload, flattened',
      async () => ({
        ...(await flattened(one)),
        payload: base64url.encode(bytes({ ...MANIFEST, name: 'x' })),
      }),
    ],
    ['empty payload', async () => (await compact(one)).replace(/\.[^.]*\./, '..')],
    [
      'changed header',
      async () => {
        const [, payload, signature] = (await compact(one)).split('.');
        return [
          base64url.encode(JSON.stringify({ alg: 'ES256', typ: TYP, x: 1 })),
          payload,
          signature,
        ].join('.');
      },
    ],
    [
      'alg none with a signature',
      async () => {
        const [, payload, signature] = (await compact(one)).split('.');
        return [
          base64url.encode(JSON.stringify({ alg: 'none', typ: TYP })),
          payload,
          signature,
        ].join('.');
      },
    ],
    [
      'alg none, flattened, no signature',
      async () => ({
        payload: base64url.encode(PAYLOAD),
        protected: base64url.encode(JSON.stringify({ alg: 'none', typ: TYP })),
        signature: '',
      }),
    ],
    [
      'HS256 with the public key as secret',
      async () =>
        new CompactSign(PAYLOAD)
          .setProtectedHeader({ alg: 'HS256', typ: TYP })
          .sign(new TextEncoder().encode(JSON.stringify(one.jwk))),
    ],
    [
      'HS256 with the public point as secret',
      async () =>
        new CompactSign(PAYLOAD)
          .setProtectedHeader({ alg: 'HS256', typ: TYP })
          .sign(base64url.decode(one.jwk.x as string)),
    ],
    [
      'ES384 named over ES256',
      async () => {
        const [, payload, signature] = (await compact(one)).split('.');
        return [
          base64url.encode(JSON.stringify({ alg: 'ES384', typ: TYP })),
          payload,
          signature,
        ].join('.');
      },
    ],
    [
      'DER signature',
      async () => `${(await compact(one)).split('.').slice(0, 2).join('.')}.MAYCAQECAQE`,
    ],
    [
      'signature of zeros',
      async () => `${(await compact(one)).split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`,
    ],
    ['key in the header', async () => compact(stranger, { jwk: stranger.jwk } as never)],
    [
      'general without signatures',
      async () => ({ payload: base64url.encode(PAYLOAD), signatures: [] }),
    ],
    [
      'general with junk',
      async () => ({ payload: base64url.encode(PAYLOAD), signatures: [null, 5, 'x'] }),
    ],
    ['signatures as object', async () => ({ payload: base64url.encode(PAYLOAD), signatures: {} })],
    ['signature null', async () => ({ payload: base64url.encode(PAYLOAD), signature: null })],
    ['payload null', async () => ({ payload: null, signature: 'AA' })],
    ['both forms, signatures empty', async () => ({ ...(await flattened(one)), signatures: [] })],
    ['three texts with dots', async () => 'a.b.c'],
  ])('refused: %s', async (_name, make) => {
    const input = await make();
    await refuse(input, [one.jwk, two.jwk], 'manifest.signature-invalid');
    if (typeof input !== 'string')
      await refuse(JSON.stringify(input), { keys: [one.jwk] }, 'manifest.signature-invalid');
  });

  it.each<readonly [string, string]>([
    [
      'alg none without signature',
      `${base64url.encode('{"alg":"none"}')}.${base64url.encode(PAYLOAD)}.`,
    ],
    ['two parts', `${base64url.encode('{"alg":"none"}')}.${base64url.encode(PAYLOAD)}`],
    ['four parts', 'a.b.c.d'],
    ['JWE', 'a.b.c.d.e'],
  ])('no JWS at all: %s', async (_name, input) => {
    await refuse(input, [one.jwk], 'manifest.malformed');
  });

  it('RS256 is not among the algorithms, even with its own key', async () => {
    const rsa = await signer('RS256', 'rsa');
    await refuse(await compact(rsa), [{ ...rsa.jwk, alg: 'RS256' }], 'manifest.signature-invalid');
    await refuse(await compact(rsa), [rsa.jwk], 'manifest.signature-invalid');
  });

  it('a key that names another algorithm does not verify', async () => {
    for (const alg of ['HS256', 'none', 'ES384', 'RS256', ''])
      await refuse(await compact(one), [{ ...one.jwk, alg }], 'manifest.signature-invalid');
  });

  it('is read as strictly as any other once it verified', async () => {
    const code = async (payload: unknown): Promise<unknown> =>
      (
        (await rejectionOf(load(await compact(one, {}, bytes(payload)), [one.jwk]))) as {
          code: Code;
        }
      ).code;
    expect(await code({ ...MANIFEST, revoke: true })).toBe('manifest.malformed');
    expect(await code({ ...MANIFEST, version: 2 })).toBe('manifest.version-unsupported');
    expect(await code({ ...MANIFEST, measurementSets: [] })).toBe('manifest.incomplete');
    expect(await code({ PCR4: 'a1'.repeat(48) })).toBe('manifest.incomplete');
    expect(await code([])).toBe('manifest.malformed');
    // A signature around a signature is not opened.
    expect(await code(await flattened(one))).toBe('manifest.malformed');
  });

  it('keys and manifest that change after the call do not matter', async () => {
    const jws = { ...(await flattened(one)) };
    const keys = [{ ...one.jwk }];
    const loading = load(jws, keys);
    jws.payload = base64url.encode(bytes({ ...MANIFEST, name: 'other' }));
    keys[0] = { ...stranger.jwk };
    expect((await loading).name).toBe('signed image');
    const forged = { ...(await flattened(stranger)) };
    const theirs = [{ ...one.jwk }];
    const refused = rejectionOf(load(forged, theirs));
    Object.assign(theirs[0] as object, stranger.jwk);
    expect(((await refused) as { code: Code }).code).toBe('manifest.signature-invalid');
  });

  it.each<readonly [string, unknown]>([
    ['no keys', []],
    ['an empty set', { keys: [] }],
    ['an object', {}],
    ['text', 'key'],
    ['a symmetric key', [{ kty: 'oct', k: 'AA' }]],
    ['a private key', [{ ...one.jwk, d: 'AA' }]],
    ['a private key behind a public one', [one.jwk, { ...two.jwk, d: 'AA' }]],
    ['null among them', [null]],
    ['a key without kty', [{ x: 'AA' }]],
    ['65 keys', Array(65).fill(one.jwk)],
  ])('%s is a TypeError', async (_name, keys) => {
    expect(await rejectionOf(load(await compact(one), keys))).toBeInstanceOf(TypeError);
  });

  it('tells signed from unsigned by shape', async () => {
    expect(isSignedManifest(await compact(one))).toBe(true);
    expect(isSignedManifest(await flattened(one))).toBe(true);
    expect(isSignedManifest(await general([one]))).toBe(true);
    expect(isSignedManifest(MANIFEST)).toBe(false);
    expect(isSignedManifest({ ...MANIFEST, payload: 'x' })).toBe(false);
    // Whoever adds a signature to a manifest object gets no unsigned reading of it.
    expect(isSignedManifest({ ...MANIFEST, payload: 'x', signature: 'y' })).toBe(true);
  });
});
