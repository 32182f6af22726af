import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import { authenticodeDigests } from './authenticode.js';
import { type ByteSource, blobSource, bytesSource } from './byte-source.js';
import { readPeImage } from './pe-image.js';
import { readSignatureCertificates } from './pe-signature.js';
import {
  certificateEntry,
  makeCertificate,
  makeCertificateTable,
  makePe,
  PE_OFFSETS,
  type PePlan,
  type SectionPlan,
} from './test-support/make-pe.js';

const A: SectionPlan = { name: '.a', data: new Uint8Array(1000).fill(1) };
const B: SectionPlan = { name: '.b', data: new Uint8Array(600).fill(2) };
const read = (bytes: Uint8Array): Promise<unknown> => readPeImage(bytesSource(bytes));
const u16 = (offset: number, value: number): PePlan => ({
  patch: (_, view) => view.setUint16(offset, value, true),
});
const u32 = (offset: number, value: number): PePlan => ({
  patch: (_, view) => view.setUint32(offset, value, true),
});

const MALFORMED: readonly (readonly [string, Uint8Array, string])[] = [
  ['nothing', new Uint8Array(), 'pe.not-pe'],
  ['an ELF file', concatBytes(asciiBytes('\x7fELF'), new Uint8Array(100)), 'pe.not-pe'],
  ['a PE header beyond the end', makePe([A], u32(60, 1e6)), 'pe.not-pe'],
  ['a PE header at 4 GiB', makePe([A], u32(60, 0xffffffff)), 'pe.not-pe'],
  ['another signature', makePe([A], u32(PE_OFFSETS.pe, 0x4550 + 1)), 'pe.not-pe'],
  ['a ROM image', makePe([A], u16(PE_OFFSETS.optional, 0x107)), 'pe.malformed'],
  ['65535 sections', makePe([A], { sectionCount: 65535 }), 'pe.limit-exceeded'],
  ['no optional header', makePe([A], u16(84, 0)), 'pe.truncated'],
  ['an optional header of 65535 bytes', makePe([A], u16(84, 65535)), 'pe.truncated'],
  ['17 data directories', makePe([A], { directories: 17 }), 'pe.malformed'],
  ['4 billion data directories', makePe([A], { directories: 0xffffffff }), 'pe.malformed'],
  ['headers that end in the section table', makePe([A], { sizeOfHeaders: 340 }), 'pe.malformed'],
  ['headers beyond the file', makePe([A], { sizeOfHeaders: 100_000 }), 'pe.malformed'],
  ['headers larger than the image', makePe([A], { sizeOfImage: 1000 }), 'pe.malformed'],
  ['a section inside the headers', makePe([{ ...A, rawOffset: 100 }]), 'pe.section-overlap'],
  ['sections over each other', makePe([A, { ...B, rawOffset: 2560 }]), 'pe.section-overlap'],
  [
    'sections over each other in memory',
    makePe([A, { ...B, virtualAddress: 4100 }]),
    'pe.section-overlap',
  ],
  [
    'a section that copies file data over another one although VirtualSize is 0',
    makePe([A, { ...B, virtualSize: 0, virtualAddress: 4096 }]),
    'pe.section-overlap',
  ],
  [
    'a section of VirtualSize 0 whose file data reaches beyond the image',
    makePe([A, { ...B, virtualSize: 0 }], { sizeOfImage: 8192 }),
    'pe.section-range',
  ],
  [
    'a section over the headers in memory',
    makePe([A, { ...B, virtualAddress: 0 }]),
    'pe.section-overlap',
  ],
  [
    '97 sections',
    makePe(
      Array.from({ length: 97 }, (_, i) => ({ name: `.${i}`, data: Uint8Array.of(1) })),
      { headerBytes: 8192 },
    ),
    'pe.limit-exceeded',
  ],
  [
    'a gap between sections',
    makePe([A, { name: '.gap', data: new Uint8Array(512), rawSize: 0 }, B]),
    'pe.section-gap',
  ],
  ['a section beyond the file', makePe([{ ...A, rawSize: 1 << 20 }]), 'pe.section-range'],
  ['a section of 4 GiB', makePe([{ ...A, rawSize: 0xfffffe00 }]), 'pe.section-range'],
  [
    'a section beyond the image',
    makePe([{ ...A, virtualAddress: 0xfffff000 }]),
    'pe.section-range',
  ],
  [
    'a section of 100 MB of zeros',
    makePe([{ ...A, virtualSize: 1e8 }], { sizeOfImage: 2e8 }),
    'pe.limit-exceeded',
  ],
  [
    'certificates beyond the file',
    makePe([A], u32(certificateEntry() + 4, 100)),
    'pe.certificate-table',
  ],
  [
    'certificates in a section',
    makePe([A], {
      patch: (bytes, view) => {
        view.setUint32(certificateEntry(), bytes.length - 8, true);
        view.setUint32(certificateEntry() + 4, 8, true);
      },
    }),
    'pe.certificate-table',
  ],
  [
    'certificates that are not at the end',
    concatBytes(makePe([A], { certificates: new Uint8Array(16) }), new Uint8Array(8)),
    'pe.certificate-table',
  ],
];

