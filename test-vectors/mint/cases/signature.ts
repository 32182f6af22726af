import { p384 } from '@noble/curves/nist.js';
import { concatBytes } from '../../../src/bytes/bytes.js';
import type { Code } from '../../../src/result/codes.js';
import { manifestFor } from '../bundle.js';
import { algorithm, changePath, ecKeyInfo, OID } from '../certificate.js';
import { flipBit, generateKeys, ORDER, publicPoint, replaceHalf, toBytes } from '../ecdsa.js';
import { nitroTpmPcrs } from '../pcrs.js';
import { MODULE_ID, withLeafKey } from '../pki.js';
import { array, bstr } from '../raw-cbor.js';
import { bitString, hex, sequence, unsignedInteger } from '../raw-der.js';
import type { CaseKit } from '../vector-case.js';

/** Signatures of documents and certificates, and the keys that certificates hold. */
export async function signatureCases(kit: CaseKit): Promise<void> {
  await documentSignatures(kit);
  await certificateSignatures(kit);
  await keys(kit);
}

async function documentSignatures(kit: CaseKit): Promise<void> {
  const forger = 'who edits a document between the machine and the relying party';
  const bad = (id: string, title: string, overrides: Parameters<CaseKit['document']>[2]) =>
    kit.document('cose.signature-invalid', [`signature-${id}`, title, forger], overrides);
  for (const [id, title, bit] of [
    ['flip-r', 'one bit of r flipped', 7],
    ['flip-r-last', 'last bit of r flipped', 383],
    ['flip-s', 'one bit of s flipped', 390],
    ['flip-s-last', 'last bit of s flipped', 767],
  ] as const)
    await bad(id, title, { signature: (raw) => flipBit(raw, bit) });
  const n = ORDER['P-384'];
  for (const which of ['r', 's'] as const)
    for (const [id, title, value] of [
      ['zero', 'zero', 0n],
      ['n', 'the order n', n],
      ['n-plus-1', 'n + 1', n + 1n],
      ['max', 'all ones', (1n << 384n) - 1n],
    ] as const)
      await bad(`${which}-${id}`, `${which} is ${title}`, {
        signature: (raw) => replaceHalf(raw, which, value),
      });
  await bad('zero', 'signature of 96 zero bytes', { signature: () => new Uint8Array(96) });
  await bad('swapped', 'r and s swapped', {
    signature: (raw) => concatBytes(raw.subarray(48), raw.subarray(0, 48)),
  });
  const userData = new TextEncoder().encode('release the money to account 1');
  await bad('payload-bit', 'one bit of user_data flipped', {
    userData,
    envelope: (items) => {
      const at = Buffer.from(items.payload).indexOf(Buffer.from(userData));
      const payload = flipBit(items.payload, (at + userData.length - 1) * 8 + 6);
      return array(items.protectedHeader, items.unprotectedHeader, payload, items.signature);
    },
  });
  await bad('pcr-replaced', 'PCR4 replaced by the expected one', {
    pcrs: nitroTpmPcrs('evil image'),
    envelope: (items) => {
      const wanted = nitroTpmPcrs().get(4) as Uint8Array;
      const payload = new Uint8Array(items.payload);
      payload.set(
        wanted,
        Buffer.from(payload).indexOf(Buffer.from(nitroTpmPcrs('evil image').get(4) as Uint8Array)),
      );
      return array(items.protectedHeader, items.unprotectedHeader, payload, items.signature);
    },
  });
  const definite = await kit.mintDocument({ mapForm: 'definite' });
  await bad('reencoded', 'an indefinite payload written anew as a definite map', {
    envelope: (items) => {
      const payload = definite.subarray(10, definite.length - 98);
      return array(items.protectedHeader, items.unprotectedHeader, bstr(payload), items.signature);
    },
  });
  const stranger = await generateKeys('P-384');
  await bad('other-key', 'signed by a key that nobody certified, with a genuine chain', {
    signWith: stranger.privateKey,
  });
  await bad('context', 'signed as a Signature of COSE_Sign', { context: 'Signature' });
  await bad('aad', 'signed with external data', { externalAad: Uint8Array.of(1) });
  await bad('spliced', 'signature of another document by the same leaf', {
    signature: await signatureOfAnother(kit),
  });
  await kit.document(
    'cose.signature-invalid',
    [
      'signature-before-appraisal',
      'wrong signature and wrong PCRs: nothing may be said about the PCRs',
      forger,
    ],
    { signature: (raw) => flipBit(raw, 100) },
    { manifest: manifestFor(nitroTpmPcrs('another image')) },
  );
  await kit.document(
    'cose.algorithm-unsupported',
    ['signature-protected-bit', 'one bit of the protected header flipped', forger],
    {
      envelope: (items) =>
        array(
          flipBit(items.protectedHeader, 39),
          items.unprotectedHeader,
          items.payload,
          items.signature,
        ),
    },
  );
}

async function signatureOfAnother(kit: CaseKit): Promise<(raw: Uint8Array) => Uint8Array> {
  const other = await kit.mintDocument({ userData: Uint8Array.of(1) });
  return () => other.slice(-96);
}

