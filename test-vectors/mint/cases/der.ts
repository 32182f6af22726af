import { concatBytes } from '../../../src/bytes/bytes.js';
import type { Code } from '../../../src/result/codes.js';
import {
  addExtensions,
  algorithm,
  type CertificateChange,
  type CertificateParts,
  changePath,
  editExtension,
  extension,
  OID,
  oid,
  type PathLevel,
  time,
  timeOf,
  withTrailing,
} from '../certificate.js';
import { MODULE_ID } from '../pki.js';
import {
  bitString,
  children,
  contentsOf,
  hex,
  integerOf,
  octetString,
  retag,
  sequence,
  tlv,
} from '../raw-der.js';
import type { CaseKit, Expectation } from '../vector-case.js';

const PARSER = 'who gets a CA to sign odd bytes that two parsers read as two certificates';
const NULL_DER = hex('0500');

/** Strict DER: every deviation below is signed by the right issuer, so only the parser can refuse it. */
export async function derCases(kit: CaseKit): Promise<void> {
  await lengthsAndTags(kit);
  await trailingFields(kit);
  await values(kit);
  await dates(kit);
}

/** Adds a case with one certificate of the path changed. */
export async function pathCase(
  kit: CaseKit,
  expected: Expectation,
  [id, title, attacker]: readonly [string, string, string],
  level: PathLevel,
  change: CertificateChange,
): Promise<void> {
  const good = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  await kit.document(expected, [`x509-${id}`, title, attacker], {
    path: await changePath(good, level, change),
  });
}

type Change = (parts: CertificateParts) => Partial<CertificateParts>;

async function lengthsAndTags(kit: CaseKit): Promise<void> {
  const row = (id: string, title: string, change: CertificateChange): Promise<void> =>
    pathCase(kit, 'x509.malformed', [id, title, PARSER], 'leaf', change);
  const parts = (id: string, title: string, change: Change): Promise<void> =>
    row(id, title, { parts: change });

  await parts('length-indefinite', 'validity of indefinite length', (p) => ({
    validity: concatBytes(hex('3080'), contentsOf(p.validity), hex('0000')),
  }));
  await row('length-indefinite-outer', 'certificate of indefinite length', {
    certificate: (der) => concatBytes(hex('3080'), contentsOf(der), hex('0000')),
  });
  await parts('length-long-form', 'long form for a short length', (p) => ({
    validity: tlv(0x30, contentsOf(p.validity), 1),
  }));
  await row('length-leading-zero', 'leading zero in a length', {
    tbs: (tbs) => tlv(0x30, contentsOf(tbs), 3),
  });
  await parts('length-past-end', 'a length that reaches into the next field', (p) => ({
    subjectPublicKeyInfo: concatBytes(
      Uint8Array.of(0x30, 0x7f),
      p.subjectPublicKeyInfo.subarray(2),
    ),
  }));
  await parts('tag-multi-byte', 'tag of several bytes', (p) => ({
    extensions: [...p.extensions, concatBytes(hex('3f8101'), hex('00'))],
  }));
  await parts('tag-serial', 'serial number as an OCTET STRING', (p) => ({
    serialNumber: retag(p.serialNumber, 0x04),
  }));
  await parts('tag-issuer', 'issuer as a SET', (p) => ({ issuer: retag(p.issuer, 0x31) }));
  await parts('tag-subject', 'subject as an OCTET STRING', (p) => ({
    subject: retag(p.subject, 0x04),
  }));
  await parts('tag-inner-algorithm', 'inner algorithm as a SET', (p) => ({
    signature: retag(p.signature, 0x31),
  }));
  const noOid = sequence(octetString(hex(OID.ecdsaWithSha384)));
  await row('tag-algorithm-oid', 'OID of both algorithms as an OCTET STRING', {
    parts: () => ({ signature: noOid }),
    outerAlgorithm: noOid,
  });
  await row('tag-outer-algorithm', 'outer algorithm as a SET', {
    outerAlgorithm: retag(algorithm(OID.ecdsaWithSha384), 0x31),
  });
  await row('tag-signature', 'signature value as an OCTET STRING', {
    signatureValue: (element) => retag(element, 0x04),
  });
  await parts('tag-extension-value', 'value of an extension as a BIT STRING', (p) => ({
    extensions: p.extensions.map((element) => {
      const items = children(element);
      return sequence(...items.slice(0, -1), retag(items.at(-1) as Uint8Array, 0x03));
    }),
  }));
  await parts('tag-key-bits', 'public key as an OCTET STRING', (p) => ({
    subjectPublicKeyInfo: sequence(
      children(p.subjectPublicKeyInfo)[0] as Uint8Array,
      octetString(contentsOf(children(p.subjectPublicKeyInfo)[1] as Uint8Array)),
    ),
  }));
  await row('not-der', 'certificate that is noise', {
    certificate: (der) => der.map((byte, i) => (byte * 7 + i) & 0xff),
  });
  await row('truncated', 'certificate without its last byte', {
    certificate: (der) => der.slice(0, -1),
  });
  await row('trailing-certificate', 'a byte after the certificate', {
    certificate: (der) => concatBytes(der, Uint8Array.of(0)),
  });
  await parts('version-1', 'version 1 with extensions', (p) => ({
    version: retag(sequence(integerOf(Uint8Array.of(0))), p.version[0] as number),
  }));
}