const SIGNATURES: readonly (readonly [string, Uint8Array, string])[] = [
  ['an entry without length', new Uint8Array(8), 'pe.certificate-table'],
  ['an entry beyond the table', Uint8Array.of(200, 0, 0, 0, 0, 2, 2, 0), 'pe.certificate-table'],
  [
    'no DER',
    Uint8Array.of(16, 0, 0, 0, 0, 2, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8),
    'pe.signature-malformed',
  ],
  [
    'a cut signature',
    makeCertificateTable([makeCertificate('x')]).map((b, i) => (i === 9 ? 0x7f : b)),
    'pe.signature-malformed',
  ],
  [
    '65 certificates',
    makeCertificateTable(new Array(65).fill(makeCertificate('x'))),
    'pe.limit-exceeded',
  ],
  ['a table of 2 MiB', new Uint8Array(2 << 20), 'pe.limit-exceeded'],
];

describe('readPeImage', () => {
  it.each(MALFORMED)('refuses %s', async (_, bytes, code) => {
    await expect(read(bytes)).rejects.toEqual(expect.objectContaining({ code }));
  });

  it('fails at every truncation', async () => {
    const bytes = makePe([A, B]);
    for (let length = 0; length < bytes.length; length += 7)
      await expect(read(bytes.subarray(0, length))).rejects.toBeInstanceOf(AttestationError);
  });

  it('throws nothing but our error for mutated headers, in bounded time', async () => {
    const good = makePe([A, B], { certificates: makeCertificateTable([makeCertificate('x')]) });
    const started = Date.now();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(460), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const image = await readPeImage(bytesSource(bytes));
            await readSignatureCertificates(image);
            await authenticodeDigests(bytesSource(bytes), ['SHA-384'], createNodeHasher);
          } catch (error) {
            expect(error).toBeInstanceOf(AttestationError);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});

const createNodeHasher = (algorithm: string): ReturnType<typeof createHash> =>
  createHash(algorithm.replace('-', ''));

/** The digest as the specification words it, over bytes in memory. */
function expectedDigest(bytes: Uint8Array, pe32: boolean, certificates: number): string {
  const entry = certificateEntry(pe32);
  return createHash('sha256')
    .update(bytes.subarray(0, PE_OFFSETS.checksum))
    .update(bytes.subarray(PE_OFFSETS.checksum + 4, entry))
    .update(bytes.subarray(entry + 8, bytes.length - certificates))
    .digest('hex');
}

describe('authenticodeDigests', () => {
  it('skips checksum, certificate entry and certificates, and nothing else', async () => {
    for (const pe32 of [false, true]) {
      const certificates = makeCertificateTable([makeCertificate('x')]);
      const trailing = asciiBytes('symbols!');
      const bytes = makePe([A, B], { pe32, certificates, trailing });
      const [digest = new Uint8Array()] = await authenticodeDigests(bytesSource(bytes), [
        'SHA-256',
      ]);
      expect(encodeHex(digest)).toBe(expectedDigest(bytes, pe32, certificates.length));
    }
  });

  it('is the same for an image and its signed form', async () => {
    const unsigned = makePe([A, B]);
    const signed = makePe([A, B], { certificates: makeCertificateTable([]) });
    const digests = async (bytes: Uint8Array): Promise<Uint8Array[]> =>
      authenticodeDigests(bytesSource(bytes), ['SHA-1', 'SHA-256', 'SHA-384']);
    expect(await digests(signed)).toEqual(await digests(unsigned));
    expect((await digests(signed)).map(({ length }) => length)).toEqual([20, 32, 48]);
  });

  it('orders sections by their place in the file', async () => {
    const inOrder = makePe([A, B]);
    const at = PE_OFFSETS.optional + 240;
    const swapped = makePe([A, B], {
      patch: (bytes) => {
        const first = bytes.slice(at, at + 40);
        bytes.copyWithin(at, at + 40, at + 80);
        bytes.set(first, at + 40);
      },
    });
    const [digest] = await authenticodeDigests(bytesSource(swapped), ['SHA-256']);
    expect(encodeHex(digest ?? new Uint8Array())).toBe(expectedDigest(swapped, false, 0));
    expect(inOrder).not.toEqual(swapped);
  });

  it('leaves out a certificate entry that the header does not have', async () => {
    const bytes = makePe([A], { directories: 4 });
    const [digest = new Uint8Array()] = await authenticodeDigests(bytesSource(bytes), ['SHA-256']);
    const expected = createHash('sha256')
      .update(bytes.subarray(0, PE_OFFSETS.checksum))
      .update(bytes.subarray(PE_OFFSETS.checksum + 4));
    expect(encodeHex(digest)).toBe(expected.digest('hex'));
  });

  it('gives the same over a Blob', async () => {
    const bytes = makePe([A, B], { trailing: new Uint8Array(3_000_000).fill(7) });
    const blob = blobSource(new Blob([new Uint8Array(bytes)]));
    expect(await authenticodeDigests(blob, ['SHA-384'])).toEqual(
      await authenticodeDigests(bytesSource(bytes), ['SHA-384']),
    );
  });

  it('reads 500 MB in pieces of at most 1 MiB, few at a time', async () => {
    const header = makePe([{ ...A, rawSize: 500_000_256 }]).subarray(0, 2048);
    let open = 0;
    let most = 0;
    let largest = 0;
    const size = 2048 + 500_000_256;
    const source: ByteSource = {
      size,
      read: async (offset, length) => {
        open++;
        most = Math.max(most, open);
        largest = Math.max(largest, length);
        await Promise.resolve();
        open--;
        const bytes = new Uint8Array(Math.min(length, size - offset));
        if (offset < 2048) bytes.set(header.subarray(offset, offset + bytes.length));
        return bytes;
      },
    };
    await authenticodeDigests(source, ['SHA-256'], createNodeHasher);
    expect(largest).toBeLessThanOrEqual(1 << 20);
    expect(most).toBeLessThanOrEqual(2);
  });

  it('says so when the file shrinks while it is read', async () => {
    const bytes = makePe([A, B]);
    const source: ByteSource = {
      size: bytes.length,
      read: (offset, length) => bytes.subarray(offset, Math.min(offset + length, 2500)),
    };
    await expect(authenticodeDigests(source, ['SHA-256'])).rejects.toEqual(
      expect.objectContaining({ code: 'pe.truncated' }),
    );
  });
});

describe('readSignatureCertificates', () => {
  it('gives the certificates in their order', async () => {
    const certificates = [makeCertificate('leaf'), makeCertificate('issuer')];
    const bytes = makePe([A], { certificates: makeCertificateTable(certificates) });
    const image = await readPeImage(bytesSource(bytes));
    expect(await readSignatureCertificates(image)).toEqual([certificates]);
  });

  it('gives none for an unsigned image', async () => {
    const image = await readPeImage(bytesSource(makePe([A])));
    expect(await readSignatureCertificates(image)).toEqual([]);
  });

  it.each(SIGNATURES)('refuses %s', async (_, certificates, code) => {
    const image = await readPeImage(bytesSource(makePe([A], { certificates })));
    await expect(readSignatureCertificates(image)).rejects.toEqual(
      expect.objectContaining({ code }),
    );
  });
});
