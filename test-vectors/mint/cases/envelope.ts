import { concatBytes } from '../../../src/bytes/bytes.js';
import type { Code } from '../../../src/result/codes.js';
import type { DocumentOverrides, EnvelopeItems } from '../document.js';
import { mintEnvelope } from '../document.js';
import { rawToDer } from '../ecdsa.js';
import { array, bstr, indefinite, int, map, NULL, tstr } from '../raw-cbor.js';
import { type CaseKit, documentInput } from '../vector-case.js';

/** COSE_Sign1: its structure, its algorithm and its sizes (RFC 9052, 4.2). */
export async function envelopeCases(kit: CaseKit): Promise<void> {
  await structure(kit);
  await algorithm(kit);
  await sizes(kit);
}

async function structure(kit: CaseKit): Promise<void> {
  const gain = 'who looks for an envelope whose signature check can be skipped';
  const row = (
    id: string,
    title: string,
    envelope: (items: EnvelopeItems) => Uint8Array,
    code: Code = 'cose.malformed',
  ) => kit.document(code, [`cose-${id}`, title, gain], { envelope });
  // Bytes that do not even begin like a COSE_Sign1 (84, 9f or tag 18) are no evidence at all.
  const foreign = (id: string, title: string, envelope: (items: EnvelopeItems) => Uint8Array) =>
    row(id, title, envelope, 'evidence.unrecognized');

  await foreign('three-items', 'envelope without its signature', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, i.payload),
  );
  await foreign('five-items', 'envelope with a fifth item', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, i.payload, i.signature, NULL),
  );
  await row('five-items-indefinite', 'indefinite envelope with a fifth item', (i) =>
    indefinite(4, i.protectedHeader, i.unprotectedHeader, i.payload, i.signature, NULL),
  );
  await foreign('empty-array', 'empty array', () => array());
  await foreign('map', 'envelope as a map', (i) =>
    map([int(0), i.protectedHeader], [int(1), i.payload], [int(2), i.signature]),
  );
  await foreign('payload-only', 'the payload without an envelope', (i) => i.payload);
  await row('protected-map', 'protected header not wrapped in bytes', (i) =>
    array(map([int(1), int(-35)]), i.unprotectedHeader, i.payload, i.signature),
  );
  await row('unprotected-array', 'unprotected header as an array', (i) =>
    array(i.protectedHeader, array(), i.payload, i.signature),
  );
  await row('unprotected-null', 'unprotected header null', (i) =>
    array(i.protectedHeader, NULL, i.payload, i.signature),
  );
  await row('payload-null', 'detached payload (null)', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, NULL, i.signature),
  );
  await row('payload-text', 'payload as a text', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, tstr('payload'), i.signature),
  );
  await row('signature-null', 'signature null', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, i.payload, NULL),
  );
  await row('signature-array', 'signature as an array', (i) =>
    array(i.protectedHeader, i.unprotectedHeader, i.payload, array(i.signature)),
  );
  await kit.document(
    'cose.malformed',
    ['cose-protected-text', 'protected header holds a text', gain],
    {
      protectedHeader: tstr('alg'),
    },
  );
  await kit.document(
    'cose.malformed',
    [
      'cose-critical-header',
      'a critical header that is not understood (RFC 9052, 3.1)',
      'who adds a header that changes the meaning of the signature',
    ],
    { protectedHeader: map([int(1), int(-35)], [int(2), array(int(99))], [int(99), int(1)]) },
  );
}

async function algorithm(kit: CaseKit): Promise<void> {
  const gain = 'who wants a weaker or no algorithm to be used for the check';
  const rows: (readonly [id: string, title: string, header: Uint8Array])[] = [
    ['es256', 'ES256 instead of ES384', map([int(1), int(-7)])],
    ['es512', 'ES512 instead of ES384', map([int(1), int(-36)])],
    ['hmac', 'HMAC 256/256, keyed with what everybody knows', map([int(1), int(5)])],
    ['text', 'algorithm as a text', map([int(1), tstr('ES384')])],
    ['null', 'algorithm null', map([int(1), NULL])],
    ['absent', 'no algorithm', map()],
    ['header-empty', 'protected header of no bytes', new Uint8Array(0)],
  ];
  for (const [id, title, protectedHeader] of rows)
    await kit.document('cose.algorithm-unsupported', [`cose-algorithm-${id}`, title, gain], {
      protectedHeader,
    });
  await kit.document(
    'cose.algorithm-unsupported',
    ['cose-algorithm-unprotected', 'algorithm only in the unprotected header', gain],
    {
      protectedHeader: map(),
      envelope: (i) => array(i.protectedHeader, map([int(1), int(-35)]), i.payload, i.signature),
    },
  );
}

async function sizes(kit: CaseKit): Promise<void> {
  const gain = 'who looks for a size that makes a verifier read past a buffer or skip the check';
  const row = (code: Code, id: string, title: string, overrides: DocumentOverrides) =>
    kit.document(code, [`cose-${id}`, title, gain], overrides);

  await row('cose.payload-size', 'payload-empty', 'payload of no bytes', {
    payload: () => new Uint8Array(0),
  });
  await row('cose.payload-size', 'payload-16385', 'payload of 16385 bytes, validly signed', {
    payload: (bytes) => {
      const room = 16_385 - bytes.length - tstr('x').length - 3;
      return concatBytes(
        bytes.slice(0, -1),
        tstr('x'),
        bstr(new Uint8Array(room)),
        bytes.slice(-1),
      );
    },
  });
  await row('cose.signature-size', 'signature-empty', 'signature of no bytes', {
    signature: () => new Uint8Array(0),
  });
  await row('cose.signature-size', 'signature-95', 'signature of 95 bytes', {
    signature: (raw) => raw.slice(1),
  });
  await row('cose.signature-size', 'signature-97', 'signature of 97 bytes', {
    signature: (raw) => concatBytes(raw, Uint8Array.of(0)),
  });
  await row('cose.signature-size', 'signature-64', 'signature of an ES256 size', {
    signature: (raw) => raw.slice(0, 64),
  });
  await row('cose.signature-size', 'signature-der', 'signature in DER', {
    signature: (raw) => rawToDer(raw),
  });

  const { leaf } = await kit.pki.issuePath(
    'i-0123456789abcdef0-tpm0000000000000000',
    kit.documentMs,
  );
  const shape = 'who has something signed by the same key that is no attestation document';
  for (const [id, title, payload] of [
    ['array', 'signed payload is an array', array(int(1))],
    ['text', 'signed payload is a text', tstr('attestation')],
  ] as const)
    kit.add('document.malformed', [`document-${id}`, title, shape], {
      input: documentInput(await mintEnvelope(payload, leaf.keys.privateKey)),
    });
}
