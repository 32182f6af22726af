import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addExtensions,
  algorithm,
  type CertificateChange,
  type CertificateParts,
  der,
  ecKeyInfo,
  editExtension,
  extension,
  generateKeys,
  MODULE_ID,
  mintPki,
  OID,
  ORDER,
  oid,
  publicPoint,
  rawToDer,
  remintCertificate,
  timeOf,
  toBytes,
  withTrailing,
} from '../../test-vectors/mint/index.js';
import { concatBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import type { Code } from '../result/codes.js';
import { expectCode, prefixes, valueOrCode } from '../test-support/rejection.js';
import { parseCertificate } from './certificate.js';
import { equalNames } from './name.js';

const { hex, sequence, tlv, integerOf, octetString, bitString, contentsOf, children, retag } = der;

const now = new Date('2026-03-01T12:00:00Z');
const pki = await mintPki({ now });
const path = await pki.issuePath(MODULE_ID.nitrotpm, now.getTime());
const all = [...path.authorities.map((a) => a.der), path.leaf.der];
const [root, regional, , instance, leaf] = all as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const parse = (bytes: Uint8Array) => parseCertificate(bytes, 'certificate');

/** The leaf (or another certificate) with one change, signed again. */
const remint = (change: CertificateChange, from: Uint8Array = leaf): Promise<Uint8Array> =>
  remintCertificate(from, path.leaf.keys.privateKey, change);

describe('parseCertificate, against node:crypto', () => {
  it.each(all.map((bytes, index) => [index, bytes] as const))('certificate %i', (_index, bytes) => {
    const ours = parse(bytes);
    const oracle = new X509Certificate(bytes);
    expect(ours.serialHex.toUpperCase().replace(/^00/, '')).toBe(
      oracle.serialNumber.replace(/^00/, ''),
    );
    expect(ours.notBeforeMs).toBe(Date.parse(oracle.validFrom));
    expect(ours.notAfterMs).toBe(Date.parse(oracle.validTo));
    const lines = (text: string): string[] => text.split(/\n|, /).sort();
    expect(lines(ours.subject.text)).toEqual(lines(oracle.subject));
    expect(lines(ours.issuer.text)).toEqual(lines(oracle.issuer));
    expect(ours.extensions.basicConstraints?.ca).toBe(oracle.ca);
    const jwk = oracle.publicKey.export({ format: 'jwk' });
    const coordinates = Buffer.concat([
      Buffer.from(jwk.x as string, 'base64url'),
      Buffer.from(jwk.y as string, 'base64url'),
    ]);
    expect(encodeHex(ours.publicKey)).toBe(`04${coordinates.toString('hex')}`);
    expect(encodeHex(ours.der)).toBe(encodeHex(bytes));
    expect(ours.extensions.unknownCritical).toEqual([]);
  });

  it('gives the bytes that were signed, and the signature over them', async () => {
    for (const [index, bytes] of all.entries()) {
      const { tbs, signature } = parse(bytes);
      const issuer = parse(all[Math.max(0, index - 1)] as Uint8Array);
      const key = await crypto.subtle.importKey(
        'raw',
        issuer.publicKey.slice(),
        { name: 'ECDSA', namedCurve: 'P-384' },
        false,
        ['verify'],
      );
      const valid = await crypto.subtle.verify(
        { name: 'ECDSA', hash: 'SHA-384' },
        key,
        signature.slice(),
        tbs.slice(),
      );
      expect(valid, `certificate ${index}`).toBe(true);
    }
  });

  it('reads CA rules: path lengths, key usage and key identifiers', () => {
    const authorities = all.slice(0, 4).map((bytes) => parse(bytes).extensions);
    expect(authorities.map((a) => a.basicConstraints?.pathLength)).toEqual([undefined, 2, 1, 0]);
    expect(authorities.map((a) => a.basicConstraints?.critical)).toEqual([true, true, true, true]);
    for (const { keyUsage } of authorities) expect(keyUsage).toBe(0x86);
    for (let i = 1; i < 4; i++)
      expect(authorities[i]?.authorityKeyId).toEqual(authorities[i - 1]?.subjectKeyId);
    expect(parse(leaf).extensions.keyUsage).toBe(0xc0);
  });
});

type Row = readonly [string, CertificateChange, Code];
const parts = (change: (p: CertificateParts) => Partial<CertificateParts>): CertificateChange => ({
  parts: change,
});
const malformed = (name: string, change: CertificateChange): Row => [
  name,
  change,
  'x509.malformed',
];
const inExtension = (id: string, value: string): CertificateChange =>
  parts(editExtension(id, () => extension(id, hex(value), true)));
const added = (...more: Uint8Array[]): CertificateChange => parts(addExtensions(...more));
const NULL = hex('0500');
const P384_KEY = await publicPoint(path.leaf.keys);
const P256_KEY = await publicPoint(await generateKeys('P-256'));
const P = 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n;
const withKey = (point: Uint8Array): CertificateChange =>
  parts(() => ({ subjectPublicKeyInfo: ecKeyInfo(point) }));
/** A point with x + p in place of x: the same residue, longer than the field. */
const overField = ((): Uint8Array => {
  // x = 0 has a y on P-384 or not; b is a square modulo p when it has.
  const b =
    0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    let square = base % P;
    for (let e = exponent; e > 0n; e >>= 1n) {
      if (e & 1n) result = (result * square) % P;
      square = (square * square) % P;
    }
    return result;
  };
  for (let x = 0n; ; x++) {
    const right = (x * x * x - 3n * x + b + 3n * P) % P;
    const y = power(right, (P + 1n) / 4n);
    if ((y * y) % P === right)
      return concatBytes(Uint8Array.of(4), toBytes(x + P, 48), toBytes(y, 48));
  }
})();

