import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { der } from '../../test-vectors/mint/index.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { expectCode, valueOrCode } from '../test-support/rejection.js';
import { DerReader } from './der.js';
import { rawSignature } from './der-signature.js';

const hex = (text: string): Uint8Array => decodeHex(text.replaceAll(' ', '')) as Uint8Array;
const reader = (text: string): DerReader => new DerReader(hex(text), 'thing', 'x509.malformed');

describe('DerReader, lengths and tags', () => {
  it.each([
    ['nothing', ''],
    ['a tag alone', '04'],
    ['contents cut off', '040201'],
    ['indefinite length', '0480010000'],
    ['indefinite length of a SEQUENCE', '30800000'],
    ['long form for 0', '048100'],
    ['long form for 127', `04817f${'00'.repeat(127)}`],
    ['leading zero in a length', `04820080${'00'.repeat(128)}`],
    ['leading zero in three bytes', `0483000100${'00'.repeat(256)}`],
    ['length of five bytes', '04850000000001 00'],
    ['length of 127 bytes', '04ff'],
    ['length cut off', '0482'],
    ['length of 4 GiB', '0484ffffffff'],
    ['multi-byte tag', '1f0400'],
    ['multi-byte tag, constructed', '3f810100'],
    ['multi-byte tag, context', 'bf2100'],
  ])('%s', (_name, text) => {
    expectCode(() => reader(text).any('field'), 'x509.malformed');
  });

  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('contents of %i bytes', (length) => {
    const contents = new Uint8Array(length).fill(7);
    const element = new DerReader(der.octetString(contents), 'thing', 'x509.malformed');
    expect(element.octetString('field')).toEqual(contents);
    expect(element.done).toBe(true);
    element.end();
  });

  it('names the structure, the field and the offset, with the code of the caller', () => {
    const thing = new DerReader(hex('0500 30 03 0500 00'), 'thing', 'quote.signature-malformed');
    thing.element(0x05, 'first');
    const inner = thing.sequence('second');
    inner.element(0x05, 'third');
    const error = expectCode(() => inner.end(), 'quote.signature-malformed');
    expect(error.expected).toContain('thing second end');
    expect(error.actual).toBe('1 more bytes (offset 2)');
  });

  it('says which tag it found', () => {
    const error = expectCode(() => reader('0400').element(0x02, 'serial'), 'x509.malformed');
    expect(error.expected).toContain('tag 0x02');
    expect(error.actual).toContain('tag 0x04');
    expect(expectCode(() => reader('').element(2, 'x'), 'x509.malformed').actual).toContain('end');
  });

  it('takes an optional element only when it is there', () => {
    const thing = reader('800101');
    expect(thing.optional(0x81, 'x')).toBeUndefined();
    expect(thing.optional(0x80, 'x')?.contents).toEqual(hex('01'));
    expect(thing.optional(0x80, 'x')).toBeUndefined();
  });

  it('never throws anything but our error', () => {
    const methods = [
      'any',
      'integer',
      'oid',
      'boolean',
      'octetString',
      'bitStringOfBytes',
    ] as const;
    const more = ['namedBits', 'time', 'sequence'] as const;
    const tag = fc.constantFrom(0x01, 0x02, 0x03, 0x04, 0x06, 0x17, 0x18, 0x30);
    fc.assert(
      fc.property(
        tag,
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(...methods, ...more),
        fc.boolean(),
        (first, rest, method, wellFormed) => {
          const bytes = wellFormed ? der.tlv(first, rest) : new Uint8Array([first, ...rest]);
          valueOrCode(() => new DerReader(bytes, 'thing', 'x509.malformed')[method]('field'));
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('DerReader, values', () => {
  it.each([
    ['INTEGER without contents', '0200', 'integer'],
    ['INTEGER with a needless zero', '02020001', 'integer'],
    ['INTEGER with a needless ff', '0202ff80', 'integer'],
    ['INTEGER of zeros', '02020000', 'integer'],
    ['INTEGER as OCTET STRING', '040101', 'integer'],
    ['BOOLEAN 01', '010101', 'boolean'],
    ['BOOLEAN fe', '0101fe', 'boolean'],
    ['BOOLEAN without contents', '0100', 'boolean'],
    ['BOOLEAN of two bytes', '0102ffff', 'boolean'],
    ['OID without contents', '0600', 'oid'],
    ['OID with an unfinished arc', '0602 2a86', 'oid'],
    ['OID with a padded first arc', '0603 802a03', 'oid'],
    ['OID with a padded later arc', '0604 2a800103', 'oid'],
    ['BIT STRING without contents', '0300', 'bitStringOfBytes'],
    ['BIT STRING with unused bits', '0302 0180', 'bitStringOfBytes'],
    ['BIT STRING with 8 unused bits', '0302 0800', 'bitStringOfBytes'],
    ['BIT STRING, constructed', '2300', 'bitStringOfBytes'],
    ['OCTET STRING, constructed', '24030401 01', 'octetString'],
    ['named bits without contents', '0300', 'namedBits'],
    ['named bits: unused bits of nothing', '030101', 'namedBits'],
    ['named bits: 8 unused', '03020880', 'namedBits'],
    ['named bits: 255 unused', '0302ff80', 'namedBits'],
    ['named bits: too few declared unused', '03020080', 'namedBits'],
    ['named bits: too many declared unused', '03020680 ', 'namedBits'],
    ['named bits: dirty', '03020786 ', 'namedBits'],
    ['named bits: trailing zero byte', '0303008000', 'namedBits'],
    ['named bits: all zero', '03020700', 'namedBits'],
    ['SEQUENCE as SET', '3100', 'sequence'],
  ] as const)('%s', (_name, text, method) => {
    expectCode(() => reader(text)[method]('field'), 'x509.malformed');
  });

  it.each([
    ['0', '020100', 0],
    ['127', '02017f', 127],
    ['128', '02020080', 128],
    ['255', '020200ff', 255],
  ])('small INTEGER %s', (_name, text, value) => {
    expect(reader(text).smallInteger('field', 255)).toBe(value);
  });

  it.each([
    ['over the maximum', '02020100'],
    ['negative', '0201ff'],
    ['of 20 bytes', `0214${'7f'.repeat(20)}`],
    ['of 200 bytes: no wrap, no infinity that passes', `0281c8${'7f'.repeat(200)}`],
  ])('small INTEGER %s is refused', (_name, text) => {
    expectCode(() => reader(text).smallInteger('field', 255), 'x509.malformed');
  });

  it('agrees with bigint arithmetic on INTEGERs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 30 }), (contents) => {
        const text = encodeHex(contents);
        const value = BigInt.asIntN(contents.length * 8, BigInt(`0x${text}`));
        // Minimal: one byte less could not hold the value.
        const short = BigInt.asIntN((contents.length - 1) * 8, value);
        const minimal = contents.length === 1 || short !== value;
        const got = valueOrCode(() =>
          new DerReader(der.tlv(2, contents), 'thing', 'x509.malformed').integer('field'),
        );
        expect(got === 'x509.malformed').toBe(!minimal);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads named bits, most significant first', () => {
    expect(reader('03020780').namedBits('x')).toEqual(hex('80'));
    expect(reader('03020106').namedBits('x')).toEqual(hex('06'));
    expect(reader('0303070080').namedBits('x')).toEqual(hex('0080'));
    expect(reader('030100').namedBits('x')).toEqual(hex(''));
  });
});

describe('DerReader, time', () => {
  const timeOf = (tag: number, text: string): number =>
    new DerReader(
      der.tlv(
        tag,
        Uint8Array.from(text, (c) => c.charCodeAt(0)),
      ),
      'thing',
      'x509.malformed',
    ).time('notAfter');
  const UTC = 0x17;
  const GENERALIZED = 0x18;

  it.each([
    [UTC, '260203101202Z', '2026-02-03T10:12:02Z'],
    [UTC, '491231235959Z', '2049-12-31T23:59:59Z'],
    [UTC, '500101000000Z', '1950-01-01T00:00:00Z'],
    [UTC, '991231235959Z', '1999-12-31T23:59:59Z'],
    [UTC, '000229000000Z', '2000-02-29T00:00:00Z'],
    [UTC, '240229000000Z', '2024-02-29T00:00:00Z'],
    [GENERALIZED, '20500101000000Z', '2050-01-01T00:00:00Z'],
    [GENERALIZED, '20491028142805Z', undefined],
    [GENERALIZED, '99991231235959Z', '9999-12-31T23:59:59Z'],
  ])('tag %i, %s', (tag, text, expected) => {
    if (expected === undefined) expectCode(() => timeOf(tag, text), 'x509.malformed');
    else expect(timeOf(tag, text)).toBe(Date.parse(expected));
  });

  it.each([
    ['30 February', UTC, '260230000000Z'],
    ['29 February of no leap year', UTC, '260229000000Z'],
    ['29 February 2100', GENERALIZED, '21000229000000Z'],
    ['31 April', UTC, '260431000000Z'],
    ['day 0', UTC, '260200000000Z'],
    ['day 32', UTC, '260132000000Z'],
    ['month 0', UTC, '260001000000Z'],
    ['month 13', UTC, '261301000000Z'],
    ['hour 24', UTC, '260101240000Z'],
    ['minute 60', UTC, '260101006000Z'],
    ['second 60', UTC, '260101000060Z'],
    ['31 December, 24:00', UTC, '261231240000Z'],
    ['no Z', UTC, '260203101202'],
    ['lower-case z', UTC, '260203101202z'],
    ['an offset', UTC, '260203101202+0000'],
    ['no seconds', UTC, '2602031012Z'],
    ['letters', UTC, '26020310120aZ'],
    ['a space', UTC, ' 60203101202Z'],
    ['a sign', UTC, '-60203101202Z'],
    ['a NUL behind', UTC, '260203101202Z\0'],
    ['a newline behind', UTC, '260203101202Z\n'],
    ['a long tail', UTC, `260203101202Z${'0'.repeat(200)}`],
    ['nothing', UTC, ''],
    ['four digits of year', UTC, '20260203101202Z'],
    ['two digits of year', GENERALIZED, '500203101202Z'],
    ['fractions', GENERALIZED, '20500203101202.5Z'],
    ['an offset', GENERALIZED, '20500203101202+0000'],
    ['no Z', GENERALIZED, '20500203101202'],
    ['year 0', GENERALIZED, '00000101000000Z'],
    ['year 99, which Date.UTC takes for 1999', GENERALIZED, '00990101000000Z'],
    ['a year before 2050', GENERALIZED, '20260203101202Z'],
    ['full-width digits cut to bytes', UTC, '\uff12\uff16\uff10'],
    ['another tag', 0x16, '260203101202Z'],
  ])('%s is refused (tag %i)', (_name, tag, text) => {
    expectCode(() => timeOf(tag, text), 'x509.malformed');
  });

  it('agrees with Date on every valid second', () => {
    const range = { min: Date.UTC(1950, 0, 1), max: Date.UTC(9999, 11, 31) };
    fc.assert(
      fc.property(fc.integer(range), (any) => {
        const ms = Math.floor(any / 1000) * 1000;
        const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14);
        const utc = digits < '2050';
        const got = timeOf(utc ? UTC : GENERALIZED, `${utc ? digits.slice(2) : digits}Z`);
        expect(got).toBe(ms);
      }),
    );
  });

  it('accepts digits only when they are a date of the calendar', () => {
    const two = fc.nat(99).map((n) => String(n).padStart(2, '0'));
    const near = fc.constantFrom(
      '00',
      '01',
      '02',
      '12',
      '13',
      '23',
      '24',
      '28',
      '29',
      '30',
      '31',
      '32',
    );
    fc.assert(
      fc.property(two, near, near, near, two, two, (...parts) => {
        const [year, month, day, hour, minute, second] = parts.map(Number) as [
          number,
          number,
          number,
          number,
          number,
          number,
        ];
        const full = year < 50 ? 2000 + year : 1900 + year;
        const days =
          month >= 1 && month <= 12 ? new Date(Date.UTC(full, month, 0)).getUTCDate() : 0;
        const valid = day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60;
        const got = valueOrCode(() => timeOf(UTC, `${parts.join('')}Z`));
        expect(got !== 'x509.malformed').toBe(valid);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('rawSignature', () => {
  const raw = (bytes: Uint8Array, size = 48): Uint8Array =>
    rawSignature(bytes, size, 'signature', 'quote.signature-malformed');
  const integer = (text: string): Uint8Array => der.integerOf(hex(text));
  const big = '7f'.repeat(48);

  it('gives r || s of every pair of positive numbers', () => {
    const number = (size: number) =>
      fc.bigInt(1n, 2n ** BigInt(8 * size) - 1n).map((n) => {
        return n.toString(16).padStart(2 * size, '0');
      });
    const pair = fc.constantFrom(32, 48).chain((size) => fc.tuple(number(size), number(size)));
    fc.assert(
      fc.property(pair, ([r, s]) => {
        const encoded = der.sequence(der.unsignedInteger(hex(r)), der.unsignedInteger(hex(s)));
        expect(encodeHex(raw(encoded, r.length / 2))).toBe(r + s);
        for (let cut = 0; cut < encoded.length; cut++)
          expect(valueOrCode(() => raw(encoded.subarray(0, cut), r.length / 2))).toBe(
            'quote.signature-malformed',
          );
        expect(valueOrCode(() => raw(new Uint8Array([...encoded, 0]), r.length / 2))).toBe(
          'quote.signature-malformed',
        );
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['r = 0', der.sequence(integer('00'), integer('01'))],
    ['s = 0', der.sequence(integer('01'), integer('00'))],
    ['r of padded zeros', der.sequence(integer('0000'), integer('01'))],
    ['negative r', der.sequence(integer('ff'), integer('01'))],
    ['negative s', der.sequence(integer('01'), integer('80'))],
    ['r without contents', der.sequence(integer(''), integer('01'))],
    ['r with a needless zero', der.sequence(integer('0001'), integer('01'))],
    ['r longer than a coordinate', der.sequence(integer(`01${big}`), integer('01'))],
    ['s longer than a coordinate, unsigned', der.sequence(integer('01'), integer(`0080${big}`))],
    ['no s', der.sequence(integer('01'))],
    ['nothing', der.sequence()],
    ['a third number', der.sequence(integer('01'), integer('01'), integer('01'))],
    ['NULL behind', der.sequence(integer('01'), integer('01'), hex('0500'))],
    ['r as OCTET STRING', der.sequence(der.octetString(hex('01')), integer('01'))],
    ['a SET', der.tlv(0x31, hex('020101020101'))],
    ['raw form', hex(big + big)],
    ['indefinite length', hex('30800201010201010000')],
    ['long form', hex('308106020101020101')],
    ['two of them', hex('30060201010201013006020101020101')],
    ['empty', hex('')],
  ])('%s is refused', (_name, bytes) => {
    expectCode(() => raw(bytes), 'quote.signature-malformed');
  });

  it('a number with its high bit set takes 49 bytes, of which 48 count', () => {
    const high = `80${'00'.repeat(47)}`;
    expect(encodeHex(raw(der.sequence(integer(`00${high}`), integer('01'))))).toBe(
      `${high}${'00'.repeat(47)}01`,
    );
  });
});
