import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import { formatTpmLog } from '../test-support/format-tpm-log.js';
import { type TpmLogEntry, TpmLogReader } from './tpm-log.js';

const entry = (kind: TpmLogEntry['kind'], ...bytes: readonly number[]): TpmLogEntry => ({
  kind,
  bytes: Uint8Array.from(bytes),
});
const plain = (entries: readonly TpmLogEntry[]): unknown =>
  entries.map(({ kind, bytes }) => [kind, [...bytes]]);

describe('the log of swtpm', () => {
  it('is read as swtpm 0.7 writes it', () => {
    const text = [
      ' Ctrl Cmd: length 4',
      ' 00 00 00 10 ',
      ' Ctrl Rsp: length 4',
      ' 00 00 00 00 ',
      ' SWTPM_IO_Read: length 20',
      ' 80 01 00 00 00 14 00 00 01 7E 00 00 00 01 00 0C ',
      ' 03 01 00 00 ',
      'Data client disconnected',
      ' SWTPM_IO_Write: length 10',
      ' 80 01 00 00 00 0A 00 00 01 01 ',
      '',
    ].join('\n');
    expect(plain(new TpmLogReader().read(text))).toEqual(
      plain([
        entry('control-command', 0, 0, 0, 0x10),
        entry('control-response', 0, 0, 0, 0),
        entry('command', 0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 12, 3, 1, 0, 0),
        entry('response', 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1),
      ]),
    );
  });

  const entries = fc.array(
    fc.record({
      kind: fc.constantFrom<TpmLogEntry['kind']>(
        ...(['command', 'response', 'control-command', 'control-response'] as const),
      ),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }),
    }),
    { maxLength: 6 },
  );

  it('comes in pieces cut anywhere', () => {
    fc.assert(
      fc.property(entries, fc.array(fc.nat(400), { maxLength: 6 }), (list, cuts) => {
        const text = formatTpmLog(list);
        const reader = new TpmLogReader();
        const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length];
        places.sort((a, b) => a - b);
        const read = places.flatMap((place, i) => reader.read(text.slice(place, places[i + 1])));
        expect(plain(read)).toEqual(plain(list));
      }),
    );
  });

  it.each([
    ['hex without a header', ' 00 00 00 10 \n'],
    ['a length of zero', ' SWTPM_IO_Read: length 0\n'],
    ['a huge length', ' SWTPM_IO_Read: length 99999\n'],
    ['more bytes than said', ' Ctrl Cmd: length 2\n 00 01 02 \n'],
    ['fewer bytes than said', ' Ctrl Cmd: length 4\n 00 01 \n Ctrl Rsp: length 4\n'],
    ['words among the bytes', ' Ctrl Cmd: length 4\n 00 01 \nhello\n'],
    ['half a byte', ' Ctrl Cmd: length 2\n 00 1 \n'],
    ['a line without end', 'x'.repeat(5000)],
  ])('is refused with %s', (_, text) => {
    expect(() => new TpmLogReader().read(text)).toThrow(
      expect.objectContaining({ code: 'boot.tpm-log' }),
    );
  });

  it('gives entries or an error of its own for any text', () => {
    const piece = fc.constantFrom(' SWTPM_IO_Read: length 3', ' 00 01 02 ', ' FF ', '\n', 'x', ' ');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          new TpmLogReader().read(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(ToolError);
        }
      }),
    );
  });
});
