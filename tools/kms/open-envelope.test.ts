import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
} from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EnvelopedData } from '@peculiar/asn1-cms';
import { AsnConvert } from '@peculiar/asn1-schema';
import fc from 'fast-check';
import { concatBytes, decodeHex, encodeHex } from 'tee-verify/bytes';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ToolError } from '../common/tool-error.js';
import { wrapForRecipient } from '../emulator/kms-envelope.js';
import { parseEnvelopedData } from './enveloped-data.js';
import { openEnvelope } from './open-envelope.js';

const VECTORS = fileURLToPath(new URL('../../../shared/vectors/cms/', import.meta.url));
const haveVectors = existsSync(VECTORS);
if (!haveVectors) {
  const text = `real envelopes of AWS KMS are not at ${VECTORS}`;
  if (process.env.CI !== undefined) throw new Error(text);
  console.warn(`SKIPPED: ${text}`);
}

function makeKey(): { privateKey: KeyObject; spki: Uint8Array } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, spki: publicKey.export({ format: 'der', type: 'spki' }) };
}
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const hex = (text: string): Uint8Array => decodeHex(text) as Uint8Array;

const { privateKey, spki } = makeKey();
const key = { privateKey, keyId: sha256(spki) };
const SECRET = new TextEncoder().encode('a secret of 29 bytes, no more');
const envelope = wrapForRecipient(spki, SECRET);

/** The code of the error that reading these bytes gives. */
function codeOf(bytes: Uint8Array): string {
  try {
    openEnvelope(bytes, key);
    return 'opened';
  } catch (error) {
    if (error instanceof ToolError) return error.code;
    throw error;
  }
}

/** The envelope with one stretch of bytes, which must stand there once, replaced. */
function replaced(from: string, to: string, source: Uint8Array = envelope): Uint8Array {
  const text = encodeHex(source);
  expect(text.split(from), from).toHaveLength(2);
  return hex(text.replace(from, to));
}

describe('real envelopes of AWS KMS', () => {
  const facts = haveVectors
    ? (JSON.parse(readFileSync(`${VECTORS}cms.json`, 'utf8')) as {
        name: string;
        recipientSki: string;
        iv: string;
        ctLen: number;
      }[])
    : [];
  const files = haveVectors ? readdirSync(VECTORS).filter((name) => name.endsWith('.ber')) : [];

  it.runIf(haveVectors)('are all listed', () => {
    expect(files.length).toBeGreaterThanOrEqual(4);
    expect(files.map((file) => file.replace('.ber', '')).sort()).toEqual(
      facts.map(({ name }) => name).sort(),
    );
  });

  it.each(facts)('$name is read', ({ name, recipientSki, iv, ctLen }) => {
    const bytes = new Uint8Array(readFileSync(`${VECTORS}${name}.ber`));
    const read = parseEnvelopedData(bytes);
    expect(encodeHex(read.recipientKeyId)).toBe(recipientSki);
    expect(encodeHex(read.iv)).toBe(iv);
    expect(read.encryptedContent).toHaveLength(ctLen);
    expect(read.encryptedKey).toHaveLength(256);
  });

  // Their private keys are not published with them: with ours in the place of theirs, every other
  // byte is what KMS wrote.
  it.each(facts)('$name opens when it is for our key', ({ name }) => {
    const bytes = new Uint8Array(readFileSync(`${VECTORS}${name}.ber`));
    const real = parseEnvelopedData(bytes);
    // Padding takes one byte at least: as much content as there was.
    const plaintext = new Uint8Array(real.encryptedContent.length - 1).fill(0x5a);
    const ours = parseEnvelopedData(wrapForRecipient(spki, plaintext));
    expect(codeOf(bytes)).toBe('cms.recipient-mismatch');
    const fields = ['recipientKeyId', 'encryptedKey', 'iv', 'encryptedContent'] as const;
    const spliced = fields.reduce<Uint8Array>(
      (result, field) => replaced(encodeHex(real[field]), encodeHex(ours[field]), result),
      bytes,
    );
    expect(spliced).toHaveLength(bytes.length);
    expect(openEnvelope(spliced, key)).toEqual(plaintext);
  });

  it.each(facts)('$name cut anywhere gives a code', ({ name }) => {
    const bytes = new Uint8Array(readFileSync(`${VECTORS}${name}.ber`));
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(bytes.subarray(0, length))).toBe('cms.malformed');
  });
});

