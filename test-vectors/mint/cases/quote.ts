import { concatBytes } from '../../../src/bytes/bytes.js';
import { encodeHex } from '../../../src/bytes/hex.js';
import type { Code } from '../../../src/result/codes.js';
import type { BundleJson, BundleOverrides } from '../bundle.js';
import { flipBit, ORDER, replaceHalf } from '../ecdsa.js';
import { nitroTpmPcrs, sha384, withPcrs } from '../pcrs.js';
import { children, contentsOf, integerOf, sequence, tlv } from '../raw-der.js';
import {
  AK_ATTRIBUTES,
  ATTRIBUTE,
  mintAk,
  pcrBitmap,
  type QuoteOverrides,
  TPM,
  writeTpmtPublic,
} from '../tpm.js';
import type { CaseKit, CaseOverrides } from '../vector-case.js';

/** The TPM quote: whose key, what it says, and over which PCRs. */
export async function quoteCases(kit: CaseKit): Promise<void> {
  await binding(kit);
  await attributes(kit);
  await signatures(kit);
  await contents(kit);
  await selections(kit);
}

async function binding(kit: CaseKit): Promise<void> {
  const combiner = 'who combines the quote of one machine with the document of another';
  const row = (code: Code, id: string, title: string, overrides: BundleOverrides) =>
    kit.bundle(code, [`quote-${id}`, title, combiner], overrides);
  const ak = await mintAk();
  const other = await mintAk();

  await row(
    'quote.ak-mismatch',
    'ak-other',
    'AK, quote and JSON of another key than the document proves',
    {
      ak,
      document: { publicKey: other.point },
    },
  );
  await row('quote.ak-mismatch', 'ak-json', 'JSON names another AK than document and quote', {
    form: 'later',
    ak,
    json: (b: BundleJson) => {
      b.ak_pubkeys.ecc_p256.x = encodeHex(other.point.subarray(1, 33));
      b.ak_pubkeys.ecc_p256.y = encodeHex(other.point.subarray(33));
      return b;
    },
  });
  await row('quote.ak-not-bound', 'ak-unbound', 'document without public_key', {
    form: 'later',
    document: { publicKey: undefined },
  });
  await row('quote.ak-not-bound', 'ak-unbound-empty', 'document with an empty public_key', {
    form: 'later',
    document: { publicKey: new Uint8Array(0) },
  });
  const compressed = concatBytes(
    Uint8Array.of(2 + ((ak.point[64] as number) & 1)),
    ak.point.subarray(1, 33),
  );
  await row(
    'quote.ak-mismatch',
    'ak-compressed',
    'public_key of the document is a compressed point',
    {
      form: 'later',
      ak,
      document: { publicKey: compressed },
    },
  );
  await row('quote.ak-mismatch', 'ak-text', 'public_key of the document is some other text', {
    form: 'later',
    ak,
    document: { publicKey: new TextEncoder().encode('-----BEGIN PUBLIC KEY-----') },
  });
  const offCurve = { ...ak, point: flipBit(ak.point, 65 * 8 - 1) };
  await row('quote.ak-malformed', 'ak-off-curve', 'AK that is not on P-256, the same everywhere', {
    ak: offCurve,
  });
  await kit.document(
    'quote.missing',
    [
      'quote-missing',
      'a quote was asked for, there is only a document',
      'who has no TPM to quote with',
    ],
    {},
    { options: { nonce: encodeHex(kit.nonce), requireQuote: true } },
  );
}

async function attributes(kit: CaseKit): Promise<void> {
  const forger = 'who has an unrestricted key in the TPM sign a TPMS_ATTEST made by software';
  const ak = await mintAk();
  const row = (code: Code, id: string, title: string, tpmtPublic: Uint8Array) =>
    kit.bundle(code, [`quote-${id}`, title, forger], { ak, tpmtPublic, form: 'later' });
  for (const name of [
    'restricted',
    'sign',
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
  ] as const)
    await row(
      'quote.ak-attributes',
      `ak-not-${name.toLowerCase()}`,
      `AK without ${name}`,
      writeTpmtPublic(ak, { attributes: AK_ATTRIBUTES & ~ATTRIBUTE[name] }),
    );
  const good = writeTpmtPublic(ak);
  await row(
    'quote.ak-mismatch',
    'tpmt-other',
    'TPMT_PUBLIC of another key that has the right attributes',
    writeTpmtPublic(await mintAk()),
  );
  await row('quote.ak-malformed', 'tpmt-truncated', 'TPMT_PUBLIC cut short', good.slice(0, -1));
  await row(
    'quote.ak-malformed',
    'tpmt-trailing',
    'bytes after TPMT_PUBLIC',
    concatBytes(good, Uint8Array.of(0)),
  );
  await row(
    'quote.ak-malformed',
    'tpmt-rsa',
    'TPMT_PUBLIC of type RSA',
    writeTpmtPublic(ak, { type: TPM.RSA }),
  );
  await row(
    'quote.ak-malformed',
    'tpmt-curve',
    'TPMT_PUBLIC on another curve',
    writeTpmtPublic(ak, { curve: 0x0004 }),
  );
}

