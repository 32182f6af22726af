import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { p256, p384 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { createNodeProvider } from 'tee-verify/node';
import { loadWasm } from 'tee-verify/wasm-fallback';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  generateKeys,
  ORDER,
  publicPoint,
  replaceHalf,
  signRaw,
  toBigInt,
  toBytes,
  twin,
} from '../../test-vectors/mint/index.js';
import { concatBytes } from '../bytes/bytes.js';
import { decodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import { rawSignature } from '../x509/der-signature.js';
import { ALGORITHMS } from './algorithms.js';
import { chooseProvider, createNobleProvider as createLazyNoble } from './choose-provider.js';
import { isPointOnCurve } from './curve.js';
import { createNobleProvider } from './noble-provider.js';
import type { CryptoProvider, SignatureAlgorithm } from './provider.js';
import { createWebCryptoProvider } from './webcrypto-provider.js';

const FOLDER = fileURLToPath(new URL('../../../shared/vectors/wycheproof/', import.meta.url));
const present = existsSync(FOLDER);
if (!present) {
  const message = `SKIPPED: Wycheproof vectors; ${FOLDER} does not exist`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const wasm = loadWasm();
if ('unavailable' in wasm) throw new Error(wasm.unavailable);
const noble = createNobleProvider();
const PROVIDERS: readonly CryptoProvider[] = [
  createNodeProvider(),
  createWebCryptoProvider(crypto.subtle),
  wasm.provider,
  noble,
];
const ES: readonly SignatureAlgorithm[] = ['ES256', 'ES384'];
const CURVES = { 'P-256': p256, 'P-384': p384 } as const;
const P = {
  'P-256': 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  'P-384': 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
} as const;

interface Signed {
  readonly algorithm: SignatureAlgorithm;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}
async function sign(algorithm: SignatureAlgorithm, message: Uint8Array): Promise<Signed> {
  const { curve, hash } = ALGORITHMS[algorithm];
  const keys = await generateKeys(curve);
  const signature = await signRaw(keys.privateKey, message, hash as 'SHA-256' | 'SHA-384');
  return { algorithm, key: await publicPoint(keys), message, signature };
}
const samples = await Promise.all(ES.map((es) => sign(es, new TextEncoder().encode(`for ${es}`))));

/** Both forms of a provider must answer the same, and never throw. */
async function ask(provider: CryptoProvider, s: Signed): Promise<unknown> {
  const answer = await provider.verify(s.algorithm, s.key, s.message, s.signature);
  const { sync } = provider;
  if (sync !== undefined)
    expect(sync.verify(s.algorithm, s.key, s.message, s.signature)).toBe(answer);
  return answer;
}

describe.each(PROVIDERS.map((p) => [p.name, p] as const))('provider %s', (_name, provider) => {
  it('digests as node:crypto does', async () => {
    const sizes = [0, 1, 55, 56, 63, 64, 65, 111, 112, 119, 127, 128, 129, 1000, 70_000];
    for (const algorithm of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'] as const)
      for (const size of sizes) {
        const data = new Uint8Array(size).map((_, i) => (i * 31) & 0xff);
        const expected = createHash(algorithm.replace('-', '')).update(data).digest('hex');
        expect(Buffer.from(await provider.digest(algorithm, data)).toString('hex')).toBe(expected);
        if (provider.sync)
          expect(Buffer.from(provider.sync.digest(algorithm, data)).toString('hex')).toBe(expected);
      }
  });

  it.each(samples.map((s) => [s.algorithm, s] as const))('%s: good signatures', async (_es, s) => {
    expect(await ask(provider, s)).toBe(true);
    const { curve } = ALGORITHMS[s.algorithm];
    // Both s and n - s: one of them is high.
    expect(await ask(provider, { ...s, signature: twin(s.signature, curve) })).toBe(true);
    const padded = concatBytes(Uint8Array.of(0), s.message, s.key, s.signature, Uint8Array.of(0));
    const at = (from: number, length: number) => padded.subarray(from, from + length);
    const views = {
      algorithm: s.algorithm,
      message: at(1, s.message.length),
      key: at(1 + s.message.length, s.key.length),
      signature: at(1 + s.message.length + s.key.length, s.signature.length),
    };
    expect(await ask(provider, views)).toBe(true);
  });

  it.each(samples.map((s) => [s.algorithm, s] as const))(
    '%s: bad keys and signatures give false, and nothing is thrown',
    async (_es, s) => {
      const { curve, coordinateBytes: size } = ALGORITHMS[s.algorithm];
      const n = ORDER[curve];
      const flip = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] as number) ^ 1);
      const other = samples.find(({ algorithm }) => algorithm !== s.algorithm) as Signed;
      const point = (x: bigint, y: bigint) =>
        concatBytes(Uint8Array.of(4), toBytes(x, size), toBytes(y, size));
      const [x, y] = [toBigInt(s.key.subarray(1, 1 + size)), toBigInt(s.key.subarray(1 + size))];
      const signatures = [
        ...[0n, n, n + 1n, 2n ** BigInt(8 * size) - 1n].flatMap((value) => [
          replaceHalf(s.signature, 'r', value),
          replaceHalf(s.signature, 's', value),
        ]),
        new Uint8Array(2 * size),
        new Uint8Array(2 * size).fill(0xff),
        new Uint8Array(0),
        s.signature.subarray(1),
        s.signature.subarray(0, -1),
        concatBytes(s.signature, Uint8Array.of(0)),
        concatBytes(Uint8Array.of(0), s.signature),
        other.signature,
        flip(s.signature, 0),
        flip(s.signature, size - 1),
        flip(s.signature, size),
        flip(s.signature, 2 * size - 1),
        concatBytes(s.signature.subarray(size), s.signature.subarray(0, size)),
      ];
      for (const [i, signature] of signatures.entries())
        expect(await ask(provider, { ...s, signature }), `signature ${i}`).toBe(false);
      const compressed = concatBytes(
        Uint8Array.of(2 + Number(y & 1n)),
        s.key.subarray(1, 1 + size),
      );
      const keys = [
        new Uint8Array(0),
        Uint8Array.of(0),
        new Uint8Array(1 + 2 * size),
        point(0n, 0n),
        compressed,
        s.key.with(0, 2),
        s.key.with(0, 3),
        s.key.with(0, 5),
        s.key.with(0, 6),
        s.key.with(0, 7),
        s.key.subarray(1),
        s.key.subarray(0, -1),
        concatBytes(s.key, Uint8Array.of(0)),
        other.key,
        flip(s.key, 1),
        flip(s.key, 2 * size),
        point(x, P[curve] - y),
        point(P[curve], y),
        point(x, P[curve]),
        point(2n ** BigInt(8 * size) - 1n, y),
        point(y, x),
      ];
      for (const [i, key] of keys.entries())
        expect(await ask(provider, { ...s, key }), `key ${i}`).toBe(false);
      for (const message of [new Uint8Array(0), flip(s.message, 0), s.message.subarray(1)])
        expect(await ask(provider, { ...s, message })).toBe(false);
    },
  );

  it('does not let one call disturb another', async () => {
    const jobs = Array.from({ length: 12 }, (_, i) => samples[i % 2] as Signed);
    const answers = await Promise.all(
      jobs.map((s, i) =>
        provider.verify(
          s.algorithm,
          s.key,
          s.message,
          i % 3 ? s.signature : s.signature.slice().reverse(),
        ),
      ),
    );
    expect(answers).toEqual(jobs.map((_, i) => i % 3 !== 0));
  });

  it.skipIf(!present).each([
    ['ES256', 'ecdsa_secp256r1_sha256'],
    ['ES384', 'ecdsa_secp384r1_sha384'],
  ] as const)('%s: Wycheproof, r || s and DER', async (algorithm, name) => {
    const { coordinateBytes } = ALGORITHMS[algorithm];
    const raw = readVectors(`${name}_p1363_test.json`);
    expect(raw.length).toBeGreaterThan(250);
    for (const { id, key, message, signature, valid } of raw)
      expect(await ask(provider, { algorithm, key, message, signature }), id).toBe(valid);
    const der = readVectors(`${name}_test.json`);
    expect(der.length).toBeGreaterThan(450);
    // Many DER vectors repeat the numbers of the raw ones: noble, slow, takes what DER decides.
    let refused = 0;
    for (const [i, { id, key, message, signature, valid }] of der.entries()) {
      let numbers: Uint8Array;
      try {
        numbers = rawSignature(signature, coordinateBytes, 'vector', 'quote.signature-malformed');
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
        expect(valid, id).toBe(false);
        refused++;
        continue;
      }
      if (provider === noble && i % 8 !== 0 && valid) continue;
      const answer = await provider.verify(algorithm, key, message, numbers);
      expect(answer, id).toBe(valid);
    }
    expect(refused).toBeGreaterThan(100);
  });
});