const ROWS: readonly Row[] = [
  malformed('NULL behind the certificate', { certificate: (c) => concatBytes(c, NULL) }),
  malformed('a zero byte behind the certificate', {
    certificate: (c) => concatBytes(c, hex('00')),
  }),
  malformed('a fourth field of Certificate', { certificate: (c) => withTrailing(c, NULL) }),
  malformed('trailing field of TBSCertificate', { tbs: (t) => withTrailing(t, NULL) }),
  malformed(
    'version 1',
    parts(() => ({ version: hex('') })),
  ),
  malformed(
    'version 2',
    parts(() => ({ version: hex('a003020101') })),
  ),
  malformed(
    'version 4',
    parts(() => ({ version: hex('a003020103') })),
  ),
  malformed(
    'trailing field of version',
    parts(() => ({ version: hex('a0050201020500') })),
  ),
  malformed(
    'padded version',
    parts(() => ({ version: hex('a00402020002') })),
  ),
  malformed(
    'negative serial number',
    parts(() => ({ serialNumber: integerOf(hex('80')) })),
  ),
  malformed(
    'padded serial number',
    parts(() => ({ serialNumber: integerOf(hex('0001')) })),
  ),
  malformed(
    'serial number without contents',
    parts(() => ({ serialNumber: hex('0200') })),
  ),
  malformed(
    'serial number of 21 bytes',
    parts(() => ({ serialNumber: integerOf(hex('7f'.repeat(21))) })),
  ),
  malformed(
    'serial number of 21 bytes and a sign byte',
    parts(() => ({ serialNumber: integerOf(hex(`00${'ff'.repeat(21)}`)) })),
  ),
  malformed(
    'serial number as ENUMERATED',
    parts((p) => ({ serialNumber: retag(p.serialNumber, 10) })),
  ),
  malformed(
    'empty issuer',
    parts(() => ({ issuer: sequence() })),
  ),
  malformed(
    'empty subject',
    parts(() => ({ subject: sequence() })),
  ),
  malformed(
    'name with an empty SET',
    parts(() => ({ subject: sequence(tlv(0x31, hex(''))) })),
  ),
  malformed(
    'name with SEQUENCE instead of SET',
    parts(() => ({ subject: sequence(sequence(sequence(oid('550403'), hex('0c0161')))) })),
  ),
  malformed(
    'name attribute of three fields',
    parts(() => ({
      subject: sequence(tlv(0x31, sequence(oid('550403'), hex('0c0161'), hex('0c0162')))),
    })),
  ),
  malformed(
    'name attribute without value',
    parts(() => ({ subject: sequence(tlv(0x31, sequence(oid('550403')))) })),
  ),
  malformed(
    'third time in validity',
    parts((p) => ({ validity: withTrailing(p.validity, timeOf(0x17, '300101000000Z')) })),
  ),
  malformed(
    'notAfter before notBefore',
    parts(() => ({
      validity: sequence(timeOf(0x17, '260301120001Z'), timeOf(0x17, '260301120000Z')),
    })),
  ),
  malformed(
    '30 February',
    parts((p) => ({
      validity: sequence(children(p.validity)[0] as Uint8Array, timeOf(0x17, '270230000000Z')),
    })),
  ),
  malformed(
    'GeneralizedTime before 2050',
    parts((p) => ({
      validity: sequence(children(p.validity)[0] as Uint8Array, timeOf(0x18, '20270201000000Z')),
    })),
  ),
  malformed(
    'issuerUniqueID',
    parts((p) => ({
      subjectPublicKeyInfo: concatBytes(p.subjectPublicKeyInfo, hex('81020001')),
    })),
  ),
  malformed(
    'subjectUniqueID',
    parts((p) => ({
      subjectPublicKeyInfo: concatBytes(p.subjectPublicKeyInfo, hex('82020001')),
    })),
  ),
  malformed(
    'no extensions',
    parts(() => ({ extensions: [] })),
  ),
  malformed('empty list of extensions', {
    tbs: (t) => sequence(...children(t).slice(0, 7), tlv(0xa3, sequence())),
  }),
  malformed('two lists of extensions', {
    tbs: (t) =>
      sequence(
        ...children(t).slice(0, 7),
        tlv(0xa3, concatBytes(contentsOf(children(t)[7] as Uint8Array), sequence())),
      ),
  }),
  malformed(
    'extension with critical FALSE',
    added(sequence(oid(OID.unknown), hex('010100'), octetString(NULL))),
  ),
  malformed(
    'extension with critical 01',
    added(sequence(oid(OID.unknown), hex('010101'), octetString(NULL))),
  ),
  malformed(
    'extension with critical 00 twice',
    added(sequence(oid(OID.unknown), hex('0101ff'), hex('0101ff'), octetString(NULL))),
  ),
  malformed(
    'extension with a fourth field',
    added(sequence(oid(OID.unknown), octetString(NULL), NULL)),
  ),
  malformed('extension without value', added(sequence(oid(OID.unknown)))),
  malformed(
    'extension with a BIT STRING as value',
    added(sequence(oid(OID.unknown), bitString(NULL))),
  ),
  malformed('basicConstraints: cA FALSE written', inExtension(OID.basicConstraints, '3003010100')),
  malformed('basicConstraints: cA 01', inExtension(OID.basicConstraints, '3003010101')),
  malformed('basicConstraints: trailing field', inExtension(OID.basicConstraints, '30030500')),
  malformed('basicConstraints: trailing byte', inExtension(OID.basicConstraints, '300000')),
  malformed(
    'basicConstraints: fields in the other order',
    inExtension(OID.basicConstraints, '30060201000101ff'),
  ),
  malformed(
    'basicConstraints: pathLen negative',
    inExtension(OID.basicConstraints, '30060101ff0201ff'),
  ),
  malformed(
    'basicConstraints: pathLen without contents',
    inExtension(OID.basicConstraints, '30050101ff0200'),
  ),
  malformed(
    'basicConstraints: pathLen padded',
    inExtension(OID.basicConstraints, '30070101ff02020001'),
  ),
  malformed(
    'basicConstraints: pathLen 256',
    inExtension(OID.basicConstraints, '30070101ff02020100'),
  ),
  malformed(
    'basicConstraints: pathLen of 9 bytes',
    inExtension(OID.basicConstraints, `300e0101ff0209${'7f'.repeat(9)}`),
  ),
  malformed('basicConstraints: a SET', inExtension(OID.basicConstraints, '3100')),
  malformed('basicConstraints: nothing', inExtension(OID.basicConstraints, '')),
  malformed('keyUsage: no bits', inExtension(OID.keyUsage, '030100')),
  malformed('keyUsage: all bits zero', inExtension(OID.keyUsage, '03020700')),
  malformed('keyUsage: wrong unused bits', inExtension(OID.keyUsage, '03020680')),
  malformed('keyUsage: dirty unused bits', inExtension(OID.keyUsage, '03020785')),
  malformed('keyUsage: trailing zero byte', inExtension(OID.keyUsage, '0303008000')),
  malformed('keyUsage: trailing element', inExtension(OID.keyUsage, '030207800500')),
  malformed('keyUsage: OCTET STRING', inExtension(OID.keyUsage, '04020780')),
  malformed(
    'subjectKeyIdentifier: not an OCTET STRING',
    added(extension(OID.subjectKeyIdentifier, NULL)),
  ),
  malformed(
    'subjectKeyIdentifier: trailing byte',
    added(extension(OID.subjectKeyIdentifier, hex('0401aa00'))),
  ),
  malformed(
    'authorityKeyIdentifier: not a SEQUENCE',
    added(extension(OID.authorityKeyIdentifier, octetString(NULL))),
  ),
  malformed(
    'authorityKeyIdentifier: unknown field',
    added(extension(OID.authorityKeyIdentifier, sequence(hex('8301aa')))),
  ),
  malformed(
    'authorityKeyIdentifier: keyIdentifier twice',
    added(extension(OID.authorityKeyIdentifier, sequence(hex('8001aa'), hex('8001aa')))),
  ),
  malformed('signature of zero r', { signature: () => sequence(hex('020100'), hex('020101')) }),
  malformed('signature of negative s', { signature: () => sequence(hex('020101'), hex('020180')) }),
  malformed('signature with a third number', { signature: (s) => withTrailing(s, hex('020101')) }),
  malformed('signature followed by a byte', { signature: (s) => concatBytes(s, hex('00')) }),
  malformed('signature with unused bits', {
    signatureValue: (v) => bitString(contentsOf(v).subarray(1), 1),
  }),
  malformed('empty signature', { signatureValue: () => hex('0300') }),
  malformed('signature algorithm with NULL', {
    parts: () => ({ signature: algorithm(OID.ecdsaWithSha384, NULL) }),
    outerAlgorithm: algorithm(OID.ecdsaWithSha384, NULL),
  }),
  malformed(
    'key with a third algorithm field',
    parts(() => ({
      subjectPublicKeyInfo: sequence(
        algorithm(OID.ecPublicKey, oid(OID.secp384r1), NULL),
        bitString(P384_KEY),
      ),
    })),
  ),
  malformed(
    'key with a trailing field',
    parts((p) => ({
      subjectPublicKeyInfo: withTrailing(p.subjectPublicKeyInfo, NULL),
    })),
  ),
  malformed(
    'key without named curve',
    parts(() => ({
      subjectPublicKeyInfo: sequence(algorithm(OID.ecPublicKey), bitString(P384_KEY)),
    })),
  ),
  malformed(
    'key with unused bits',
    parts(() => ({
      subjectPublicKeyInfo: sequence(
        algorithm(OID.ecPublicKey, oid(OID.secp384r1)),
        bitString(P384_KEY, 3),
      ),
    })),
  ),
  [
    'extension twice',
    added(extension(OID.unknown, NULL), extension(OID.unknown, NULL)),
    'x509.extension-duplicate',
  ],
  [
    'keyUsage twice',
    parts((p) => ({ extensions: [...p.extensions, ...p.extensions] })),
    'x509.extension-duplicate',
  ],
  [
    'outer algorithm differs',
    { outerAlgorithm: algorithm(OID.ecdsaWithSha256) },
    'x509.algorithm-mismatch',
  ],
  [
    'inner algorithm differs',
    parts(() => ({ signature: algorithm(OID.ecdsaWithSha256) })),
    'x509.algorithm-mismatch',
  ],
  [
    'outer algorithm has NULL',
    { outerAlgorithm: algorithm(OID.ecdsaWithSha384, NULL) },
    'x509.algorithm-mismatch',
  ],
  [
    'both algorithms SHA-256',
    {
      parts: () => ({ signature: algorithm(OID.ecdsaWithSha256) }),
      outerAlgorithm: algorithm(OID.ecdsaWithSha256),
    },
    'x509.algorithm-unsupported',
  ],
  [
    'RSA key',
    parts(() => ({
      subjectPublicKeyInfo: sequence(algorithm(OID.rsaEncryption, NULL), bitString(P384_KEY)),
    })),
    'x509.algorithm-unsupported',
  ],
  [
    'P-256 key',
    parts(() => ({ subjectPublicKeyInfo: ecKeyInfo(P256_KEY, OID.prime256v1) })),
    'x509.algorithm-unsupported',
  ],
  ['P-256 point as P-384', withKey(P256_KEY), 'x509.public-key-invalid'],
  [
    'compressed point',
    withKey(concatBytes(Uint8Array.of(2), P384_KEY.subarray(1, 49))),
    'x509.public-key-invalid',
  ],
  [
    'hybrid point',
    withKey(concatBytes(Uint8Array.of(6), P384_KEY.subarray(1))),
    'x509.public-key-invalid',
  ],
  ['infinity', withKey(Uint8Array.of(0)), 'x509.public-key-invalid'],
  ['empty point', withKey(new Uint8Array(0)), 'x509.public-key-invalid'],
  ['truncated point', withKey(P384_KEY.subarray(0, 96)), 'x509.public-key-invalid'],
  ['oversized point', withKey(concatBytes(P384_KEY, hex('00'))), 'x509.public-key-invalid'],
  [
    'point of zeros',
    withKey(concatBytes(Uint8Array.of(4), new Uint8Array(96))),
    'x509.public-key-invalid',
  ],
  [
    'point off the curve',
    withKey(P384_KEY.map((b, i) => (i === 96 ? b ^ 1 : b))),
    'x509.public-key-invalid',
  ],
  ['coordinate over the field', withKey(overField), 'x509.public-key-invalid'],
];

