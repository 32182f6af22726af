import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type CurveNumbers, fromBytes, P256, P384, toBytes } from './test-support/curves.js';
import { wasm } from './test-support/shipped.js';

const FOLDER = fileURLToPath(new URL('../../shared/vectors/wycheproof/', import.meta.url));
const FILES: [string, CurveNumbers, number][] = [
  ['ecdsa_secp256r1_sha256_p1363_test.json', P256, 262],
  ['ecdsa_secp256r1_sha256_test.json', P256, 484],
  ['ecdsa_secp384r1_sha384_p1363_test.json', P384, 280],
  ['ecdsa_secp384r1_sha384_test.json', P384, 504],
];

interface File {
  readonly schema: string;
  readonly testGroups: readonly {
    readonly publicKey: { readonly uncompressed: string };
    readonly sha: string;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly msg: string;
      readonly sig: string;
      readonly result: 'valid' | 'invalid' | 'acceptable';
    }[];
  }[];
}

const hex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'hex'));

/** ECDSA-Sig-Value (RFC 3279, 2.2.3) in strict DER to r || s; undefined for anything else. */
function signatureFromDer(der: Uint8Array, size: number): Uint8Array<ArrayBuffer> | undefined {
  let at = 0;
  /** The contents' length after a tag and a definite length in its shortest form. */
  const header = (tag: number): number | undefined => {
    if (der[at++] !== tag) return undefined;
    let length = der[at++];
    if (length === 0x81) {
      length = der[at++];
      if (length !== undefined && length < 128) return undefined;
    } else if (length !== undefined && length > 127) return undefined;
    return length === undefined || at + length > der.length ? undefined : length;
  };
  const integer = (): bigint | undefined => {
    const length = header(0x02);
    if (!length) return undefined;
    const contents = der.subarray(at, at + length);
    at += length;
    const [first = 0, second = 128] = contents;
    if (first > 127 || (first === 0 && second < 128 && length > 1)) return undefined;
    return fromBytes(contents);
  };
  const all = header(0x30);
  if (all === undefined || at + all !== der.length) return undefined;
  const [r, s] = [integer(), integer()];
  if (r === undefined || s === undefined || at !== der.length) return undefined;
  // Too large for the fixed form: also too large for n.
  if (r >> BigInt(8 * size) || s >> BigInt(8 * size)) return undefined;
  return Uint8Array.from([...toBytes(r, size), ...toBytes(s, size)]);
}

describe('Wycheproof', () => {
  const missing = !existsSync(FOLDER);
  if (missing) {
    console.warn(`SKIPPED: the Wycheproof vectors are not at ${FOLDER}`);
    it.runIf(process.env.CI)('has its vectors', () => expect.fail(`no vectors at ${FOLDER}`));
  }
  it.skipIf(missing).each(FILES)('%s', (name, curve, count) => {
    const file = JSON.parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as File;
    const isFixed = file.schema === 'ecdsa_p1363_verify_schema_v1.json';
    expect(isFixed).toBe(name.includes('p1363'));
    const { sync } = wasm();
    let run = 0;
    for (const group of file.testGroups) {
      expect(group.sha).toBe(curve.hash === 'sha256' ? 'SHA-256' : 'SHA-384');
      const publicKey = hex(group.publicKey.uncompressed);
      for (const test of group.tests) {
        const given = hex(test.sig);
        const signature = isFixed ? given : signatureFromDer(given, curve.bytes);
        const verdict =
          signature !== undefined &&
          sync.verify(curve.algorithm, publicKey, hex(test.msg), signature);
        expect(verdict, `${test.tcId}: ${test.comment}`).toBe(test.result === 'valid');
        run++;
      }
    }
    expect(run).toBe(count);
  });
});
