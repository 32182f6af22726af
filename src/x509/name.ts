import { equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { DER, type DerReader } from './der.js';

/** A distinguished name: compared by its bytes, shown as text. */
export interface Name {
  readonly encoded: Uint8Array;
  /** e.g. `CN=aws.nitro-enclaves, C=US, O=Amazon, OU=AWS`, in the order of the certificate. */
  readonly text: string;
}

/** Attribute types (RFC 5280, 4.1.2.4), as hex of the OID's DER contents. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  '550403': 'CN',
  '550405': 'serialNumber',
  '550406': 'C',
  '550407': 'L',
  '550408': 'ST',
  '55040a': 'O',
  '55040b': 'OU',
};

/** Reads a Name (RFC 5280, 4.1.2.4) that must not be empty. */
export function readName(reader: DerReader, field: string): Name {
  const element = reader.element(DER.SEQUENCE, field);
  const sets = reader.inside(element, field);
  const parts: string[] = [];
  while (!sets.done) {
    const set = sets.inside(sets.element(DER.SET, 'RelativeDistinguishedName'), 'RDN');
    do {
      const attribute = set.sequence('AttributeTypeAndValue');
      const type = attribute.oid('type');
      const value = attribute.any('value');
      attribute.end();
      parts.push(`${ATTRIBUTES[type] ?? type}=${printable(value.contents)}`);
    } while (!set.done);
  }
  if (parts.length === 0) reader.fail(field, 'a name', 'an empty one');
  return { encoded: element.encoded, text: parts.join(', ') };
}

/**
 * Whether two names are equal, byte for byte. RFC 5280, 7.1 would also allow other spellings of the
 * same name; AWS copies names as they are, and less is safer.
 */
export function equalNames(a: Name, b: Name): boolean {
  return equalBytes(a.encoded, b.encoded);
}

function printable(contents: Uint8Array): string {
  for (const byte of contents) if (byte < 0x20 || byte >= 0x7f) return `#${encodeHex(contents)}`;
  return String.fromCharCode.apply(undefined, contents as unknown as number[]);
}