describe('malformed certificates', () => {
  it.each(ROWS)('%s', async (_name, change, code) => {
    const bytes = await remint(change);
    const error = expectCode(() => parse(bytes), code);
    expect(error.expected).toMatch(/certificate|issuer|subject/);
  });

  it.each([
    ['leaf', leaf],
    ['instance CA', instance],
  ])('%s, cut at every byte', (_name, bytes) => {
    for (const cut of prefixes(bytes)) expectCode(() => parse(cut), 'x509.malformed');
  });

  it('every single-byte mutation gives our error, or a certificate that says something else', () => {
    const good = JSON.stringify(parse(leaf));
    let refused = 0;
    for (let at = 0; at < leaf.length; at++)
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = leaf.slice();
        changed[at] = (changed[at] as number) ^ flip;
        let parsed: unknown;
        try {
          parsed = parse(changed);
        } catch (error) {
          expect(error, `byte ${at}`).toBeInstanceOf(AttestationError);
          refused++;
          continue;
        }
        expect(JSON.stringify(parsed), `byte ${at}`).not.toBe(good);
      }
    expect(refused).toBeGreaterThan(leaf.length / 2);
  });

  it('random bytes and spliced certificates never throw anything but our error', () => {
    fc.assert(
      fc.property(
        fc.nat(leaf.length),
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(60),
        (at, bytes, dropped) => {
          const spliced = concatBytes(leaf.subarray(0, at), bytes, leaf.subarray(at + dropped));
          valueOrCode(() => parse(spliced));
          valueOrCode(() => parse(bytes));
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('33 extensions are refused, 32 are not too many', async () => {
    const have = der.children(
      der.contentsOf(der.children(der.children(leaf)[0] as Uint8Array)[7] as Uint8Array),
    ).length;
    const more = (count: number) =>
      added(
        ...Array.from({ length: count - have }, (_, i) =>
          extension(`88370${(i >> 4).toString(16)}0${(i & 15).toString(16)}`, NULL),
        ),
      );
    expect(parse(await remint(more(32))).extensions.keyUsage).toBe(0xc0);
    const many = await remint(more(33));
    expectCode(() => parse(many), 'x509.malformed');
  });
});

describe('certificates that are odd but fine', () => {
  it.each<readonly [string, CertificateChange, (bytes: Uint8Array) => void]>([
    [
      'serial number of 20 bytes with a sign byte',
      parts(() => ({ serialNumber: integerOf(hex(`00${'ff'.repeat(20)}`)) })),
      (bytes) => expect(parse(bytes).serialHex).toBe(`00${'ff'.repeat(20)}`),
    ],
    [
      'unknown extension, not critical',
      added(extension(OID.unknown, hex('deadbeef'))),
      (bytes) => expect(parse(bytes).extensions.unknownCritical).toEqual([]),
    ],
    [
      'unknown extension, critical: for the path to refuse',
      added(extension(OID.unknown, NULL, true)),
      (bytes) => expect(parse(bytes).extensions.unknownCritical).toEqual([OID.unknown]),
    ],
    [
      'basicConstraints empty',
      inExtension(OID.basicConstraints, '3000'),
      (bytes) =>
        expect(parse(bytes).extensions.basicConstraints).toEqual({
          critical: true,
          ca: false,
          pathLength: undefined,
        }),
    ],
    [
      'pathLen 255',
      inExtension(OID.basicConstraints, '30070101ff020200ff'),
      (bytes) => expect(parse(bytes).extensions.basicConstraints?.pathLength).toBe(255),
    ],
    [
      'keyUsage of two bytes',
      inExtension(OID.keyUsage, '0303070080'),
      (bytes) => expect(parse(bytes).extensions.keyUsage).toBe(0),
    ],
    [
      'authorityKeyIdentifier without keyIdentifier',
      added(extension(OID.authorityKeyIdentifier, sequence())),
      (bytes) => expect(parse(bytes).extensions.authorityKeyId).toBeUndefined(),
    ],
    [
      'notBefore equals notAfter',
      parts(() => ({
        validity: sequence(timeOf(0x17, '260301120000Z'), timeOf(0x17, '260301120000Z')),
      })),
      (bytes) => expect(parse(bytes).notAfterMs).toBe(now.getTime()),
    ],
    [
      'notAfter in 2050',
      parts((p) => ({
        validity: sequence(children(p.validity)[0] as Uint8Array, timeOf(0x18, '20500101000000Z')),
      })),
      (bytes) => expect(parse(bytes).notAfterMs).toBe(Date.UTC(2050, 0, 1)),
    ],
    [
      'r of n: for the provider to refuse',
      { signature: () => rawToDer(concatBytes(toBytes(ORDER['P-384'], 48), toBytes(1n, 48))) },
      (bytes) => expect(parse(bytes).signature.length).toBe(96),
    ],
    [
      'a short r',
      { signature: () => sequence(hex('02017f'), hex('020101')) },
      (bytes) =>
        expect(encodeHex(parse(bytes).signature.subarray(0, 48))).toBe(`${'00'.repeat(47)}7f`),
    ],
  ])('%s', async (_name, change, check) => {
    check(await remint(change));
  });
});

describe('names', () => {
  const subjectOf = async (...sets: Uint8Array[]) =>
    parse(await remint(parts(() => ({ subject: sequence(...sets) })))).subject;
  const set = (...items: [string, string][]): Uint8Array =>
    tlv(0x31, concatBytes(...items.map(([id, value]) => sequence(oid(id), hex(value)))));

  it('shows known attributes by name, unknown ones by OID, odd values as hex', async () => {
    const name = await subjectOf(
      set(['550403', '0c0161'], ['55040b', '1301 62']),
      set(['2a0304', '0c0163']),
      set(['55040a', '0c020d0a']),
      set(['550406', '0c00']),
    );
    expect(name.text).toBe('CN=a, OU=b, 2a0304=c, O=#0d0a, C=');
  });

  it('never prints control characters or other alphabets', async () => {
    for (const value of ['0c011b', '0c0200ff', '1e0200 61', '0c03e280ae', '0c017f'])
      expect((await subjectOf(set(['550403', value]))).text).toMatch(/^CN=#[0-9a-f]+$/);
  });

  it('compares bytes: another string type, case or order is another name', async () => {
    const names = [
      await subjectOf(set(['550403', '0c0161'])),
      await subjectOf(set(['550403', '130161'])),
      await subjectOf(set(['550403', '0c0141'])),
      await subjectOf(set(['550403', '0c0161']), set(['55040a', '0c0162'])),
      await subjectOf(set(['55040a', '0c0162']), set(['550403', '0c0161'])),
    ];
    for (const [i, a] of names.entries())
      for (const [j, b] of names.entries()) expect(equalNames(a, b)).toBe(i === j);
    expect(equalNames(parse(root).subject, parse(regional).issuer)).toBe(true);
  });
});
