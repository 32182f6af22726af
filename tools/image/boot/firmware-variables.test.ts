import fc from 'fast-check';
import { ByteWriter } from 'tee-verify/bytes';
import { guidBytes } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import {
  addFirmwareVariables,
  type FirmwareVariable,
  secureBootVariables,
} from './firmware-variables.js';

const GUID = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const STORE_BYTES = 4096;
const START = 72 + 28;

/** An empty variable file of EDK2, as little as there must be. */
function emptyFile(): Uint8Array {
  const header = new ByteWriter('little')
    .bytes(new Uint8Array(16))
    .bytes(guidBytes('fff12b8d-7696-4c8b-a985-2747075b4f50'))
    .u64(8192n)
    .u32(0x4856465f)
    .u32(0x4feff)
    .u16(72)
    .bytes(new Uint8Array(72 - 50))
    .bytes(guidBytes('aaf32c78-947b-439a-a180-2e144ec37792'))
    .u32(STORE_BYTES)
    .u8(0x5a)
    .u8(0xfe)
    .bytes(new Uint8Array(6))
    .finish();
  const file = new Uint8Array(8192).fill(0xff);
  file.set(header);
  return file;
}

function changed(at: number, ...bytes: readonly number[]): Uint8Array {
  const file = emptyFile();
  file.set(bytes, at);
  return file;
}

const lang: FirmwareVariable = {
  name: 'Lang',
  guid: GUID,
  attributes: 7,
  data: Uint8Array.of(1, 2, 3),
};

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ToolError) return error.code;
    throw error;
  }
}

/** Reads the records back. */
function readRecords(file: Uint8Array): FirmwareVariable[] {
  const bytes = Buffer.from(file);
  const records: FirmwareVariable[] = [];
  for (let at = START; bytes.readUInt16LE(at) === 0x55aa; ) {
    expect(bytes.readUInt8(at + 2)).toBe(0x3f);
    const [nameSize, dataSize] = [bytes.readUInt32LE(at + 36), bytes.readUInt32LE(at + 40)];
    const data = at + 60 + nameSize;
    expect(bytes.subarray(at + 44, at + 60)).toEqual(Buffer.from(guidBytes(GUID)));
    records.push({
      name: bytes.toString('utf16le', at + 60, data - 2),
      guid: GUID,
      attributes: bytes.readUInt32LE(at + 4),
      data: new Uint8Array(bytes.subarray(data, data + dataSize)),
    });
    at = Math.ceil((data + dataSize) / 4) * 4;
  }
  return records;
}

describe("firmware's variable file", () => {
  it('gets records behind those that it has, and nothing else changes', () => {
    const once = addFirmwareVariables(emptyFile(), [lang]);
    const twice = addFirmwareVariables(once, [{ ...lang, name: 'Timeout' }]);
    expect(readRecords(twice).map(({ name }) => name)).toEqual(['Lang', 'Timeout']);
    expect(twice.subarray(0, START)).toEqual(emptyFile().subarray(0, START));
    expect(twice.subarray(START + 160)).toEqual(emptyFile().subarray(START + 160));
    expect(addFirmwareVariables(emptyFile(), [])).toEqual(emptyFile());
  });

  it('gives back every record', () => {
    const variable = fc.record({
      name: fc.string({ minLength: 1, maxLength: 12 }),
      guid: fc.constant(GUID),
      attributes: fc.nat(0xff),
      data: fc.uint8Array({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(variable, { maxLength: 8 }), (variables) => {
        expect(readRecords(addFirmwareVariables(emptyFile(), variables))).toEqual(variables);
      }),
    );
  });

  const enrolled = (state: number): Uint8Array => {
    const file = addFirmwareVariables(emptyFile(), [{ ...lang, name: 'PK' }]);
    file.set([state], START + 2);
    return file;
  };
  it('may have Secure Boot keys that are deleted, not others', () => {
    expect(codeOf(() => addFirmwareVariables(enrolled(0x3c), [lang]))).toBeUndefined();
    expect(codeOf(() => addFirmwareVariables(enrolled(0x3f), [lang]))).toBe(
      'boot.firmware-variables',
    );
    expect(codeOf(() => addFirmwareVariables(enrolled(0x3e), [lang]))).toBe(
      'boot.firmware-variables',
    );
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['a cut header', emptyFile().subarray(0, START - 1)],
    ['another volume', changed(16, 0)],
    ['no _FVH', changed(40, 0)],
    ['a longer header', changed(48, 80)],
    ['variables that are not authenticated', changed(72, 0)],
    ['a store that is not formatted', changed(92, 0xff)],
    ['a store that is not healthy', changed(93, 0xff)],
    ['a store beyond the file', changed(88, 0xff, 0xff, 0xff, 0xff)],
    ['a store smaller than its header', changed(88, 8, 0, 0, 0)],
    ['a record beyond the store', changed(START, 0xaa, 0x55, 0x3f)],
    ['bytes behind the records', changed(START + 10, 0)],
  ])('is refused with %s', (_, file) => {
    expect(codeOf(() => addFirmwareVariables(file, [lang]))).toBe('boot.firmware-variables');
  });

  it('is refused when it is full', () => {
    const large = { ...lang, data: new Uint8Array(STORE_BYTES) };
    expect(codeOf(() => addFirmwareVariables(emptyFile(), [large]))).toBe(
      'boot.firmware-variables',
    );
  });

  it('meets any bytes with an error of its own', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.uint8Array({ maxLength: 8 }), (at, bytes) => {
        const file = emptyFile();
        file.set(bytes, at);
        const code = codeOf(() => addFirmwareVariables(file, [lang]));
        expect(code ?? 'boot.firmware-variables').toBe('boot.firmware-variables');
      }),
    );
  });

  it('enrols db before PK, and no empty dbx', () => {
    const some = Uint8Array.of(1);
    const variables = { PK: some, KEK: some, db: some, dbx: new Uint8Array() };
    const names = (list: typeof variables): string[] =>
      secureBootVariables({ folder: '', variables: list }).map(({ name }) => name);
    expect(names(variables)).toEqual(['SecureBootEnable', 'CustomMode', 'db', 'KEK', 'PK']);
    expect(names({ ...variables, dbx: some })).toContain('dbx');
  });
});