describe('openEnvelope', () => {
  it('opens what the emulator wraps, in one piece or in chunks', () => {
    for (const chunkBytes of [undefined, 1, 16, 17])
      for (const length of [0, 1, 15, 16, 17, 255]) {
        const plaintext = new Uint8Array(length).fill(7);
        const wrapped = wrapForRecipient(
          spki,
          plaintext,
          chunkBytes === undefined ? {} : { chunkBytes },
        );
        expect(openEnvelope(wrapped, key)).toEqual(plaintext);
      }
  });

  it('reads the content in a primitive [0], too', () => {
    const { encryptedContent } = parseEnvelopedData(envelope);
    const content = encodeHex(encryptedContent);
    const primitive = replaced(`a0800420${content}0000`, `8020${content}`);
    expect(openEnvelope(primitive, key)).toEqual(SECRET);
  });

  it('refuses the envelope of another key before it decrypts', () => {
    const other = makeKey();
    expect(codeOf(wrapForRecipient(other.spki, SECRET))).toBe('cms.recipient-mismatch');
  });

  it('has one text for all that fails in decrypting', () => {
    const { encryptedKey, encryptedContent } = parseEnvelopedData(envelope);
    const flip = (bytes: Uint8Array, at: number): Uint8Array =>
      bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const ours = parseEnvelopedData(wrapForRecipient(spki, SECRET));
    const texts = [
      // OAEP fails
      replaced(encodeHex(encryptedKey), encodeHex(flip(encryptedKey, 255))),
      // padding fails
      replaced(encodeHex(encryptedContent), encodeHex(flip(encryptedContent, 31))),
      replaced(encodeHex(encryptedContent), encodeHex(ours.encryptedContent)),
      // a content key of another size
      replaced(encodeHex(encryptedKey), encodeHex(encryptedShortKey())),
    ].map((bytes) => {
      try {
        openEnvelope(bytes, key);
        return 'opened';
      } catch (error) {
        expect((error as Error).cause).toBeUndefined();
        return `${(error as ToolError).code} ${(error as Error).message}`;
      }
    });
    expect(new Set(texts).size, texts.join('\n')).toBe(1);
    expect(texts[0]).toMatch(/^cms\.decrypt-failed /);
  });

  it('gives a code whatever is changed or cut', () => {
    fc.assert(
      fc.property(
        fc.nat(envelope.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.nat(envelope.length),
        (at, difference, length) => {
          const changed = envelope.map((byte, i) => (i === at ? byte ^ difference : byte));
          // An IV that was changed changes the first block and nobody can tell: CBC has no seal.
          expect(codeOf(changed.subarray(0, length))).toMatch(/^(cms\.|opened$)/);
        },
      ),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(bytes)).toMatch(/^cms\./);
      }),
    );
  });
});

function encryptedShortKey(): Uint8Array {
  // 16 bytes in place of 32: an envelope of one is made by hand, as the emulator makes none.
  return publicEncrypt(
    { key: createPublicKey(privateKey), padding: 4, oaepHash: 'sha256' },
    new Uint8Array(16),
  );
}