interface Vector {
  readonly id: string;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly valid: boolean;
}
function readVectors(file: string): readonly Vector[] {
  const { testGroups } = JSON.parse(readFileSync(FOLDER + file, 'utf8')) as {
    testGroups: {
      publicKey: { uncompressed: string };
      tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
    }[];
  };
  const bytes = (hex: string): Uint8Array => decodeHex(hex) as Uint8Array;
  return testGroups.flatMap(({ publicKey, tests }) =>
    tests.map(({ tcId, comment, msg, sig, result }) => {
      expect(['valid', 'invalid']).toContain(result);
      return {
        id: `${file} ${tcId}: ${comment}`,
        key: bytes(publicKey.uncompressed),
        message: bytes(msg),
        signature: bytes(sig),
        valid: result === 'valid',
      };
    }),
  );
}

describe('providers among each other', () => {
  it('agree on random signatures and their mutations', async () => {
    const mutation = fc.record({
      which: fc.constantFrom('key' as const, 'message' as const, 'signature' as const),
      at: fc.nat(200),
      byte: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...ES),
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        mutation,
        async (algorithm, message, { which, at, byte }) => {
          const signed = await sign(algorithm, message);
          const bytes = signed[which].slice();
          bytes[at % bytes.length] = byte;
          for (const one of [signed, { ...signed, [which]: bytes }]) {
            const answers = await Promise.all(PROVIDERS.map((provider) => ask(provider, one)));
            expect(new Set(answers).size).toBe(1);
            if (one === signed) expect(answers[0]).toBe(true);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('isPointOnCurve', () => {
  it.each(['P-256', 'P-384'] as const)(
    '%s: agrees with noble on random and broken points',
    (curve) => {
      const { Point } = CURVES[curve];
      const { length } = Point.BASE.toBytes(false);
      const oracle = (bytes: Uint8Array): boolean => {
        try {
          Point.fromBytes(bytes).assertValidity();
          return bytes.length === length && bytes[0] === 4;
        } catch {
          return false;
        }
      };
      const scalar = fc.bigInt(1n, ORDER[curve] - 1n);
      fc.assert(
        fc.property(scalar, fc.nat(length - 1), fc.nat(255), (k, at, byte) => {
          const point = Point.BASE.multiply(k).toBytes(false);
          expect(isPointOnCurve(curve, point)).toBe(true);
          const changed = point.slice();
          changed[at] = byte;
          expect(isPointOnCurve(curve, changed)).toBe(oracle(changed));
          expect(isPointOnCurve(curve, point.subarray(0, at))).toBe(false);
          expect(isPointOnCurve(curve === 'P-256' ? 'P-384' : 'P-256', point)).toBe(false);
        }),
        { numRuns: 40 },
      );
    },
  );

  it.each(['P-256', 'P-384'] as const)('%s: random bytes are no point', (curve) => {
    const size = ALGORITHMS[curve === 'P-256' ? 'ES256' : 'ES384'].coordinateBytes;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2 * size, maxLength: 2 * size }), (coordinates) => {
        expect(isPointOnCurve(curve, concatBytes(Uint8Array.of(4), coordinates))).toBe(false);
      }),
    );
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0), new Uint8Array(1 + 2 * size)])
      expect(isPointOnCurve(curve, bytes)).toBe(false);
  });

  it.each(['P-256', 'P-384'] as const)('%s: a coordinate of p or more is refused', (curve) => {
    const size = curve === 'P-256' ? 32 : 48;
    // A point with x small enough that x + p still fits into the bytes.
    const { Point } = CURVES[curve];
    for (let x = 0n, found = 0; found < 3; x++) {
      let bytes: Uint8Array;
      try {
        bytes = Point.fromBytes(concatBytes(Uint8Array.of(2), toBytes(x, size))).toBytes(false);
      } catch {
        continue;
      }
      found++;
      expect(isPointOnCurve(curve, bytes)).toBe(true);
      const over = concatBytes(
        Uint8Array.of(4),
        toBytes(x + P[curve], size),
        bytes.subarray(1 + size),
      );
      expect(isPointOnCurve(curve, over)).toBe(false);
    }
  });
});

