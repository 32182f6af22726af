import { createNodeProvider } from 'tee-verify/node';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeHex } from './bytes/hex.js';
import { resolveOptions, type VerifyOptions } from './options.js';
import { ChainMemory } from './x509/chain-memory.js';
import { AWS_NITRO_ROOT_G1_SHA256 } from './x509/trust-anchors.js';

const provider = createNodeProvider();
const resolve = (options: unknown) => resolveOptions(options as VerifyOptions);

afterEach(() => vi.useRealTimers());

describe('resolveOptions', () => {
  it('fills in safe defaults', () => {
    vi.useFakeTimers({ now: 1_750_000_000_000 });
    const resolved = resolve({});
    expect(resolved.freshness).toEqual({ nonce: undefined, maxAgeSeconds: 300 });
    expect(resolved.anchors.pins.map(encodeHex)).toEqual([AWS_NITRO_ROOT_G1_SHA256]);
    expect(resolved.anchors.certificates).toEqual([]);
    expect(resolved).toMatchObject({
      allowDebug: false,
      allowPartialManifest: false,
      requireQuote: false,
      manifestKeys: undefined,
    });
    expect(resolved.timeFor(5)).toEqual({
      nowMs: 1_750_000_000_000,
      source: 'clock',
      clockToleranceSeconds: 60,
      documentMs: 5,
    });
    expect(resolved.memory).toBeInstanceOf(ChainMemory);
    expect(resolve({}).memory).toBe(resolved.memory);
  });

  it('limits the age unless a nonce is compared', () => {
    expect(resolve({ nonce: 'aa' }).freshness.maxAgeSeconds).toBeUndefined();
    expect(resolve({ nonce: null }).freshness).toEqual({ nonce: null, maxAgeSeconds: 300 });
    expect(resolve({ nonce: 'aa', maxAgeSeconds: 10 }).freshness.maxAgeSeconds).toBe(10);
    expect(resolve({ maxAgeSeconds: 0 }).freshness.maxAgeSeconds).toBe(0);
  });

  it('reads a nonce as bytes or hex, and keeps its own copy', () => {
    const mine = Uint8Array.of(1, 0xab);
    const { freshness } = resolve({ nonce: mine });
    mine.fill(0);
    expect(freshness.nonce).toEqual(Uint8Array.of(1, 0xab));
    expect(resolve({ nonce: '01AB' }).freshness.nonce).toEqual(Uint8Array.of(1, 0xab));
    expect(resolve({ nonce: new Uint8Array(1024) }).freshness.nonce).toHaveLength(1024);
  });

  it('takes the time given, by value', () => {
    const now = new Date(1000);
    const resolved = resolve({ now, clockToleranceSeconds: 0 });
    now.setTime(9);
    expect(resolved.timeFor(7)).toEqual({
      nowMs: 1000,
      source: 'given',
      clockToleranceSeconds: 0,
      documentMs: 7,
    });
    expect(resolve({ now: new Date(0) }).timeFor(7)).toMatchObject({ nowMs: 0, source: 'given' });
    expect(resolve({ now: 'document' }).timeFor(7)).toMatchObject({ nowMs: 7, source: 'document' });
  });

  it('takes a memory, or none', () => {
    const memory = new ChainMemory(2);
    expect(resolve({ chainMemory: memory }).memory).toBe(memory);
    expect(resolve({ chainMemory: false }).memory).toBeUndefined();
  });

  it('reads each option once', () => {
    const reads: string[] = [];
    const options = new Proxy(
      {
        nonce: 'aa',
        now: new Date(5),
        maxAgeSeconds: 5,
        clockToleranceSeconds: 1,
        provider,
        chainMemory: false,
        allowDebug: true,
        requireQuote: true,
        allowPartialManifest: true,
        trustAnchors: [{ sha256: '00'.repeat(32) }],
        manifestKeys: [],
      },
      {
        get: (target, key) => {
          reads.push(String(key));
          return Reflect.get(target, key);
        },
      },
    );
    const resolved = resolve(options);
    resolved.timeFor(1);
    expect(reads.sort()).toEqual([...new Set(reads)]);
    expect(reads).toHaveLength(11);
  });

  it.each<readonly [string, unknown]>([
    ['null', null],
    ['a list', []],
    ['text', 'nonce'],
    ['a number', 5],
    ['unknown option', { nonces: 'aa' }],
    ['misspelled option', { maxAge: 5 }],
    ['explicit undefined nonce', { nonce: undefined }],
    ['empty nonce', { nonce: new Uint8Array(0) }],
    ['empty nonce text', { nonce: '' }],
    ['nonce of 1025 bytes', { nonce: new Uint8Array(1025) }],
    ['nonce with a prefix', { nonce: '0xaa' }],
    ['nonce of odd length', { nonce: 'aaa' }],
    ['nonce in base64', { nonce: 'qrvM3Q==' }],
    ['nonce as a list', { nonce: [1, 2] }],
    ['nonce as a number', { nonce: 5 }],
    ['nonce false', { nonce: false }],
    ['invalid Date', { now: new Date('never') }],
    ['time as a number', { now: 1_750_000_000_000 }],
    ['time as text', { now: '2026-03-01T12:00:00Z' }],
    ['time null', { now: null }],
    ['tolerance negative', { clockToleranceSeconds: -1 }],
    ['tolerance over an hour', { clockToleranceSeconds: 3601 }],
    ['tolerance NaN', { clockToleranceSeconds: Number.NaN }],
    ['tolerance as text', { clockToleranceSeconds: '60' }],
    ['tolerance infinite', { clockToleranceSeconds: Number.POSITIVE_INFINITY }],
    ['age negative', { maxAgeSeconds: -1 }],
    ['age NaN', { maxAgeSeconds: Number.NaN }],
    ['age false', { maxAgeSeconds: false }],
    ['age empty text', { maxAgeSeconds: '' }],
    ['age undefined', { maxAgeSeconds: undefined }],
    ['manifest keys undefined', { manifestKeys: undefined }],
    ['quote demand undefined', { requireQuote: undefined }],
    ['inherited options', Object.create({ nonce: 'aa' })],
    [
      'an instance of a class',
      new (class {
        nonce = 'aa';
      })(),
    ],
    ['a Map', new Map([['nonce', 'aa']])],
    ['a hidden option', Object.defineProperty({}, 'nonce', { value: 'aa' })],
    ['age infinite', { maxAgeSeconds: Number.POSITIVE_INFINITY }],
    ['age as text', { maxAgeSeconds: '300' }],
    ['age as a list', { maxAgeSeconds: [300] }],
    ['no anchors', { trustAnchors: [] }],
    ['anchors as text', { trustAnchors: 'PEM' }],
    ['bad PEM', { trustAnchors: ['-----BEGIN CERTIFICATE-----'] }],
    ['provider null', { provider: null }],
    ['provider without verify', { provider: { name: 'x', digest: () => undefined } }],
    ['memory true', { chainMemory: true }],
    ['memory null', { chainMemory: null }],
    ['memory as a Map', { chainMemory: new Map() }],
    ['flag as text', { allowDebug: 'false' }],
    ['flag as a number', { allowPartialManifest: 1 }],
    ['flag as an object', { requireQuote: {} }],
  ])('%s is a TypeError', (_name, options) => {
    expect(() => resolve(options)).toThrow(TypeError);
  });

  it('says which option it was', () => {
    expect(() => resolve({ maxAge: 5 })).toThrow(/unknown option maxAge/);
    expect(() => resolve({ nonce: undefined })).toThrow(/null/);
    expect(() => resolve({ allowDebug: 1 })).toThrow(/allowDebug/);
  });
});