describe('malformed envelopes', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });
  const content = encodeHex(parseEnvelopedData(envelope).encryptedContent);
  const table: readonly (readonly [name: string, bytes: () => Uint8Array, code: string])[] = [
    ['nothing', () => new Uint8Array(0), 'cms.malformed'],
    ['a byte behind it', () => concatBytes(envelope, Uint8Array.of(0)), 'cms.malformed'],
    ['an end of contents behind it', () => concatBytes(envelope, hex('0000')), 'cms.malformed'],
    ['too large', () => new Uint8Array(20_000).fill(0x30), 'cms.too-large'],
    ['nested too deep', () => hex('3080'.repeat(20) + '0000'.repeat(20)), 'cms.malformed'],
    ['nested without end', () => hex('3080'.repeat(4000)), 'cms.malformed'],
    [
      'many small elements',
      () => concatBytes(hex('3080'), hex('0500'.repeat(4000))),
      'cms.malformed',
    ],
    ['an indefinite primitive', () => hex('0480aabb0000'), 'cms.malformed'],
    ['a long tag', () => hex('3f8101'), 'cms.malformed'],
    ['a length in four bytes', () => hex('308400000001'), 'cms.malformed'],
    ['a length longer than needed', () => hex('308101'), 'cms.malformed'],
    ['half an end of contents', () => hex('30800001'), 'cms.malformed'],
    [
      'SignedData',
      () => replaced('06092a864886f70d010703', '06092a864886f70d010702'),
      'cms.unsupported',
    ],
    [
      'a set for a sequence',
      () => concatBytes(Uint8Array.of(0x31), envelope.subarray(1)),
      'cms.unsupported',
    ],
    ['version 0', () => replaced('3080020102', '3080020100'), 'cms.unsupported'],
    [
      'a recipient of version 0',
      () => replaced('30820167020102', '30820167020100'),
      'cms.unsupported',
    ],
    [
      'no recipient',
      () => hex(encodeHex(envelope).replace(/3182016b.*(?=308006092a864886f70d010701)/, '3100')),
      'cms.unsupported',
    ],
    [
      'two recipients',
      () => {
        const [recipient] = /30820167.*(?=308006092a864886f70d010701)/.exec(
          encodeHex(envelope),
        ) as RegExpExecArray;
        return replaced(`3182016b${recipient}`, `318202d6${recipient}${recipient}`);
      },
      'cms.unsupported',
    ],
    [
      'issuer and serial number',
      () => replaced(`8020${encodeHex(key.keyId)}`, `3020041e${'00'.repeat(30)}`),
      'cms.unsupported',
    ],
    [
      'a key identifier of 20 bytes',
      () => fixed(`8020${encodeHex(key.keyId)}`, `8014${encodeHex(key.keyId.subarray(0, 20))}`),
      'cms.unsupported',
    ],
    [
      'PKCS#1 v1.5',
      () => replaced('06092a864886f70d010107', '06092a864886f70d010101'),
      'cms.unsupported',
    ],
    [
      'OAEP with SHA-1',
      () => fixed('a00f300d06096086480165030402010500', 'a009300706052b0e03021a'),
      'cms.unsupported',
    ],
    [
      'OAEP with SHA-384',
      () => replaced('a00f300d06096086480165030402010500', 'a00f300d06096086480165030402020500'),
      'cms.unsupported',
    ],
    [
      'MGF1 with SHA-512',
      () =>
        replaced('010108300d06096086480165030402010500', '010108300d06096086480165030402030500'),
      'cms.unsupported',
    ],
    [
      'OAEP with defaults',
      () =>
        fixed(
          '302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500',
          '3000',
        ),
      'cms.unsupported',
    ],
    [
      'OAEP with a label',
      () =>
        fixed('302fa00f', '3042a00f', [
          '0500a11c301a06092a864886f70d010108300d06096086480165030402010500',
          '0500a11c301a06092a864886f70d010108300d06096086480165030402010500a211300f06092a864886f70d01010904026161',
        ]),
      'cms.unsupported',
    ],
    [
      'AES-128-CBC',
      () => replaced('060960864801650304012a', '0609608648016503040102'),
      'cms.unsupported',
    ],
    [
      'AES-256-GCM',
      () => replaced('060960864801650304012a', '060960864801650304012e'),
      'cms.unsupported',
    ],
    [
      'another content type',
      () => replaced('308006092a864886f70d010701', '308006092a864886f70d010702'),
      'cms.unsupported',
    ],
    ['an attribute behind the content', () => ended('a1023000'), 'cms.unsupported'],
    ['an empty [1] behind the content', () => ended('a100'), 'cms.unsupported'],
    ['another field behind the content', () => ended('0500'), 'cms.unsupported'],
    ['originatorInfo', () => replaced('3080020102', '3080020102a000'), 'cms.unsupported'],
    [
      'a second content',
      () => hex(encodeHex(envelope).replace(/0000(?=0000$)/, '04000000')),
      'cms.unsupported',
    ],
    [
      'a key in chunks',
      () => {
        const encryptedKey = encodeHex(parseEnvelopedData(envelope).encryptedKey);
        return replaced(`04820100${encryptedKey}`, `248201000481fd${encryptedKey.slice(6)}`);
      },
      'cms.unsupported',
    ],
    ['an IV in chunks', () => replaced('012a0410', '012a2410040e'), 'cms.malformed'],
    ['chunks of chunks', () => replaced(`0420${content}`, `24220420${content}`), 'cms.unsupported'],
    // The library reads nothing of these, without an error.
    ...['06', '0c', '01', '13'].map(
      (tag) =>
        [
          `a chunk with tag ${tag}`,
          () => replaced(`0420${content}`, `0420${content}${tag}0155`),
          'cms.unsupported',
        ] as const,
    ),
    ['an empty chunk', () => replaced(`0420${content}`, `0420${content}0400`), 'cms.unsupported'],
    ['chunks that are no octet strings', () => replaced('a0800420', 'a0800520'), 'cms.unsupported'],
    [
      'no chunks',
      () => replaced(`a0800420${encodeHex(parseEnvelopedData(envelope).encryptedContent)}`, 'a080'),
      'cms.malformed',
    ],
    [
      'half a block',
      () =>
        replaced(
          `a0800420${encodeHex(parseEnvelopedData(envelope).encryptedContent)}`,
          `a08004080011223344556677`,
        ),
      'cms.malformed',
    ],
  ];

  it.each(table)('%s', (_, bytes, code) => {
    expect(codeOf(bytes())).toBe(code);
  });

  // Two copies of the library's schemas in a tree have given this: no error, and no algorithm.
  it.each<[string, (enveloped: EnvelopedData) => void]>([
    [
      'the key encryption',
      ({ recipientInfos }) => {
        const { ktri } = recipientInfos[0] ?? {};
        Object.assign(ktri?.keyEncryptionAlgorithm ?? {}, { algorithm: '' });
      },
    ],
    [
      'its parameters',
      ({ recipientInfos }) => {
        const { ktri } = recipientInfos[0] ?? {};
        Object.assign(ktri?.keyEncryptionAlgorithm ?? {}, { parameters: undefined });
      },
    ],
    [
      'the content encryption',
      ({ encryptedContentInfo }) => {
        encryptedContentInfo.contentEncryptionAlgorithm.algorithm = '';
      },
    ],
    [
      'its IV',
      ({ encryptedContentInfo }) => {
        Object.assign(encryptedContentInfo.contentEncryptionAlgorithm, { parameters: undefined });
      },
    ],
  ])('fails when the library reads nothing for %s', (_, blank) => {
    const parse = AsnConvert.parse.bind(AsnConvert);
    let blanked = 0;
    vi.spyOn(AsnConvert, 'parse').mockImplementation((bytes, type, options) => {
      const value = parse(bytes, type, options);
      if (value instanceof EnvelopedData) {
        blank(value);
        blanked++;
      }
      return value;
    });
    expect(codeOf(envelope)).toBe('cms.unsupported');
    expect(blanked).toBe(1);
  });

  it('reads OAEP parameters in their other right forms', () => {
    const noNull = fixed('a00f300d06096086480165030402010500', 'a00d300b0609608648016503040201');
    expect(codeOf(noNull)).toBe('opened');
    const emptyLabel = fixed('302fa00f', '3040a00f', [
      '010108300d06096086480165030402010500',
      '010108300d06096086480165030402010500a20f300d06092a864886f70d0101090400',
    ]);
    expect(codeOf(emptyLabel)).toBe('opened');
  });
});

