import { encodeHex } from '../../../src/bytes/hex.js';
import type { BundleJson } from '../bundle.js';
import { mintBundle } from '../bundle.js';
import { bundleInput, type CaseKit, documentInput, textInput } from '../vector-case.js';

/** What is wrong before any cryptography: size, form, JSON, fields, platform. */
export async function evidenceCases(kit: CaseKit): Promise<void> {
  await wholes(kit);
  await bundleFields(kit);
}

async function wholes(kit: CaseKit): Promise<void> {
  const noise = 'anyone who sends rubbish; a verifier that crashes is out of service';
  kit.add('evidence.empty', ['evidence-empty-text', 'empty text', noise], { input: textInput('') });
  kit.add('evidence.empty', ['evidence-empty-bytes', 'no bytes', noise], {
    input: documentInput(new Uint8Array(0)),
  });
  const flood = 'anyone who wants to exhaust the memory of a verifier';
  const document = await kit.mintDocument();
  kit.add(
    'evidence.too-large',
    ['evidence-document-64k', 'document of 64 KiB and one byte', flood],
    {
      input: { ...documentInput(document), padTo: { size: 65_537, with: 0 } },
    },
  );
  const { bundle } = await mintBundle(kit.pki, { nonce: kit.nonce });
  kit.add(
    'evidence.too-large',
    ['evidence-bundle-1m', 'bundle text of 1 MiB and one byte', flood],
    {
      input: { ...textInput(JSON.stringify(bundle)), padTo: { size: 1_048_577, with: 0x20 } },
    },
  );
  for (const [name, text] of [
    ['words', 'hello, world!'],
    ['xml', '<attestation/>'],
    ['odd-hex-like', 'zz-not-hex-and-not-base64!'],
  ] as const)
    kit.add(
      'evidence.unrecognized',
      [`evidence-text-${name}`, `text that is no evidence (${name})`, noise],
      { input: textInput(text) },
    );
  kit.add('evidence.unrecognized', ['evidence-object-empty', 'empty JSON object', noise], {
    input: bundleInput({}),
  });
  kit.add('evidence.unrecognized', ['evidence-object-other', 'JSON of something else', noise], {
    input: bundleInput({ name: 'tee', version: '1.0.0', dependencies: {} }),
  });
  kit.add(
    'evidence.unrecognized',
    [
      'evidence-proto',
      'bundle hidden under __proto__',
      'who hopes that a merge of objects pollutes prototypes or reads inherited fields',
    ],
    { input: textInput(`{"__proto__": ${JSON.stringify(bundle)}}`) },
  );
  const text = JSON.stringify(bundle);
  kit.add('evidence.json-invalid', ['evidence-json-cut', 'JSON cut in the middle', noise], {
    input: textInput(text.slice(0, text.length >> 1)),
  });
  kit.add('evidence.json-invalid', ['evidence-json-trailing', 'text after the JSON', noise], {
    input: textInput(`${text} {}`),
  });
  kit.add('evidence.json-invalid', ['evidence-json-comment', 'JSON with a comment', noise], {
    input: textInput(text.replace('{', '{ // bundle\n')),
  });
}

async function bundleFields(kit: CaseKit): Promise<void> {
  const strip = 'who strips a check from the bundle and hopes that the verifier skips it';
  const shape = 'who sends the wrong types to make a verifier crash or compare unequal things';
  type Row = readonly [id: string, title: string, edit: (bundle: BundleJson) => void];

  const missing: Row[] = [
    ['nitro', 'attestation.nitro missing', (b) => delete b.attestation.nitro],
    ['document', 'document missing', (b) => delete b.attestation.nitro.document],
    ['document-null', 'document is null', (b) => (b.attestation.nitro.document = null)],
    ['attest-data', 'attest_data missing', (b) => delete b.attestation.tpm.ecc_p256.attest_data],
    ['signature', 'quote signature missing', (b) => delete b.attestation.tpm.ecc_p256.signature],
    ['ak', 'public key of the AK missing', (b) => delete b.signing_key_public_keys],
    ['ak-y', 'y of the AK missing', (b) => delete b.signing_key_public_keys.ecc_p256.y],
  ];
  for (const [id, title, edit] of missing)
    await kit.bundle('evidence.field-missing', [`evidence-missing-${id}`, title, strip], {
      json: (bundle) => {
        edit(bundle);
        return bundle;
      },
    });

  const invalid: Row[] = [
    ['document-number', 'document is a number', (b) => (b.attestation.nitro.document = 1)],
    ['document-odd', 'document is hex of odd length', (b) => (b.attestation.nitro.document += 'a')],
    [
      'document-text',
      'document is not hex',
      (b) => (b.attestation.nitro.document = 'not hex at all'),
    ],
    [
      'attest-array',
      'attest_data is an array',
      (b) => (b.attestation.tpm.ecc_p256.attest_data = []),
    ],
    [
      'signature-text',
      'quote signature is not hex',
      (b) => (b.attestation.tpm.ecc_p256.signature = 'xyz!'),
    ],
    [
      'x-31',
      'x of the AK has 31 bytes',
      (b) => (b.signing_key_public_keys.ecc_p256.x = '11'.repeat(31)),
    ],
    [
      'y-33',
      'y of the AK has 33 bytes',
      (b) => (b.signing_key_public_keys.ecc_p256.y = '11'.repeat(33)),
    ],
    ['nonce', 'nonce is not hex', (b) => (b.attestation.nitro.nonce = 'challenge')],
    ['pcrs-text', 'pcrs is a text', (b) => (b.pcrs = 'all of them')],
    ['pcr-text', 'a PCR is not hex', (b) => (b.pcrs.sha384['4'] = 'latest')],
    ['pcr-index', 'a PCR index is not a number', (b) => (b.pcrs.sha384.four = '00'.repeat(48))],
    ['version', 'unknown version of the bundle', (b) => (b.version = 2)],
    ['event-log', 'event log is not base64', (b) => (b.event_log = '***')],
    [
      'tpmt-public',
      'tpmt_public is not hex',
      (b) => (b.signing_key_public_keys.ecc_p256.tpmt_public = 'q'),
    ],
    ['attestation-array', 'attestation is an array', (b) => (b.attestation = [])],
  ];
  for (const [id, title, edit] of invalid)
    await kit.bundle('evidence.field-invalid', [`evidence-invalid-${id}`, title, shape], {
      json: (bundle) => {
        edit(bundle);
        return bundle;
      },
    });

  const other = 'who presents the evidence of a cloud whose checks are not made here';
  await kit.bundle(
    'evidence.platform-unsupported',
    ['evidence-platform-gcp', 'bundle of another cloud', other],
    {
      form: 'later',
      json: (b) => {
        b.attestation.gcp = { ak_cert_chain: '-----BEGIN CERTIFICATE-----' };
        delete b.attestation.nitro;
        return b;
      },
    },
  );
  await kit.bundle(
    'evidence.platform-unsupported',
    ['evidence-platform-both', 'bundle with nitro and another cloud side by side', other],
    {
      form: 'later',
      json: (b) => {
        b.attestation.gcp = { ak_cert_chain: '-----BEGIN CERTIFICATE-----' };
        return b;
      },
    },
  );
  await kit.bundle(
    'evidence.platform-unsupported',
    ['evidence-platform-unknown', 'bundle of a platform nobody knows', other],
    {
      form: 'later',
      json: (b) => {
        b.attestation.azure = { report: encodeHex(Uint8Array.of(1)) };
        delete b.attestation.nitro;
        return b;
      },
    },
  );
}