describe('chooseProvider', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('takes WebCrypto where there is one', () => {
    expect(chooseProvider().name).toBe('webcrypto');
  });

  it.each([undefined, {}, { subtle: undefined }])(
    'takes WebAssembly where it finds %j',
    async (value) => {
      vi.stubGlobal('crypto', value);
      const provider = chooseProvider();
      await works(provider);
      expect(provider.name).toBe('wasm');
    },
  );

  it('takes noble where there is no WebAssembly either, and says why', async () => {
    vi.stubGlobal('crypto', undefined);
    vi.stubGlobal('WebAssembly', undefined);
    vi.resetModules();
    const fresh = await import('./choose-provider.js');
    const provider = fresh.chooseProvider();
    await works(provider);
    expect(provider.name).toMatch(/^noble \(WebAssembly: .*none\)$/);
  });

  it('noble is loaded lazily under its own name', async () => {
    const provider = createLazyNoble();
    expect(provider.name).toBe('noble');
    await works(provider);
  });

  async function works(provider: CryptoProvider): Promise<void> {
    for (const s of samples) {
      expect(await provider.verify(s.algorithm, s.key, s.message, s.signature)).toBe(true);
      const signature = s.signature.slice().reverse();
      expect(await provider.verify(s.algorithm, s.key, s.message, signature)).toBe(false);
    }
    expect(await provider.digest('SHA-256', new Uint8Array(3))).toHaveLength(32);
  }
});
