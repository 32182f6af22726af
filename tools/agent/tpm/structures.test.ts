import fc from 'fast-check';
import { type ByteReader, encodeHex } from 'tee-verify/bytes';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import { decodeResponse, encodeCommand } from './message.js';
import { type PcrSelection, readPcrSelections, writePcrSelections } from './pcr-selection.js';
import { readStructure, written } from './read-structure.js';
import { decodeAttest, encodeAttest, type TpmsAttest } from './tpms-attest.js';
import { encodeNvPublic, type NvPublic, readNvPublic } from './tpms-nv-public.js';
import {
  AK_TEMPLATE,
  encodePublic,
  RSA_EK_TEMPLATE,
  readPublic,
  type Scheme,
  type SymmetricDefinition,
  type TpmtPublic,
} from './tpmt-public.js';
import {
  decodeSignature,
  ecdsaToDer,
  encodeSignature,
  type TpmtSignature,
} from './tpmt-signature.js';

const bytes = (max: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ maxLength: max }).map((value) => new Uint8Array(value));
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

const symmetric: fc.Arbitrary<SymmetricDefinition | null> = fc.option(
  fc.record({ algorithm: fc.constant(0x0006), keyBits: u16, mode: u16 }),
);
const scheme: fc.Arbitrary<Scheme | null> = fc.option(
  fc.oneof(
    fc.record({ scheme: fc.constantFrom(0x14, 0x16, 0x18), hashAlgorithm: u16 }),
    fc.constant({ scheme: 0x15 }),
  ),
);
const common = {
  nameAlgorithm: u16,
  objectAttributes: u32,
  authPolicy: bytes(64),
  symmetric,
  scheme,
};
const publicArea: fc.Arbitrary<TpmtPublic> = fc.oneof(
  fc.record({
    type: fc.constant('ecc' as const),
    ...common,
    curve: u16,
    kdf: scheme,
    x: bytes(66),
    y: bytes(66),
  }),
  fc.record({
    type: fc.constant('rsa' as const),
    ...common,
    keyBits: u16,
    exponent: u32,
    modulus: bytes(512),
  }),
);
const signature: fc.Arbitrary<TpmtSignature> = fc.oneof(
  fc.record({
    type: fc.constant('ecdsa' as const),
    hashAlgorithm: u16,
    r: bytes(66),
    s: bytes(66),
  }),
  fc.record({
    type: fc.constantFrom('rsassa' as const, 'rsapss' as const),
    hashAlgorithm: u16,
    signature: bytes(512),
  }),
);
const selections: fc.Arbitrary<PcrSelection[]> = fc.array(
  fc.record({
    hashAlgorithm: u16,
    indices: fc
      .uniqueArray(fc.integer({ min: 0, max: 31 }))
      .map((list) => list.sort((a, b) => a - b)),
  }),
  { maxLength: 16 },
);
const nvPublic: fc.Arbitrary<NvPublic> = fc.record({
  nvIndex: u32,
  nameAlgorithm: u16,
  attributes: u32,
  authPolicy: bytes(64),
  dataSize: u16,
});
const attest: fc.Arbitrary<TpmsAttest> = fc.record({
  qualifiedSigner: bytes(66),
  extraData: bytes(66),
  clockInfo: fc.record({ clock: u64, resetCount: u32, restartCount: u32, safe: fc.boolean() }),
  firmwareVersion: u64,
  attested: fc.oneof(
    fc.record({
      type: fc.constant('quote' as const),
      pcrSelections: selections,
      pcrDigest: bytes(64),
    }),
    fc.record({ type: fc.constant('certify' as const), name: bytes(66), qualifiedName: bytes(66) }),
  ),
});

interface Codec<T> {
  readonly value: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => T;
}
function codec<T>(
  value: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
): Codec<unknown> {
  return { value, encode, decode } as Codec<unknown>;
}
const CODECS: readonly (readonly [string, Codec<unknown>])[] = [
  [
    'TPMT_PUBLIC',
    codec(publicArea, encodePublic, (raw) => readStructure(raw, 'TPMT_PUBLIC', readPublic)),
  ],
  ['TPMT_SIGNATURE', codec(signature, encodeSignature, decodeSignature)],
  [
    'TPML_PCR_SELECTION',
    codec(
      selections,
      (value) => written((writer) => writePcrSelections(writer, value)),
      (raw) => readStructure(raw, 'TPML_PCR_SELECTION', readPcrSelections),
    ),
  ],
  [
    'TPMS_NV_PUBLIC',
    codec(nvPublic, encodeNvPublic, (raw) => readStructure(raw, 'TPMS_NV_PUBLIC', readNvPublic)),
  ],
  ['TPMS_ATTEST', codec(attest, encodeAttest, decodeAttest)],
];

