import { concatBytes } from '../../../src/bytes/bytes.js';
import type { Code } from '../../../src/result/codes.js';
import { pcrMap } from '../document.js';
import { nitroTpmPcrs, ZERO_PCR } from '../pcrs.js';
import { array, BREAK, bstr, head, indefinite, int, map, tag, tstr } from '../raw-cbor.js';
import { type CaseKit, documentInput } from '../vector-case.js';

const PARSER =
  'who looks for two readings of the same signed bytes, or for a parser that crashes or hangs';

/** Malformed and disallowed CBOR, in the envelope and (validly signed) in the payload. */
export async function cborCases(kit: CaseKit): Promise<void> {
  await envelope(kit);
  await payload(kit);
  await features(kit);
}

async function envelope(kit: CaseKit): Promise<void> {
  const document = await kit.mintDocument();
  const add = (code: Code, id: string, title: string, bytes: Uint8Array): void =>
    kit.add(code, [`cbor-${id}`, title, PARSER], { input: documentInput(bytes) });
  add('cbor.truncated', 'truncated-signature', 'last byte missing', document.slice(0, -1));
  add('cbor.truncated', 'truncated-payload', 'cut inside the payload', document.slice(0, 1000));
  add(
    'cbor.truncated',
    'truncated-head',
    'cut inside the length of the payload',
    document.slice(0, 8),
  );
  add(
    'cbor.trailing-bytes',
    'trailing-envelope',
    'a byte after the outer array',
    concatBytes(document, Uint8Array.of(0)),
  );
  add(
    'cbor.trailing-bytes',
    'trailing-second-document',
    'a second document after the first',
    concatBytes(document, document),
  );
  add(
    'cbor.trailing-bytes',
    'trailing-padding',
    'zero padding as it stands behind a document in TPM storage',
    concatBytes(document, new Uint8Array(64)),
  );
  const protectedHeader = bstr(Uint8Array.of(0xa1, 0x01, 0x38, 0x22));
  add(
    'cbor.truncated',
    'payload-length-past-end',
    'payload longer than what follows',
    concatBytes(head(4, 4), protectedHeader, head(5, 0), head(2, 16_000), new Uint8Array(100)),
  );
  add(
    'cbor.truncated',
    'payload-length-64-bit',
    'payload of 2^63 bytes declared',
    concatBytes(head(4, 4), protectedHeader, head(5, 0), head(2, 1n << 63n), new Uint8Array(100)),
  );
  for (const info of [28, 29, 30])
    add(
      'cbor.malformed',
      `reserved-${info}`,
      `reserved additional information ${info}`,
      concatBytes(head(4, 4), Uint8Array.of(0x40 | info), document.subarray(6)),
    );
  add(
    'cbor.malformed',
    'bare-break',
    'a break where an item must stand',
    concatBytes(head(4, 4), BREAK, document.subarray(1)),
  );
  await kit.document(
    'cbor.truncated',
    ['cbor-missing-break-envelope', 'indefinite envelope without its break', PARSER],
    { envelope: (items) => indefinite(4, ...Object.values(items)).slice(0, -1) },
  );
}

