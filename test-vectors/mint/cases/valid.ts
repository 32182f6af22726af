import { concatBytes } from '../../../src/bytes/bytes.js';
import { encodeHex } from '../../../src/bytes/hex.js';
import { manifestFor, mintBundle } from '../bundle.js';
import type { DocumentOverrides } from '../document.js';
import { ORDER, toBigInt, twin } from '../ecdsa.js';
import { enclavePcrs, nitroTpmPcrs, withPcrs, ZERO_PCR } from '../pcrs.js';
import { array, bstr, indefinite, int, map, NULL, type RawEntry, tstr } from '../raw-cbor.js';
import { bundleInput, type CaseKit, textInput } from '../vector-case.js';

/** Evidence that must be accepted, of every kind and in every writing that real producers use. */
export async function validCases(kit: CaseKit): Promise<void> {
  await forms(kit);
  await writings(kit);
  await quotes(kit);
}

async function forms(kit: CaseKit): Promise<void> {
  await kit.document('verified', ['valid-document', 'bare NitroTPM document, raw bytes', 'none']);
  await kit.document('verified', ['valid-document-tag-18', 'document with CBOR tag 18', 'none'], {
    tag: 18,
  });
  const bytes = await kit.mintDocument();
  const base64 = Buffer.from(bytes).toString('base64');
  kit.add('verified', ['valid-document-base64', 'document as base64 text', 'none'], {
    input: textInput(base64),
  });
  kit.add(
    'verified',
    [
      'valid-document-base64-lines',
      'base64 text in lines of 76, with a newline at the end',
      'none',
    ],
    { input: textInput(base64.replace(/.{76}/g, '$&\n').concat('\n')) },
  );
  kit.add('verified', ['valid-document-base64url', 'document as base64url text', 'none'], {
    input: textInput(Buffer.from(bytes).toString('base64url')),
  });
  kit.add('verified', ['valid-document-hex', 'document as hex text', 'none'], {
    input: textInput(encodeHex(bytes)),
  });
  await kit.document('verified', ['valid-enclave', 'enclave document', 'none'], {
    platform: 'enclave',
  });
  await kit.document(
    'verified',
    ['valid-enclave-definite', 'enclave document as written before July 2025', 'none'],
    { platform: 'enclave', mapForm: 'definite' },
  );
  await kit.document(
    'verified',
    ['valid-enclave-32-pcrs', 'enclave document with the largest number of PCRs', 'none'],
    {
      platform: 'enclave',
      pcrs: new Map(
        Array.from({ length: 32 }, (_, i) => [i, enclavePcrs().get(i) ?? ZERO_PCR] as const),
      ),
    },
  );
  for (const form of ['seed', 'later'] as const)
    await kit.bundle('verified', [`valid-bundle-${form}`, `bundle in its ${form} form`, 'none'], {
      form,
    });
  const minted = await mintBundle(kit.pki, {
    nonce: kit.nonce,
    document: { timestampMs: kit.documentMs },
  });
  kit.add('verified', ['valid-bundle-text', 'bundle as JSON text', 'none'], {
    input: textInput(JSON.stringify(minted.bundle, null, 2)),
  });
  kit.add('verified', ['valid-bundle-bytes', 'bundle as the bytes of its JSON text', 'none'], {
    input: {
      kind: 'document',
      encoding: 'base64',
      value: Buffer.from(JSON.stringify(minted.bundle)).toString('base64'),
    },
  });
  kit.add('unappraised', ['valid-no-manifest', 'authentic, but nothing to compare with', 'none'], {
    input: bundleInput(minted.bundle),
    manifest: null,
  });
}

