import type { Code } from '../../../src/result/codes.js';
import { manifestFor } from '../bundle.js';
import type { DocumentOverrides } from '../document.js';
import { pcrMap } from '../document.js';
import { enclavePcrs, nitroTpmPcrs, ZERO_PCR } from '../pcrs.js';
import { array, bstr, int, map, NULL, tstr } from '../raw-cbor.js';
import type { CaseKit, CaseOverrides } from '../vector-case.js';

/** The document's own rules, each broken in a payload that is validly signed. */
export async function fieldCases(kit: CaseKit): Promise<void> {
  const gain = 'who finds a signer of odd documents, or a parser that reads a default into a gap';
  const row = (
    code: Code,
    id: string,
    title: string,
    overrides: DocumentOverrides,
    rest: CaseOverrides = {},
  ): Promise<void> => kit.document(code, [`document-${id}`, title, gain], overrides, rest);
  const field = (code: Code, id: string, title: string, name: string, value?: Uint8Array) =>
    row(code, id, title, { fields: { [name]: value } });

  for (const name of [
    'module_id',
    'digest',
    'timestamp',
    'nitrotpm_pcrs',
    'certificate',
    'cabundle',
  ])
    await field(
      'document.field-missing',
      `missing-${name.replace('_', '-')}`,
      `${name} missing`,
      name,
    );

  await field('document.field-size', 'module-id-empty', 'module_id empty', 'module_id', tstr(''));
  for (const name of ['timestamp', 'nitrotpm_pcrs', 'certificate', 'cabundle'])
    await field(
      'document.field-missing',
      `null-${name.replace('_', '-')}`,
      `${name} null`,
      name,
      NULL,
    );
  const types: (readonly [id: string, title: string, name: string, value: Uint8Array])[] = [
    ['module-id-bytes', 'module_id as bytes', 'module_id', bstr(Uint8Array.of(0x69))],
    ['digest-number', 'digest as a number', 'digest', int(384)],
    ['timestamp-text', 'timestamp as a text', 'timestamp', tstr('2026-03-01T12:00:00Z')],
    [
      'timestamp-float',
      'timestamp as a floating-point number',
      'timestamp',
      Uint8Array.of(0xfb, 0x42, 0x79, 0xc0, 0, 0, 0, 0, 0),
    ],
    ['pcrs-array', 'PCRs as an array', 'nitrotpm_pcrs', array(bstr(ZERO_PCR))],
    ['pcr-text', 'a PCR as a text', 'nitrotpm_pcrs', map([int(4), tstr('00'.repeat(24))])],
    ['certificate-text', 'certificate as a text', 'certificate', tstr('MIIC')],
    ['cabundle-bytes', 'cabundle as bytes', 'cabundle', bstr(Uint8Array.of(1))],
    ['cabundle-map', 'cabundle as a map', 'cabundle', map([int(0), bstr(Uint8Array.of(1))])],
    ['cabundle-item-text', 'an item of cabundle as a text', 'cabundle', array(tstr('MIIC'))],
    ['public-key-text', 'public_key as a text', 'public_key', tstr('04')],
    ['user-data-array', 'user_data as an array', 'user_data', array(int(1))],
    ['nonce-number', 'nonce as a number', 'nonce', int(7)],
    ['nonce-false', 'nonce false', 'nonce', Uint8Array.of(0xf4)],
  ];
  for (const [id, title, name, value] of types)
    await field('document.field-type', id, title, name, value);

  await field(
    'document.digest-unsupported',
    'digest-sha256',
    'digest SHA256',
    'digest',
    tstr('SHA256'),
  );
  await field(
    'document.digest-unsupported',
    'digest-lower',
    'digest sha384',
    'digest',
    tstr('sha384'),
  );
  await field('document.digest-unsupported', 'digest-empty', 'digest empty', 'digest', tstr(''));

  const timestamps: (readonly [id: string, title: string, value: Uint8Array])[] = [
    ['zero', 'timestamp 0', int(0)],
    ['negative', 'timestamp negative', int(-1)],
    ['seconds', 'timestamp in seconds: 1970', int(Math.floor(kit.documentMs / 1000))],
    ['64-bit', 'timestamp 2^64 - 1', int(0xffffffffffffffffn)],
  ];
  for (const [id, title, value] of timestamps)
    await field('document.timestamp-invalid', `timestamp-${id}`, title, 'timestamp', value);

  const pcrs = (...more: (readonly [Uint8Array, Uint8Array])[]): Uint8Array =>
    map(...[...nitroTpmPcrs()].map(([i, value]) => [int(i), bstr(value)] as const), ...more);
  const name = 'nitrotpm_pcrs';
  await field(
    'document.pcr-index',
    'pcr-index-32',
    'PCR index 32',
    name,
    pcrs([int(32), bstr(ZERO_PCR)]),
  );
  await field(
    'document.pcr-index',
    'pcr-index-negative',
    'PCR index -1',
    name,
    pcrs([int(-1), bstr(ZERO_PCR)]),
  );
  await field(
    'document.pcr-index',
    'pcr-index-256',
    'PCR index 260, which a byte would read as 4',
    name,
    pcrs([int(260), bstr(ZERO_PCR)]),
  );
  await field(
    'document.pcr-index',
    'pcr-index-text',
    'a PCR index as a text',
    name,
    pcrs([tstr('4'), bstr(ZERO_PCR)]),
  );
  for (const size of [0, 20, 32, 47, 49, 64])
    await row('document.pcr-size', `pcr-size-${size}`, `PCR4 of ${size} bytes`, {
      pcrs: new Map(nitroTpmPcrs()).set(4, new Uint8Array(size)),
    });
  await field('document.pcr-count', 'pcrs-none', 'no PCRs', name, map());
  await row('document.pcr-count', 'pcrs-33', '33 PCRs', {
    pcrs: new Map(Array.from({ length: 33 }, (_, i) => [i, ZERO_PCR] as const)),
  });
  await row('document.pcrs-ambiguous', 'pcrs-both', 'pcrs beside nitrotpm_pcrs', {
    extra: [[tstr('pcrs'), pcrMap(enclavePcrs())]],
  });

  const long = new Uint8Array(1025).fill(0x30);
  const sizes: (readonly [id: string, title: string, overrides: DocumentOverrides])[] = [
    ['certificate-empty', 'certificate of no bytes', { certificate: new Uint8Array(0) }],
    ['certificate-1025', 'certificate of 1025 bytes', { certificate: long }],
    ['cabundle-empty', 'cabundle without certificates', { cabundle: [] }],
    [
      'cabundle-item-empty',
      'a certificate of no bytes in cabundle',
      { cabundle: [kit.pki.rootDer, new Uint8Array(0)] },
    ],
    [
      'cabundle-item-1025',
      'a certificate of 1025 bytes in cabundle',
      { cabundle: [kit.pki.rootDer, long] },
    ],
    ['public-key-1025', 'public_key of 1025 bytes', { publicKey: long }],
    ['user-data-1025', 'user_data of 1025 bytes', { userData: long }],
  ];
  for (const [id, title, overrides] of sizes)
    await row('document.field-size', id, title, overrides);
  await row(
    'document.field-size',
    'nonce-1025',
    'nonce of 1025 bytes',
    { nonce: long },
    { options: {} },
  );

  await kit.document(
    'manifest.platform-mismatch',
    [
      'platform-enclave-for-nitrotpm',
      'enclave document against a NitroTPM manifest',
      'who can start an enclave and influence its PCR4 by the instance it runs on',
    ],
    { platform: 'enclave' },
    { manifest: manifestFor(nitroTpmPcrs()) },
  );
  await kit.document(
    'manifest.platform-mismatch',
    [
      'platform-nitrotpm-for-enclave',
      'NitroTPM document against an enclave manifest',
      'who runs an ordinary instance and extends its PCRs to the values of an enclave',
    ],
    { pcrs: new Map(Array.from(nitroTpmPcrs(), ([i, v]) => [i, enclavePcrs().get(i) ?? v])) },
    { manifest: manifestFor(enclavePcrs(), 'enclave') },
  );
}
