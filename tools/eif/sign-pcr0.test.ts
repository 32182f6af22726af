import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { Encoder } from 'cbor-x';
import { AttestationError } from 'tee-verify';
import {
  checkEifSignature,
  parseEifSignature,
  readSigningCertificate,
  signingCertificatePcr,
} from 'tee-verify/measure';
import { beforeAll, describe, expect, it } from 'vitest';
import { createEifSigner } from './sign-pcr0.js';
import { makeSigningKey, type SigningKey } from './testing/make-signing-key.js';

const PCR0 = Uint8Array.from({ length: 48 }, (_, i) => i * 5);
const cbor = new Encoder({ mapsAsObjects: true, useRecords: false, tagUint8Array: false });
let key: SigningKey;

beforeAll(async () => {
  key = await makeSigningKey();
});

/** The parts of a section, taken apart by another CBOR decoder. */
function takeApart(section: Uint8Array): { certificate: number[]; envelope: Uint8Array[] } {
  const [entry] = cbor.decode(section) as [{ signing_certificate: number[]; signature: number[] }];
  const envelope = cbor.decode(Uint8Array.from(entry.signature)) as Uint8Array[];
  return { certificate: entry.signing_certificate, envelope };
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('createEifSigner', () => {
  it.each([
    ['P-256', 'ES256', 'a10126', 'sha256'],
    ['P-384', 'ES384', 'a1013822', 'sha384'],
    ['P-521', 'ES512', 'a1013823', 'sha512'],
  ])('%s signs with %s, as node:crypto verifies', async (curve, algorithm, header, hash) => {
    const { privateKey, certificate } = await makeSigningKey(curve);
    const signer = createEifSigner(privateKey, certificate);
    expect(signer.algorithm).toBe(algorithm);
    const section = signer.sign(PCR0);
    // RFC 6979: the same image signed twice is the same file.
    expect(signer.sign(PCR0)).toEqual(section);
    const { certificate: pem, envelope } = takeApart(section);
    expect(Buffer.from(pem).toString()).toBe(certificate);
    const [protectedBytes, , payload, signature] = envelope as [
      ...[Uint8Array, unknown, Uint8Array, Uint8Array],
    ];
    expect(Buffer.from(protectedBytes).toString('hex')).toBe(header);
    expect(cbor.decode(payload)).toEqual({ register_index: 0, register_value: [...PCR0] });
    const message = cbor.encode(['Signature1', protectedBytes, new Uint8Array(), payload]);
    const usable = { key: certificate, dsaEncoding: 'ieee-p1363' as const };
    expect(verify(hash, message, usable, signature)).toBe(true);
  });

  it('writes a section as the specification draws it', () => {
    const section = Buffer.from(createEifSigner(key.privateKey, key.certificate).sign(PCR0));
    const name = (text: string): string =>
      (0x60 + text.length).toString(16) + Buffer.from(text).toString('hex');
    // Array of 1, map of 2; an array of integers as long as the PEM text, "-----" first.
    const length = key.certificate.length.toString(16).padStart(4, '0');
    const dashes = '182d'.repeat(5);
    expect(section.toString('hex')).toMatch(
      new RegExp(
        `^81a273${Buffer.from('signing_certificate').toString('hex')}99${length}${dashes}`,
      ),
    );
    expect(section.toString('hex')).toContain(`${name('signature')}98`);
  });

  it('reads back in both encodings, tagged or not', () => {
    const section = createEifSigner(key.privateKey, key.certificate).sign(PCR0);
    const { certificate, envelope } = takeApart(section);
    const bytes = cbor.encode(envelope);
    const payload = cbor.encode({ register_index: 0, register_value: Buffer.from(PCR0) });
    const forms = [
      [{ signing_certificate: Buffer.from(certificate), signature: bytes }],
      [{ signing_certificate: certificate, signature: [...bytes] }],
      [{ signing_certificate: certificate, signature: Buffer.concat([Buffer.of(0xd2), bytes]) }],
    ];
    for (const form of forms) {
      const signature = parseEifSignature(cbor.encode(form));
      checkEifSignature(signature, PCR0);
      expect(signature.certificate.subject).toBe('release P-384');
    }
    // The payload's vector as a byte string is another payload, so the signature does not fit it.
    const changed = cbor.encode([envelope[0], {}, payload, envelope[3]]);
    const other = parseEifSignature(
      cbor.encode([{ signing_certificate: certificate, signature: changed }]),
    );
    expect(other.registerValue).toEqual(PCR0);
    expect(codeOf(() => checkEifSignature(other, PCR0))).toBe('eif.signature-invalid');
  });

  it('gives PCR8 of the certificate, from PEM and DER alike', () => {
    const { der } = readSigningCertificate(key.certificate);
    const digest = createHash('sha384').update(der).digest();
    const pcr8 = createHash('sha384').update(Buffer.alloc(48)).update(digest).digest('hex');
    expect(signingCertificatePcr(key.certificate)).toBe(pcr8);
    expect(signingCertificatePcr(der)).toBe(pcr8);
  });

  it('refuses keys that do not fit', async () => {
    const other = await makeSigningKey();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = (pair: typeof rsa): string =>
      pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const { certificate } = key;
    expect(codeOf(() => createEifSigner(other.privateKey, certificate))).toBe(
      'signing.key-mismatch',
    );
    expect(codeOf(() => createEifSigner(pem(rsa), certificate))).toBe('signing.key-invalid');
    expect(codeOf(() => createEifSigner('nonsense', certificate))).toBe('signing.key-invalid');
    expect(codeOf(() => createEifSigner(key.privateKey, certificate + certificate))).toBe(
      'eif.certificate-malformed',
    );
  });
});

describe('parseEifSignature', () => {
  const parts = (): { certificate: number[]; envelope: Uint8Array[] } =>
    takeApart(createEifSigner(key.privateKey, key.certificate).sign(PCR0));

  it.each<readonly [string, string, (entry: Record<string, unknown>) => unknown]>([
    ['no array', 'eif.signature-malformed', (entry) => entry],
    ['no signature', 'eif.signature-malformed', () => []],
    ['two signatures', 'eif.signature-malformed', (entry) => [entry, entry]],
    ['no map', 'eif.signature-malformed', () => [1]],
    ['no certificate', 'eif.signature-malformed', ({ signature }) => [{ signature }]],
    [
      'a certificate as text',
      'eif.signature-malformed',
      (entry) => [{ ...entry, signing_certificate: 'x' }],
    ],
    [
      'items above 255',
      'eif.signature-malformed',
      (entry) => [{ ...entry, signing_certificate: [256] }],
    ],
    [
      'items below 0',
      'eif.signature-malformed',
      (entry) => [{ ...entry, signing_certificate: [-1] }],
    ],
    ['fractions', 'eif.signature-malformed', (entry) => [{ ...entry, signing_certificate: [1.5] }]],
    [
      'a certificate that is none',
      'eif.certificate-malformed',
      (entry) => [{ ...entry, signing_certificate: [1] }],
    ],
    ['an empty signature', 'eif.signature-malformed', (entry) => [{ ...entry, signature: [] }]],
  ])('refuses %s: %s', (_name, code, change) => {
    const { certificate, envelope } = parts();
    const entry = { signing_certificate: certificate, signature: [...cbor.encode(envelope)] };
    expect(codeOf(() => parseEifSignature(cbor.encode(change(entry))))).toBe(code);
  });

  it('refuses other algorithms, registers and images', () => {
    const { certificate, envelope } = parts();
    const check = (changed: unknown[], pcr0: Uint8Array = PCR0): string =>
      codeOf(() => {
        const entry = { signing_certificate: certificate, signature: cbor.encode(changed) };
        checkEifSignature(parseEifSignature(cbor.encode([entry])), pcr0);
      });
    const [header, unprotectedHeader, payload, signature] = envelope;
    const flipped = Buffer.from(signature as Uint8Array);
    flipped.writeUInt8(flipped.readUInt8(50) ^ 1, 50);
    expect(check(envelope)).toBe('ok');
    expect(check([header, unprotectedHeader, payload, flipped])).toBe('eif.signature-invalid');
    expect(check([header, unprotectedHeader, payload, Buffer.alloc(0)])).toBe(
      'eif.signature-invalid',
    );
    expect(check(envelope, new Uint8Array(48))).toBe('eif.signature-pcr0');
    const es256 = Buffer.from('a10126', 'hex');
    const none = Buffer.from('a0', 'hex');
    const critical = Buffer.from('a20138220281182a', 'hex');
    expect(check([es256, unprotectedHeader, payload, signature])).toBe('eif.signature-algorithm');
    expect(check([none, unprotectedHeader, payload, signature])).toBe('eif.signature-algorithm');
    expect(check([critical, unprotectedHeader, payload, signature])).toBe(
      'eif.signature-malformed',
    );
    const register1 = cbor.encode({ register_index: 1, register_value: [...PCR0] });
    expect(check([header, unprotectedHeader, register1, signature])).toBe(
      'eif.signature-malformed',
    );
    expect(check([header, unprotectedHeader, payload])).toBe('eif.signature-malformed');
  });

  it('gives a code at every truncation', () => {
    const section = createEifSigner(key.privateKey, key.certificate).sign(PCR0);
    for (let length = 0; length < section.length; length += 7) {
      const cut = section.subarray(0, length);
      expect(() => parseEifSignature(cut)).toThrow(AttestationError);
    }
  });
});