async function writings(kit: CaseKit): Promise<void> {
  await kit.document(
    'verified',
    ['valid-definite-map', 'NitroTPM payload as a definite map', 'none'],
    { mapForm: 'definite' },
  );
  await kit.document(
    'verified',
    ['valid-indefinite-everywhere', 'indefinite envelope, payload, PCRs and cabundle', 'none'],
    await indefiniteParts(kit),
  );
  await kit.document(
    'verified',
    ['valid-indefinite-pcrs-only', 'definite payload with indefinite PCRs', 'none'],
    {
      mapForm: 'definite',
      fields: { nitrotpm_pcrs: (await indefiniteParts(kit)).fields.nitrotpm_pcrs },
    },
  );
  await kit.document(
    'verified',
    ['valid-unprotected-header', 'non-empty unprotected header, which proves nothing', 'none'],
    {
      envelope: (items) =>
        array(
          items.protectedHeader,
          map([int(4), bstr(Uint8Array.of(1, 2, 3))]),
          items.payload,
          items.signature,
        ),
    },
  );
  await kit.document(
    'verified',
    ['valid-unprotected-indefinite', 'empty unprotected header of indefinite length', 'none'],
    {
      envelope: (items) =>
        array(items.protectedHeader, indefinite(5), items.payload, items.signature),
    },
  );
  await kit.document(
    'verified',
    ['valid-unknown-keys', 'unknown keys with values of every plain type', 'none'],
    {
      extra: [
        [tstr('x_int'), int(7)],
        [tstr('x_negative'), int(-7)],
        [tstr('x_text'), tstr('new in some later version')],
        [tstr('x_bytes'), bstr(Uint8Array.of(1, 2))],
        [tstr('x_array'), array(int(1), tstr('a'))],
        [tstr('x_map'), map([tstr('a'), int(1)])],
        [tstr('x_true'), Uint8Array.of(0xf5)],
        [tstr('x_null'), NULL],
        [tstr('x_float'), Uint8Array.of(0xf9, 0x3c, 0x00)],
        [tstr('x_double'), Uint8Array.of(0xfb, 0x40, 9, 0, 0, 0, 0, 0, 0)],
        [tstr('x_simple'), Uint8Array.of(0xf0)],
        [int(1), tstr('an integer key')],
      ],
    },
  );
  await kit.document('verified', ['valid-reordered-keys', 'keys in reverse order', 'none'], {
    order: (entries: RawEntry[]) => entries.reverse(),
  });
  await kit.document(
    'verified',
    ['valid-optionals-left-out', 'optional fields left out rather than null', 'none'],
    { fields: { public_key: undefined, user_data: undefined } },
  );
  await kit.document(
    'verified',
    [
      'valid-public-key-empty',
      'enclave document with an empty public_key, as seen in the wild',
      'none',
    ],
    { platform: 'enclave', publicKey: new Uint8Array(0) },
  );
  await kit.document(
    'verified',
    ['valid-optionals-1024', 'public_key, user_data and nonce of 1024 bytes', 'none'],
    {
      publicKey: new Uint8Array(1024).fill(1),
      userData: new Uint8Array(1024).fill(2),
      nonce: new Uint8Array(1024).fill(3),
    },
    { options: { nonce: encodeHex(new Uint8Array(1024).fill(3)) } },
  );
  const half = ORDER['P-384'] / 2n;
  const highS = (raw: Uint8Array): boolean => toBigInt(raw.subarray(48)) > half;
  await kit.document('verified', ['valid-high-s', 'document signature with s above n/2', 'none'], {
    until: highS,
  });
  await kit.document('verified', ['valid-low-s', 'document signature with s below n/2', 'none'], {
    until: (raw) => !highS(raw),
  });
  await kit.document(
    'verified',
    ['valid-twin', 'the n - s twin of a signature: another hash, the same document', 'none'],
    { signature: (raw) => twin(raw, 'P-384') },
  );
}

async function indefiniteParts(
  kit: CaseKit,
): Promise<Required<Pick<DocumentOverrides, 'envelope' | 'fields'>>> {
  const path = await kit.pki.issuePath('i-0123456789abcdef0-tpm0000000000000000', kit.documentMs);
  return {
    envelope: (items) => indefinite(4, ...Object.values(items)),
    fields: {
      nitrotpm_pcrs: indefinite(
        5,
        ...[...nitroTpmPcrs()].map(([index, value]) => concatBytes(int(index), bstr(value))),
      ),
      cabundle: indefinite(4, ...path.authorities.map(({ der }) => bstr(der))),
    },
  };
}

async function quotes(kit: CaseKit): Promise<void> {
  for (const form of ['seed', 'later'] as const)
    await kit.bundle(
      'verified',
      [
        `valid-bundle-${form}-tpmt-public`,
        `${form} form with version and the AK's TPMT_PUBLIC`,
        'none',
      ],
      { form, tpmtPublic: true, version: 1 },
      { options: { nonce: encodeHex(kit.nonce), requireQuote: true } },
    );
  await kit.bundle(
    'verified',
    ['valid-quote-twin', 'the n - s twin of the quote signature', 'none'],
    {
      quote: { rawSignature: (raw) => twin(raw, 'P-256') },
    },
  );
  await kit.bundle(
    'verified',
    ['valid-quote-short-r', 'quote signature whose r has 31 bytes', 'none'],
    { quote: { until: (raw) => raw[0] === 0 && (raw[1] as number) !== 0 } },
  );
  const nonce = new Uint8Array(50).fill(0x77);
  await kit.bundle(
    'verified',
    ['valid-nonce-50', 'nonce of 50 bytes in quote and document', 'none'],
    { nonce },
    { options: { nonce: encodeHex(nonce) } },
  );
  await kit.bundle(
    'verified',
    ['valid-nonce-1', 'nonce of one byte in quote and document', 'none'],
    { nonce: Uint8Array.of(7) },
    { options: { nonce: '07' } },
  );
  const secureBoot = withPcrs(nitroTpmPcrs(), {});
  await kit.bundle(
    'verified',
    ['valid-secure-boot', 'manifest that pins PCR7 with Secure Boot on', 'none'],
    { pcrs: secureBoot },
    { manifest: manifestFor(secureBoot, 'nitrotpm', [7]) },
  );
}