async function signatures(kit: CaseKit): Promise<void> {
  const forger = 'who edits a quote or makes one without the key';
  const row = (code: Code, id: string, title: string, quote: QuoteOverrides) =>
    kit.bundle(code, [`quote-${id}`, title, forger], { quote });
  const stranger = await mintAk();
  await row('quote.signature-invalid', 'signature-other-key', 'quote signed by another key', {
    signWith: stranger.keys.privateKey,
  });
  await row('quote.signature-invalid', 'signature-bit', 'one bit of s flipped', {
    rawSignature: (raw) => flipBit(raw, 500),
  });
  await row('quote.signature-invalid', 'signature-sha384', 'quote signed over SHA-384', {
    hash: 'SHA-384',
  });
  for (const which of ['r', 's'] as const)
    for (const [id, title, value] of [
      ['n', 'the order n', ORDER['P-256']],
      ['max', 'all ones', (1n << 256n) - 1n],
    ] as const)
      await row('quote.signature-invalid', `signature-${which}-${id}`, `${which} is ${title}`, {
        rawSignature: (raw) => replaceHalf(raw, which, value),
      });
  const malformed = (id: string, title: string, quote: QuoteOverrides) =>
    row('quote.signature-malformed', `signature-${id}`, title, quote);
  const withR = (edit: (r: Uint8Array) => Uint8Array) => (der: Uint8Array) => {
    const [r, s] = children(der) as [Uint8Array, Uint8Array];
    return sequence(integerOf(edit(contentsOf(r))), s);
  };
  for (const which of ['r', 's'] as const)
    await malformed(`${which}-zero`, `${which} is zero`, {
      rawSignature: (raw) => replaceHalf(raw, which, 0n),
    });
  await malformed('padded', 'r with a needless zero byte', {
    until: (raw) => (raw[0] as number) < 0x80,
    signature: withR((r) => concatBytes(Uint8Array.of(0), r)),
  });
  await malformed('negative', 'r without the zero byte that makes it positive', {
    until: (raw) => (raw[0] as number) >= 0x80,
    signature: withR((r) => r.subarray(1)),
  });
  await malformed('long-form', 'length in the long form', {
    signature: (der) => tlv(0x30, contentsOf(der), 1),
  });
  await malformed('indefinite', 'SEQUENCE of indefinite length', {
    signature: (der) => concatBytes(Uint8Array.of(0x30, 0x80), contentsOf(der), new Uint8Array(2)),
  });
  await malformed('trailing', 'a byte after the SEQUENCE', {
    signature: (der) => concatBytes(der, Uint8Array.of(0)),
  });
  await malformed('third', 'a third number in the SEQUENCE', {
    signature: (der) => tlv(0x30, concatBytes(contentsOf(der), integerOf(Uint8Array.of(1)))),
  });
  await malformed('one-number', 'only one number', {
    signature: (der) => sequence(children(der)[0] as Uint8Array),
  });
  await malformed('raw', 'signature as r || s', {
    signature: () => new Uint8Array(64).fill(0x41),
  });
  await malformed('huge', 'r of 100 bytes', {
    signature: withR(() => new Uint8Array(100).fill(0x41)),
  });
}