async function payload(kit: CaseKit): Promise<void> {
  const row = (
    code: Code,
    id: string,
    title: string,
    overrides: Parameters<CaseKit['document']>[2],
  ): Promise<void> => kit.document(code, [`cbor-${id}`, title, PARSER], overrides);

  await row('cbor.trailing-bytes', 'payload-trailing-definite', 'a byte after the payload map', {
    mapForm: 'definite',
    payload: (bytes) => concatBytes(bytes, Uint8Array.of(0)),
  });
  await row(
    'cbor.trailing-bytes',
    'payload-trailing-break',
    'a byte after the break of the payload',
    {
      payload: (bytes) => concatBytes(bytes, Uint8Array.of(0)),
    },
  );
  await row('cbor.trailing-bytes', 'payload-second-map', 'a second payload map after the first', {
    payload: (bytes) => concatBytes(bytes, bytes),
  });
  await row('cbor.truncated', 'payload-missing-break', 'payload map without its break', {
    payload: (bytes) => bytes.slice(0, -1),
  });
  await row('cbor.malformed', 'payload-odd-items', 'odd number of items in the payload map', {
    payload: (bytes) => concatBytes(bytes.slice(0, -1), tstr('lonely'), BREAK),
  });
  await row('cbor.malformed', 'payload-odd-pcrs', 'odd number of items in indefinite PCRs', {
    fields: { nitrotpm_pcrs: indefinite(5, int(0), bstr(ZERO_PCR), int(1)) },
  });
  await row('cbor.malformed', 'payload-break-in-definite', 'a break inside a definite array', {
    extra: [[tstr('x'), concatBytes(head(4, 2), int(1), BREAK)]],
  });
  await row(
    'cbor.truncated',
    'payload-array-too-long',
    'an array declares more items than follow',
    {
      mapForm: 'definite',
      extra: [[tstr('zz'), concatBytes(head(4, 9), int(1))]],
    },
  );
  await row(
    'cbor.duplicate-key',
    'duplicate-known-key',
    'nonce twice, the second one a challenge',
    {
      extra: [[tstr('nonce'), bstr(kit.nonce)]],
    },
  );
  await row('cbor.duplicate-key', 'duplicate-pcrs', 'nitrotpm_pcrs twice', {
    extra: [[tstr('nitrotpm_pcrs'), pcrMap(nitroTpmPcrs('another image'))]],
  });
  await row('cbor.duplicate-key', 'duplicate-unknown-key', 'an unknown key twice', {
    extra: [
      [tstr('x'), int(1)],
      [tstr('x'), int(2)],
    ],
  });
  const pcrEntries = [...nitroTpmPcrs()].map(([i, value]) => [int(i), bstr(value)] as const);
  await row('cbor.duplicate-key', 'duplicate-pcr-index', 'PCR4 twice', {
    fields: { nitrotpm_pcrs: map(...pcrEntries, [int(4), bstr(ZERO_PCR)]) },
  });
  await row('cbor.duplicate-key', 'duplicate-pcr-index-wide', 'PCR4 twice, once in a longer head', {
    fields: { nitrotpm_pcrs: map(...pcrEntries, [int(4, 1), bstr(ZERO_PCR)]) },
  });
  await row('cbor.duplicate-key', 'duplicate-key-wide', 'nonce twice, once in a longer head', {
    extra: [[tstr('nonce', 2), bstr(kit.nonce)]],
  });
  await row('cbor.duplicate-key', 'duplicate-nested-key', 'a key twice in a nested unknown map', {
    extra: [[tstr('x'), map([int(1), int(1)], [int(1), int(2)])]],
  });
  for (const [id, title, bytes] of [
    ['invalid', 'a byte that is never UTF-8', [0x69, 0xff]],
    ['overlong', 'an overlong encoding', [0xc0, 0x80]],
    ['surrogate', 'an encoded surrogate', [0xed, 0xa0, 0x80]],
    ['cut', 'a character cut short', [0x69, 0xe2, 0x82]],
    ['above', 'a character above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ] as const)
    await row('cbor.invalid-utf8', `utf8-${id}`, `module_id with ${title}`, {
      fields: { module_id: tstr(Uint8Array.from(bytes)) },
    });
  await row('cbor.invalid-utf8', 'utf8-key', 'a key that is not UTF-8', {
    extra: [[tstr(Uint8Array.of(0xff, 0xfe)), int(1)]],
  });
}

async function features(kit: CaseKit): Promise<void> {
  const value = (code: Code, id: string, title: string, item: Uint8Array): Promise<void> =>
    kit.document(code, [`cbor-${id}`, title, PARSER], { extra: [[tstr('x'), item]] });

  const nested = (levels: number): Uint8Array =>
    concatBytes(new Uint8Array(levels).fill(0x81), int(0));
  await value('cbor.limit-exceeded', 'nesting-64', 'arrays nested 64 deep', nested(64));
  await value('cbor.limit-exceeded', 'nesting-5000', 'arrays nested 5000 deep', nested(5000));
  await value(
    'cbor.limit-exceeded',
    'nesting-indefinite',
    'indefinite arrays nested 5000 deep, never closed',
    new Uint8Array(5000).fill(0x9f),
  );
  await value(
    'cbor.truncated',
    'count-array-32-bit',
    'array of 2^32 - 1 items declared',
    head(4, 0xffffffff),
  );
  await value(
    'cbor.truncated',
    'count-map-64-bit',
    'map of 2^64 - 1 entries declared',
    head(5, 0xffffffffffffffffn),
  );
  await value(
    'cbor.limit-exceeded',
    'count-many-items',
    'array of ten thousand small items',
    array(...Array.from({ length: 10_000 }, () => int(0))),
  );
  await value(
    'cbor.not-allowed',
    'tag-inside',
    'a tag inside the payload',
    tag(32, tstr('https://a.b/')),
  );
  await value('cbor.not-allowed', 'bignum', 'a bignum', tag(2, bstr(new Uint8Array(9).fill(1))));
  await value(
    'cbor.not-allowed',
    'indefinite-text',
    'a text of indefinite length',
    indefinite(3, tstr('a')),
  );
  await kit.document(
    'cbor.not-allowed',
    ['cbor-indefinite-bytes', 'user_data of indefinite length', PARSER],
    { fields: { user_data: indefinite(2, bstr(Uint8Array.of(1)), bstr(Uint8Array.of(2))) } },
  );
  await kit.document(
    'cbor.not-allowed',
    ['cbor-payload-indefinite-bytes', 'payload as a byte string of indefinite length', PARSER],
    {
      envelope: (items) =>
        array(
          items.protectedHeader,
          items.unprotectedHeader,
          indefinite(2, items.payload),
          items.signature,
        ),
    },
  );
  for (const [number, name] of [
    [17, 'COSE_Mac0'],
    [98, 'COSE_Sign'],
    [55799, 'self-described CBOR'],
  ] as const)
    await kit.document(
      'evidence.unrecognized',
      [`cbor-tag-${number}`, `outer tag of ${name}`, PARSER],
      {
        tag: number,
      },
    );
  await kit.document('cbor.not-allowed', ['cbor-tag-18-twice', 'tag 18 twice', PARSER], {
    tag: 18,
    document: (bytes) => tag(18, bytes),
  });
  await kit.document(
    'cbor.malformed',
    ['cbor-simple-two-bytes', 'null written in two bytes (RFC 8949, 3.3)', PARSER],
    { extra: [[tstr('x'), Uint8Array.of(0xf8, 0x16)]] },
  );
}