async function certificateSignatures(kit: CaseKit): Promise<void> {
  const forger = 'who makes a certificate and hopes that one link is not checked';
  const path = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  const stranger = await generateKeys('P-384');
  for (const level of ['leaf', 'instance', 'zonal', 'regional'] as const)
    await kit.document(
      'x509.signature-invalid',
      [`x509-signature-${level}`, `${level} certificate signed by a stranger`, forger],
      { path: await changePath(path, level, { signWith: stranger.privateKey }) },
    );
  const one = unsignedInteger(Uint8Array.of(1));
  const n = unsignedInteger(toBytes(ORDER['P-384'], 48));
  const zero = unsignedInteger(Uint8Array.of(0));
  for (const [code, id, title, signature] of [
    ['x509.malformed', 'r-zero', 'r zero', sequence(zero, one)],
    ['x509.malformed', 's-zero', 's zero', sequence(one, zero)],
    ['x509.signature-invalid', 'r-n', 'r is the order n', sequence(n, one)],
    ['x509.signature-invalid', 's-n', 's is the order n', sequence(one, n)],
  ] as const)
    await kit.document(code, [`x509-signature-${id}`, `certificate signature: ${title}`, forger], {
      path: await changePath(path, 'leaf', { signature: () => signature }),
    });
  await kit.document(
    'x509.signature-invalid',
    ['x509-tbs-bit', 'one bit of a certificate’s subject flipped', forger],
    {
      path: await changePath(path, 'leaf', {
        certificate: (der) => flipBit(der, (Buffer.from(der).indexOf('NOT AWS', 200) + 4) * 8 + 6),
      }),
    },
  );
}

async function keys(kit: CaseKit): Promise<void> {
  const gain = 'who looks for keys whose signatures can be computed';
  const path = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  const point = await publicPoint(path.leaf.keys);
  const row = async (
    id: string,
    title: string,
    keyInfo: Uint8Array,
    code: Code = 'x509.public-key-invalid',
  ): Promise<void> =>
    kit.document(code, [`x509-key-${id}`, title, gain], {
      path: await withLeafKey(path, path.leaf.keys, keyInfo),
    });
  const x = point.subarray(1, 49);
  const y = point.subarray(49);
  await row(
    'compressed',
    'compressed point',
    ecKeyInfo(concatBytes(Uint8Array.of(2 + ((y[47] as number) & 1)), x)),
  );
  await row(
    'hybrid',
    'hybrid point',
    ecKeyInfo(concatBytes(Uint8Array.of(6 + ((y[47] as number) & 1)), x, y)),
  );
  await row(
    'oversized',
    'point of one byte too many',
    ecKeyInfo(concatBytes(point, Uint8Array.of(0))),
  );
  await row('truncated', 'point of one byte too few', ecKeyInfo(point.subarray(0, 96)));
  await row('empty', 'point of no bytes', ecKeyInfo(new Uint8Array(0)));
  await row('infinity', 'point at infinity', ecKeyInfo(Uint8Array.of(0)));
  await row('off-curve', 'point that is not on the curve', ecKeyInfo(flipBit(point, 97 * 8 - 1)));
  await row('zero', 'point (0, 0)', ecKeyInfo(concatBytes(Uint8Array.of(4), new Uint8Array(96))));
  const p = p384.Point.CURVE().p;
  const small = smallestX();
  await row(
    'coordinate-p',
    'x of a point on the curve, written with p added',
    ecKeyInfo(concatBytes(Uint8Array.of(4), toBytes(small.x + p, 48), toBytes(small.y, 48))),
  );
  const p256 = await generateKeys('P-256');
  await row(
    'p256',
    'key on P-256',
    ecKeyInfo(await publicPoint(p256), OID.prime256v1),
    'x509.algorithm-unsupported',
  );
  await row(
    'curve-mislabelled',
    'P-384 point said to be on P-256',
    ecKeyInfo(point, OID.prime256v1),
    'x509.algorithm-unsupported',
  );
  await row(
    'explicit-curve',
    'curve given by its parameters (CVE-2020-0601)',
    sequence(
      algorithm(OID.ecPublicKey, sequence(unsignedInteger(Uint8Array.of(1)))),
      bitString(point),
    ),
    'x509.malformed',
  );
  await row(
    'rsa',
    'RSA key',
    sequence(
      algorithm(OID.rsaEncryption, hex('0500')),
      bitString(
        sequence(unsignedInteger(new Uint8Array(128).fill(0xc5)), unsignedInteger(hex('010001'))),
      ),
    ),
    'x509.algorithm-unsupported',
  );
  await row(
    'no-curve',
    'EC key without a curve',
    sequence(algorithm(OID.ecPublicKey), bitString(point)),
    'x509.malformed',
  );
}

/** The point with the smallest x on P-384, whose x + p still fits in 48 bytes. */
function smallestX(): { x: bigint; y: bigint } {
  for (let x = 0n; ; x++)
    try {
      const point = p384.Point.fromHex(`02${x.toString(16).padStart(96, '0')}`).toAffine();
      return point;
    } catch {}
}