async function contents(kit: CaseKit): Promise<void> {
  const forger = 'who has the TPM sign something else and presents it as a quote';
  const replayer = 'who joins a fresh document with an old quote, whose PCRs were still good';
  const row = (code: Code, id: string, title: string, quote: QuoteOverrides, attacker = forger) =>
    kit.bundle(code, [`quote-${id}`, title, attacker], { quote });
  await row('quote.not-a-quote', 'type-certify', 'TPM2_Certify (0x8017)', {
    type: TPM.ST_ATTEST_CERTIFY,
  });
  await row('quote.not-a-quote', 'type-creation', 'TPM2_CertifyCreation (0x801a)', {
    type: 0x801a,
  });
  await row('quote.not-tpm-generated', 'magic', 'magic that is not TPM_GENERATED', {
    magic: 0xff544346,
  });
  await row('quote.not-tpm-generated', 'tpm2b', 'TPMS_ATTEST with a TPM2B size in front', {
    attest: (bytes) => concatBytes(Uint8Array.of(0, bytes.length), bytes),
  });
  await row('quote.malformed', 'trailing', 'a byte after TPMS_ATTEST', {
    attest: (bytes) => concatBytes(bytes, Uint8Array.of(0)),
  });
  await row('quote.malformed', 'truncated', 'TPMS_ATTEST without its last byte', {
    attest: (bytes) => bytes.slice(0, -1),
  });
  await row('quote.malformed', 'truncated-name', 'TPMS_ATTEST cut inside the name', {
    attest: (bytes) => bytes.slice(0, 20),
  });
  await row('quote.malformed', 'selection-count', '2^32 - 1 PCR selections declared', {
    attest: (bytes) => {
      const copy = new Uint8Array(bytes);
      copy.fill(0xff, selectionsAt(copy), selectionsAt(copy) + 4);
      return copy;
    },
  });
  await row('quote.malformed', 'name-length', 'name longer than what follows', {
    attest: (bytes) => {
      const copy = new Uint8Array(bytes);
      copy.set([0xff, 0xff], 6);
      return copy;
    },
  });
  const nonces: (readonly [id: string, title: string, nonce: Uint8Array])[] = [
    ['other', 'nonce of the quote differs from the document’s', new Uint8Array(32).fill(9)],
    ['shorter', 'nonce of the quote is the beginning of the document’s', kit.nonce.slice(0, 31)],
    ['longer', 'nonce of the quote goes on after the document’s', Uint8Array.of(...kit.nonce, 0)],
    ['empty', 'quote without a nonce', new Uint8Array(0)],
  ];
  for (const [id, title, nonce] of nonces)
    await row('quote.nonce-mismatch', `nonce-${id}`, title, { nonce }, replayer);
  await kit.bundle(
    'quote.nonce-mismatch',
    ['quote-nonce-document-without', 'document without a nonce', replayer],
    { form: 'later', document: { nonce: undefined } },
    { options: {} },
  );
  await kit.bundle(
    'freshness.nonce-mismatch',
    ['quote-nonce-old', 'quote, document and JSON agree on an old nonce', replayer],
    { nonce: new Uint8Array(32).fill(8) },
  );
}

/** Offset of the count of PCR selections. */
const selectionsAt = (attest: Uint8Array): number => {
  const name = 6 + 2 + (((attest[6] as number) << 8) | (attest[7] as number));
  return name + 2 + (((attest[name] as number) << 8) | (attest[name + 1] as number)) + 17 + 8;
};

async function selections(kit: CaseKit): Promise<void> {
  const chooser = 'who quotes PCRs that prove nothing and hopes that nobody looks at which';
  const row = (
    code: Code,
    id: string,
    title: string,
    quote: QuoteOverrides,
    rest: CaseOverrides = {},
  ) => kit.bundle(code, [`quote-${id}`, title, chooser], { quote }, rest);
  const all = pcrBitmap(nitroTpmPcrs().keys());
  const bad = (id: string, title: string, chosen: NonNullable<QuoteOverrides['selections']>) =>
    row('quote.pcr-selection', `selection-${id}`, title, { selections: chosen });
  await bad('none', 'no selection at all', []);
  await bad('partial', 'PCR4 and PCR12 only, not what the document proves', [
    { hash: TPM.SHA384, bitmap: pcrBitmap([4, 12]) },
  ]);
  await bad('empty', 'SHA-384 bank with no PCR chosen', [
    { hash: TPM.SHA384, bitmap: new Uint8Array(3) },
  ]);
  await bad('sha256', 'SHA-256 bank, which the document does not prove', [
    { hash: TPM.SHA256, bitmap: all },
  ]);
  await bad('two-banks', 'SHA-256 and SHA-384 banks', [
    { hash: TPM.SHA256, bitmap: all },
    { hash: TPM.SHA384, bitmap: all },
  ]);
  await bad('pcr-24', 'PCR24, which the document does not carry', [
    { hash: TPM.SHA384, bitmap: pcrBitmap([4, 24], 4) },
  ]);
  await bad('unknown-bank', 'a bank with an unknown algorithm', [{ hash: 0x7fff, bitmap: all }]);
  const digest = (id: string, title: string, quote: QuoteOverrides) =>
    row('quote.pcr-digest-mismatch', `digest-${id}`, title, quote);
  await digest('other-image', 'quote over the PCRs of another image', {
    pcrs: nitroTpmPcrs('another image'),
  });
  await digest('one-pcr', 'quote in which PCR23 was extended after the document', {
    pcrs: withPcrs(nitroTpmPcrs(), { 23: sha384('later') }),
  });
  await digest('zero', 'digest of zeros', { digest: new Uint8Array(32) });
  await digest('sha384', 'digest made with SHA-384', {
    digest: sha384(concatBytes(...nitroTpmPcrs().values())),
  });
  await digest('empty', 'digest of no bytes', { digest: new Uint8Array(0) });
}