/** The envelope with more at the end of EnvelopedData. */
function ended(more: string): Uint8Array {
  // Ends: [0] of the content, EncryptedContentInfo, EnvelopedData, [0], ContentInfo
  return hex(encodeHex(envelope).replace(/0000{1}0000(?=000000000000$)/, `00000000${more}`));
}

/** Replaces inside the recipient and puts the lengths around it right. */
function fixed(from: string, to: string, more?: readonly [string, string]): Uint8Array {
  let text = encodeHex(replaced(from, to));
  if (more !== undefined) text = encodeHex(replaced(more[0], more[1], hex(text)));
  const change = text.length / 2 - envelope.length;
  const word = (length: number): string => length.toString(16).padStart(4, '0');
  // The two algorithm SEQUENCEs around the parameters grow or shrink with them.
  const inAlgorithm = !from.startsWith('8020');
  text = text.replace('3182016b30820167', `3182${word(0x16b + change)}3082${word(0x167 + change)}`);
  if (inAlgorithm) {
    const byte = (length: number): string => length.toString(16).padStart(2, '0');
    text = text.replace(
      '303c06092a864886f70d010107',
      `30${byte(0x3c + change)}06092a864886f70d010107`,
    );
    if (from.startsWith('a00f')) text = text.replace('302fa0', `30${byte(0x2f + change)}a0`);
  }
  return hex(text);
}
