import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { P256, P384 } from './test-support/curves.js';
import { ecdsaKey, signWith } from './test-support/ecdsa-key.js';
import { wasm } from './test-support/shipped.js';

const { provider, sync } = wasm();
const HASHES = {
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
} as const;
const names = Object.keys(HASHES) as (keyof typeof HASHES)[];

describe.each(names)('%s', (name) => {
  const expected = (data: Uint8Array) => createHash(HASHES[name]).update(data).digest('hex');
  const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

  it('is right for every length around blocks and pieces', () => {
    const lengths = [...Array(300).keys()];
    // The module takes 16,384 bytes at a time.
    for (const near of [16_384, 32_768, 100_000])
      for (let d = -2; d <= 2; d++) lengths.push(near + d);
    for (const length of lengths) {
      const data = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);
      expect(hex(sync.digest(name, data)), `${length}`).toBe(expected(data));
    }
  });

  it('reads a view, and gives bytes that the next call leaves alone', async () => {
    const data = Uint8Array.from({ length: 5000 }, (_, i) => i & 255);
    const digest = sync.digest(name, data.subarray(123, 4321));
    const text = expected(data.subarray(123, 4321));
    sync.digest(name, new Uint8Array(9));
    expect(hex(digest)).toBe(text);
    const promised = provider.digest(name, data);
    const before = expected(data);
    data.fill(0);
    expect(hex(await promised)).toBe(before);
  });
});

describe.each([P256, P384])('$name', (curve) => {
  const key = ecdsaKey(curve, 'provider');
  const message = Uint8Array.from({ length: 20_000 }, (_, i) => i & 255);
  const signature = signWith(key, message);
  const { algorithm } = curve;

  it('verifies, in both forms', async () => {
    expect(provider.name).toBe('wasm');
    expect(sync.verify(algorithm, key.publicKey, message, signature)).toBe(true);
    expect(await provider.verify(algorithm, key.publicKey, message, signature)).toBe(true);
    const other = message.slice(1);
    expect(sync.verify(algorithm, key.publicKey, other, signature)).toBe(false);
    expect(await provider.verify(algorithm, key.publicKey, other, signature)).toBe(false);
  });

  it('has read its input before it returns the promise', async () => {
    const copies = [key.publicKey.slice(), message.slice(), signature.slice()] as const;
    const promised = provider.verify(algorithm, ...copies);
    for (const copy of copies) copy.fill(0);
    expect(await promised).toBe(true);
  });

  it('refuses other lengths, and the other curve', () => {
    const { publicKey } = key;
    for (let length = 0; length <= 2 * curve.bytes + 2; length++) {
      const longer = (bytes: Uint8Array) => Uint8Array.from({ length }, (_, i) => bytes[i] ?? 0);
      if (length !== signature.length)
        expect(sync.verify(algorithm, publicKey, message, longer(signature))).toBe(false);
      if (length !== publicKey.length)
        expect(sync.verify(algorithm, longer(publicKey), message, signature)).toBe(false);
    }
    const wrong = algorithm === 'ES256' ? 'ES384' : 'ES256';
    expect(sync.verify(wrong, publicKey, message, signature)).toBe(false);
  });

  it('answers false, never throws, for whatever bytes', () => {
    const exact = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array(), exact(1 + 2 * curve.bytes), fc.constant(key.publicKey)),
        fc.uint8Array(),
        fc.oneof(fc.uint8Array(), exact(2 * curve.bytes)),
        (publicKey, anyMessage, anySignature) =>
          sync.verify(algorithm, publicKey, anyMessage, anySignature) === false,
      ),
      { numRuns: 1000 },
    );
  });
});