async function trailingFields(kit: CaseKit): Promise<void> {
  const parts = (id: string, title: string, change: Change): Promise<void> =>
    pathCase(kit, 'x509.malformed', [`trailing-${id}`, title, PARSER], 'leaf', { parts: change });
  const whole = (id: string, title: string, change: CertificateChange): Promise<void> =>
    pathCase(kit, 'x509.malformed', [`trailing-${id}`, title, PARSER], 'leaf', change);

  await whole('in-certificate', 'a fourth field in Certificate', {
    certificate: (der) => withTrailing(der, NULL_DER),
  });
  await whole('in-tbs', 'a field after the extensions', {
    tbs: (tbs) => withTrailing(tbs, NULL_DER),
  });
  const withNull = algorithm(OID.ecdsaWithSha384, NULL_DER);
  await whole('in-algorithm', 'parameters NULL in both algorithms', {
    parts: () => ({ signature: withNull }),
    outerAlgorithm: withNull,
  });
  await parts('in-name', 'a third field in an attribute of the subject', (p) => ({
    subject: sequence(
      tlv(0x31, sequence(oid('550403'), tlv(0x0c, hex('61')), NULL_DER)),
      ...children(p.subject),
    ),
  }));
  await parts('in-key-algorithm', 'a third field in the algorithm of the key', (p) => ({
    subjectPublicKeyInfo: sequence(
      algorithm(OID.ecPublicKey, oid(OID.secp384r1), NULL_DER),
      children(p.subjectPublicKeyInfo)[1] as Uint8Array,
    ),
  }));
  await parts('in-validity', 'a third time in Validity', (p) => ({
    validity: withTrailing(p.validity, time(kit.nowMs + 86_400_000)),
  }));
  await parts('in-key-info', 'a third field in SubjectPublicKeyInfo', (p) => ({
    subjectPublicKeyInfo: withTrailing(p.subjectPublicKeyInfo, NULL_DER),
  }));
  await parts('in-extension', 'a field after the value of an extension', (p) => ({
    extensions: p.extensions.map((element) => withTrailing(element, NULL_DER)),
  }));
  await parts(
    'in-basic-constraints',
    'a field after pathLenConstraint',
    editExtension(OID.basicConstraints, () =>
      extension(OID.basicConstraints, sequence(NULL_DER), true),
    ),
  );
  await parts(
    'after-basic-constraints',
    'bytes after BasicConstraints inside its OCTET STRING',
    editExtension(OID.basicConstraints, () =>
      extension(OID.basicConstraints, hex('3000 0500'), true),
    ),
  );
  await whole('in-signature', 'a third number in the signature', {
    signature: (signature) => withTrailing(signature, integerOf(Uint8Array.of(1))),
  });
  await whole('after-signature', 'bytes after the signature', {
    signature: (signature) => concatBytes(signature, Uint8Array.of(0)),
  });
}