describe.each(CODECS)('%s', (_, { value, encode, decode }) => {
  it('decodes what it encodes', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(decode(encode(one))).toEqual(one);
      }),
    );
  });
  it('refuses every truncation and anything that follows', () => {
    fc.assert(
      fc.property(value, (one) => {
        const whole = encode(one);
        for (let length = 0; length < whole.length; length++)
          expect(() => decode(whole.subarray(0, length))).toThrow(ToolError);
        expect(() => decode(new Uint8Array([...whole, 0]))).toThrow(ToolError);
      }),
      { numRuns: 20 },
    );
  });
  it('throws nothing but a ToolError for any bytes', () => {
    fc.assert(
      fc.property(
        value,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (one, edits) => {
          const raw = encode(one);
          for (const [at, byte] of edits) if (raw.length > 0) raw[at % raw.length] = byte;
          onlyToolErrors(() => decode(raw));
        },
      ),
    );
    fc.assert(fc.property(bytes(300), (raw) => onlyToolErrors(() => decode(raw))));
  });
});

function onlyToolErrors(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    expect(error.code).toBe('tpm.structure-invalid');
  }
}

describe('known bytes', () => {
  it('of the attestation key template', () => {
    expect(encodeHex(encodePublic(AK_TEMPLATE))).toBe(
      '0023000b00050072000000100018000b0003001000000000',
    );
  });
  it('of the default endorsement key template', () => {
    expect(encodeHex(encodePublic(RSA_EK_TEMPLATE))).toBe(
      `0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa000600800043001008000000000001 00${'00'.repeat(256)}`.replace(
        ' ',
        '',
      ),
    );
  });
  it('of a PCR selection: bit i of byte i/8', () => {
    const selection = [{ hashAlgorithm: 0x000c, indices: [0, 9, 23] }];
    expect(encodeHex(written((writer) => writePcrSelections(writer, selection)))).toBe(
      '00000001000c03010280',
    );
  });
  it('of a command with a password session', () => {
    const auth = {
      sessionHandle: 0x40000009,
      nonce: new Uint8Array(0),
      attributes: 1,
      hmac: new Uint8Array([7]),
    };
    expect(encodeHex(encodeCommand(0x13d, [16], [auth], new Uint8Array(0)))).toBe(
      '80020000001c0000013d000000100000000a400000090000010001 07'.replace(' ', ''),
    );
  });
});

describe('ECDSA signatures', () => {
  it.each([
    ['00', '00', '3006020100020100'],
    ['0001', '7f', '300602010102017f'],
    ['80', 'ff00', '300902020080020300ff00'],
  ])('%s, %s become minimal DER', (r, s, der) => {
    const value = {
      type: 'ecdsa',
      hashAlgorithm: 0xb,
      r: Buffer.from(r, 'hex'),
      s: Buffer.from(s, 'hex'),
    } as const;
    expect(encodeHex(ecdsaToDer(value))).toBe(der);
  });
});

describe('decodeResponse', () => {
  const none = { hasHandle: false, authCount: 0 };
  const one = { hasHandle: true, authCount: 1 };
  it.each<[string, string, typeof none]>([
    ['nothing', '', none],
    ['half a header', '80010000000a', none],
    ['a wrong size', '80010000000b00000000', none],
    ['an unknown tag', '80030000000a00000000', none],
    ['sessions that were not asked for', '80020000000a00000000', none],
    ['no sessions although there was one', '80010000000e0000000080000000', one],
    ['parameters beyond the end', '8002000000160000000080000000000000ff0000010000', one],
    ['a session too few', '8002000000120000000080000000 00000000'.replace(' ', ''), one],
    [
      'a session too many',
      '80020000001c0000000080000000000000000000010000 0000010000'.replace(' ', ''),
      one,
    ],
    ['an error with a session tag', '80020000000a00000101', none],
    ['an error that goes on', '80010000000b0000010100', none],
  ])('refuses %s', (_, hex, shape) => {
    expect(() => decodeResponse(Buffer.from(hex, 'hex'), shape)).toThrow(
      expect.objectContaining({ code: 'tpm.response-malformed' }),
    );
  });
  it('takes a response apart', () => {
    const raw = Buffer.from(
      '8002000000150000000080000001000000 02aabb0000010000'.replace(' ', ''),
      'hex',
    );
    raw.writeUInt32BE(raw.length, 2);
    const response = decodeResponse(raw, one);
    expect(response.handle).toBe(0x80000001);
    expect(encodeHex(response.parameters)).toBe('aabb');
    expect(response.auths).toEqual([
      { nonce: Buffer.alloc(0), attributes: 1, hmac: Buffer.alloc(0) },
    ]);
  });
  it('never throws anything else', () => {
    fc.assert(
      fc.property(bytes(60), fc.boolean(), fc.nat(3), (raw, hasHandle, authCount) => {
        try {
          decodeResponse(raw, { hasHandle, authCount });
        } catch (error) {
          expect(error).toMatchObject({ code: 'tpm.response-malformed' });
        }
      }),
    );
  });
});

it('keeps errors of the program itself', () => {
  expect(() =>
    readStructure(new Uint8Array(1), 'x', (reader: ByteReader) => {
      reader.u8('one');
      throw new TypeError('mine');
    }),
  ).toThrow(TypeError);
});
