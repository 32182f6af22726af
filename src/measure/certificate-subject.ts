import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { DER, DerReader } from '../x509/der.js';
import { printable } from './text.js';

const COMMON_NAME = '550403';
const ORGANIZATION = '55040a';
const ORGANIZATIONAL_UNIT = '55040b';

/**
 * The name of a certificate's subject for people: its common name, else its organization. Only to
 * be shown, never to decide anything. Undefined when the certificate cannot be read.
 */
export function certificateSubject(der: Uint8Array): string | undefined {
  try {
    const outer = new DerReader(der, 'certificate', MEASUREMENT_CODES['esl.malformed']).sequence(
      'Certificate',
    );
    const tbs = outer.sequence('tbsCertificate');
    tbs.optional(0xa0, 'version');
    tbs.integer('serialNumber');
    tbs.sequence('signature');
    tbs.sequence('issuer');
    tbs.sequence('validity');
    return nameOf(tbs.sequence('subject'));
  } catch {
    // Certificates in firmware are of every age and make; one that cannot be read has no name.
    return undefined;
  }
}

function nameOf(subject: DerReader): string | undefined {
  const found = new Map<string, string>();
  while (!subject.done) {
    const set = subject.inside(subject.element(DER.SET, 'RDN'), 'RDN');
    while (!set.done) {
      const attribute = set.sequence('AttributeTypeAndValue');
      const oid = attribute.oid('type');
      const { tag, contents } = attribute.any('value');
      // BMPString (0x1e) is UTF-16BE; the other string types are, or nearly are, UTF-8.
      const text = new TextDecoder(tag === 0x1e ? 'utf-16be' : 'utf-8').decode(contents);
      if (!found.has(oid)) found.set(oid, printable(text, 128));
    }
  }
  return found.get(COMMON_NAME) ?? found.get(ORGANIZATIONAL_UNIT) ?? found.get(ORGANIZATION);
}
