import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyInput, HEAD_BYTES, type InputKind } from './classify-input.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const example = (name: string): Uint8Array =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url));

const CASES: readonly (readonly [string, Uint8Array, InputKind])[] = [
  ['a bundle', example('bundle.json'), 'evidence'],
  ['our manifest', example('manifest.json'), 'manifest'],
  ['a trust anchor', example('simulated-root.pem'), 'trust-anchor'],
  ['AWS measurements', text('{"Measurements":{"PCR4":"00"}}'), 'manifest'],
  ['flat measurements', text('{"PCR0":"00"}'), 'manifest'],
  ['a signed manifest', text('{"payload":"a","signatures":[]}'), 'manifest'],
  ['a compact JWS', text('eyJhbGciOiJFUzI1NiJ9.e30.c2ln'), 'manifest'],
  ['a JWK set', text('{"keys":[]}'), 'manifest-keys'],
  ['a JWK', text('{"kty":"EC","crv":"P-256"}'), 'manifest-keys'],
  ['a COSE document', Uint8Array.of(0x84, 0x44, 0xa1), 'evidence'],
  ['a tagged COSE document', Uint8Array.of(0xd2, 0x84), 'evidence'],
  ['hex', text('8444'.repeat(20)), 'evidence'],
  ['base64 in lines', text(`${'hESh'.repeat(19)}\n${'ABCD'.repeat(5)}==`), 'evidence'],
  ['a UKI', text('MZ\0\0'), 'uki'],
  ['an EIF', text('.eif\0\x04'), 'eif'],
  [
    'an event log',
    new Uint8Array([...new Uint8Array(32), ...text('Spec ID Event03\0')]),
    'event-log',
  ],
  ['nothing', new Uint8Array(), 'unknown'],
  ['prose', text('Hello, world!'), 'unknown'],
  ['other JSON', text('{"hello":1}'), 'unknown'],
  ['an array', text('[1]'), 'unknown'],
  ['broken JSON', text('{"attestation":'), 'unknown'],
  ['bytes', Uint8Array.of(0xff, 0xfe, 0), 'unknown'],
];

describe('classifyInput', () => {
  it.each(CASES)('%s', (_name, bytes, kind) => {
    expect(classifyInput(bytes, true)).toBe(kind);
  });
  it('knows a large bundle by its beginning', () => {
    const bundle = JSON.parse(new TextDecoder().decode(example('bundle.json')));
    const large = text(JSON.stringify({ ...bundle, event_log: 'A'.repeat(200_000) }));
    expect(classifyInput(large.subarray(0, HEAD_BYTES), false)).toBe('evidence');
  });
  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isWhole) => {
        classifyInput(bytes, isWhole);
      }),
    );
  });
});