async function values(kit: CaseKit): Promise<void> {
  const row = (id: string, title: string, change: CertificateChange): Promise<void> =>
    pathCase(kit, 'x509.malformed', [id, title, PARSER], 'leaf', change);
  const pad = (which: 0 | 1) => (signature: Uint8Array) => {
    const numbers = children(signature);
    numbers[which] = integerOf(
      concatBytes(Uint8Array.of(0), contentsOf(numbers[which] as Uint8Array)),
    );
    return sequence(...numbers);
  };
  await row('integer-serial', 'serial number with a needless zero byte', {
    parts: () => ({ serialNumber: integerOf(hex('0001')) }),
  });
  await row('integer-serial-empty', 'serial number of no bytes', {
    parts: () => ({ serialNumber: integerOf(new Uint8Array(0)) }),
  });
  // A needless zero in front of a byte below 80.
  await row('integer-r', 'r with a needless zero byte', {
    until: (raw) => (raw[0] as number) < 0x80,
    signature: pad(0),
  });
  await row('integer-s', 's with a needless zero byte', {
    until: (raw) => (raw[48] as number) < 0x80,
    signature: pad(1),
  });
  const short = (at: number) => (raw: Uint8Array) =>
    raw[at] === 0 && (raw[at + 1] as number) < 0x80 && raw[at + 1] !== 0;
  await pathCase(kit, 'verified', ['short-r', 'r of 47 bytes', 'none'], 'leaf', {
    until: short(0),
  });
  await pathCase(kit, 'verified', ['short-s', 's of 47 bytes', 'none'], 'leaf', {
    until: short(48),
  });
  await row('signature-unused-bits', 'signature of seven bits too few', {
    signatureValue: (element) => bitString(contentsOf(element).subarray(1), 1),
  });
  const usage = (bits: string): Change =>
    editExtension(OID.keyUsage, () => extension(OID.keyUsage, hex(bits), true));
  for (const [id, title, bits] of [
    ['zero-unused', 'key usage with trailing zero bits', '030200c0'],
    ['dirty', 'key usage whose unused bits are not zero', '030206c1'],
    ['eight', 'key usage with eight unused bits', '03020880'],
    ['none', 'key usage of no bytes at all', '0300'],
  ] as const)
    await row(`key-usage-${id}`, title, { parts: usage(bits) });
  await row('boolean-01', 'critical as BOOLEAN 01', {
    parts: editExtension(OID.basicConstraints, () =>
      sequence(oid(OID.basicConstraints), hex('010101'), octetString(hex('3000'))),
    ),
  });
  await row('boolean-two-bytes', 'critical as a BOOLEAN of two bytes', {
    parts: editExtension(OID.basicConstraints, () =>
      sequence(oid(OID.basicConstraints), hex('0102ffff'), octetString(hex('3000'))),
    ),
  });
  await row('oid-unfinished', 'OID of an extension that does not end', {
    parts: addExtensions(sequence(tlv(0x06, hex('5581')), octetString(hex('0500')))),
  });

  const constraints = (bits: string): Change =>
    editExtension(OID.basicConstraints, () => extension(OID.basicConstraints, hex(bits), true));
  const ca = (
    expected: Code | 'verified',
    id: string,
    title: string,
    bits: string,
  ): Promise<void> =>
    pathCase(kit, expected, [id, title, expected === 'verified' ? 'none' : PARSER], 'zonal', {
      parts: constraints(bits),
    });
  await ca('verified', 'path-length-absent', 'CA without pathLenConstraint', '30030101ff');
  await ca(
    'x509.malformed',
    'path-length-empty',
    'pathLenConstraint of no bytes',
    '30050101ff0200',
  );
  await ca(
    'x509.malformed',
    'path-length-negative',
    'negative pathLenConstraint',
    '30060101ff0201ff',
  );
  await ca(
    'x509.malformed',
    'path-length-huge',
    'pathLenConstraint of nine bytes',
    '300e0101ff0209 010000000000000000',
  );
  await ca(
    'x509.malformed',
    'path-length-padded',
    'pathLenConstraint with a needless zero byte',
    '30070101ff02020001',
  );
  await ca('x509.malformed', 'ca-boolean-01', 'CA as BOOLEAN 01', '3003010101');
}

async function dates(kit: CaseKit): Promise<void> {
  const row = (id: string, title: string, tagNumber: number, text: string): Promise<void> =>
    pathCase(
      kit,
      'x509.malformed',
      [`date-${id}`, title, 'who wants a date that one verifier reads as later than another'],
      'leaf',
      {
        parts: (p) => ({
          validity: sequence(children(p.validity)[0] as Uint8Array, timeOf(tagNumber, text)),
        }),
      },
    );
  await row('30-february', 'notAfter on 30 February', 0x17, '270230120000Z');
  await row('month-13', 'notAfter in month 13', 0x17, '261301120000Z');
  await row('hour-24', 'notAfter at 24 o’clock', 0x17, '260401240000Z');
  await row('no-z', 'notAfter without Z', 0x17, '260401120000');
  await row('offset', 'notAfter with an offset', 0x17, '260401120000+0100');
  await row('letters', 'notAfter with letters', 0x17, '2604O1120000Z');
  await row('no-seconds', 'notAfter without seconds', 0x17, '2604011200Z');
  await row('fraction', 'notAfter with a fraction', 0x18, '20600401120000.5Z');
  await row(
    'generalized-2026',
    'GeneralizedTime before 2050 (RFC 5280, 4.1.2.5)',
    0x18,
    '20260401120000Z',
  );
  await row('integer', 'notAfter as an INTEGER', 0x02, '260401120000Z');
}
