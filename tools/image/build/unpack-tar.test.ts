import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { ToolError } from '../../common/tool-error.js';
import type { RootEntry } from './root-tree.js';
import { unpackTar } from './unpack-tar.js';

const folder = mkdtempSync(join(tmpdir(), 'tee-image-tar-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Member {
  readonly name: string;
  readonly type?: string;
  readonly data?: string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly device?: readonly [number, number];
  readonly prefix?: string;
  readonly change?: (header: Buffer) => void;
}

const octal = (value: number, length: number): string =>
  `${value.toString(8).padStart(length - 1, '0')}\0`;

function member(one: Member): Buffer {
  const { name, type = '0', data = '', link = '', mode = 0o644, uid = 0 } = one;
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(octal(mode, 8) + octal(uid, 8) + octal(0, 8), 100);
  header.write(octal(data.length, 12) + octal(0, 12), 124);
  header.write(type, 156);
  header.write(link, 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  if (one.device) header.write(octal(one.device[0], 8) + octal(one.device[1], 8), 329);
  header.write(one.prefix ?? '', 345, 'latin1');
  one.change?.(header);
  header.write('        ', 148);
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  const body = Buffer.alloc(Math.ceil(data.length / 512) * 512);
  body.write(data, 'latin1');
  return Buffer.concat([header, body]);
}

const tar = (...members: readonly Member[]): Buffer =>
  Buffer.concat([...members.map(member), Buffer.alloc(1024)]);
const pax = (records: Record<string, string>, type = 'x'): Member => ({
  name: 'pax',
  type,
  data: Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      const digits = `${rest.length + `${rest.length + 2}`.length}`;
      return `${digits}${rest}`;
    })
    .join(''),
});

let count = 0;
async function unpack(bytes: Uint8Array): Promise<{ at: string; entries: Map<string, RootEntry> }> {
  const at = join(folder, `${++count}`);
  writeFileSync(`${at}.tar`, bytes);
  const entries = await unpackTar(`${at}.tar`, at);
  return { at, entries: new Map(entries.map((entry) => [entry.path, entry])) };
}

describe('unpackTar', () => {
  it('unpacks files, folders, links and devices, whatever the rights of who runs it', async () => {
    const { at, entries } = await unpack(
      tar(
        { name: './', type: '5', mode: 0o755 },
        { name: './etc/', type: '5', mode: 0o750, uid: 7 },
        { name: './etc/passwd', data: 'root:x:0:0\n', mode: 0o600, uid: 1000 },
        { name: './bin', type: '2', link: 'usr/bin' },
        { name: './usr/bin/tool', data: 'x'.repeat(1025), mode: 0o4755 },
        { name: './usr/bin/same', type: '1', link: './usr/bin/tool' },
        { name: './dev/null', type: '3', device: [1, 3], mode: 0o666 },
        { name: './dev/big', type: '4', device: [259, 300] },
      ),
    );
    expect(entries.get('etc')).toMatchObject({ kind: 'directory', mode: 0o750, uid: 7 });
    expect(entries.get('etc/passwd')).toMatchObject({ mode: 0o600, uid: 1000, sizeBytes: 11 });
    expect(entries.get('usr')).toMatchObject({ kind: 'directory', mode: 0o755, uid: 0 });
    expect(entries.get('usr/bin/same')).toMatchObject({ kind: 'file', mode: 0o4755 });
    expect(entries.get('dev/null')).toMatchObject({ kind: 'character-device', device: 0x103 });
    expect(entries.get('dev/big')).toMatchObject({ device: 0x11032c });
    expect(readFileSync(join(at, 'etc/passwd'), 'utf8')).toBe('root:x:0:0\n');
    expect(readlinkSync(join(at, 'bin'))).toBe('usr/bin');
    expect(statSync(join(at, 'usr/bin/same')).ino).toBe(statSync(join(at, 'usr/bin/tool')).ino);
    expect(lstatSync(join(at, 'dev/null')).isFile()).toBe(true);
    expect(lstatSync(join(at, 'usr/bin/tool')).mode & 0o7000).toBe(0);
  });

  it('reads gzip, pax, long names of GNU, prefixes, binary numbers and a folder of old', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}`;
    const { entries } = await unpack(
      gzipSync(
        tar(
          pax({ path: `pax/${long}`, uid: '1234', mtime: '1.5', comment: 'x' }),
          { name: 'short', data: '12345' },
          { name: '././@LongLink', type: 'L', data: `gnu/${long}\0` },
          { name: 'cut', data: 'abc' },
          { name: 'end', prefix: 'in/front', data: '' },
          { name: 'binary', change: (header) => header.set([0x80, 0, 0, 0, 0, 0, 4, 0], 108) },
          { name: 'old/', type: '\0' },
          { name: 'spaced', change: (header) => header.write('   644 \0', 100) },
        ),
      ),
    );
    expect(entries.get(`pax/${long}`)).toMatchObject({ sizeBytes: 5, uid: 1234 });
    expect(entries.get(`gnu/${long}`)).toMatchObject({ sizeBytes: 3 });
    expect(entries.get('in/front/end')?.kind).toBe('file');
    expect(entries.get('binary')?.uid).toBe(1024);
    expect(entries.get('old')?.kind).toBe('directory');
    expect(entries.get('spaced')?.mode).toBe(0o644);
  });

  it('keeps names that are no UTF-8', async () => {
    const { entries } = await unpack(tar({ name: '\xe9\xff', data: 'x' }));
    expect([...entries.keys()]).toContain('\xe9\xff');
  });

  const good = tar({ name: 'a', data: 'x' });
  const REFUSED: Record<string, [Buffer, string]> = {
    'a path upwards': [tar({ name: '../x', data: 'x' }), 'tar.path-escape'],
    'a path upwards in the middle': [tar({ name: 'a/../../x', data: 'x' }), 'tar.path-escape'],
    'a path from the root': [tar({ name: '/etc/passwd', data: 'x' }), 'tar.path-escape'],
    'a path upwards by pax': [tar(pax({ path: '../x' }), { name: 'x' }), 'tar.path-escape'],
    'an empty path': [tar({ name: '' }), 'tar.path-escape'],
    'a hard link upwards': [
      tar({ name: 'a', type: '1', link: '../../etc/passwd' }),
      'tar.path-escape',
    ],
    'a way through a symbolic link': [
      tar({ name: 'a', type: '2', link: '/tmp' }, { name: 'a/x', data: 'x' }),
      'tar.path-escape',
    ],
    'a way through a file': [
      tar({ name: 'a', data: 'x' }, { name: 'a/x', data: 'x' }),
      'tar.path-escape',
    ],
    'a link in place of a folder': [
      tar({ name: 'a/x', data: 'x' }, { name: 'a', type: '2', link: '/tmp' }),
      'tar.duplicate',
    ],
    'a name twice': [tar({ name: 'a', data: 'x' }, { name: './a', data: 'y' }), 'tar.duplicate'],
    'a folder twice': [tar({ name: 'a/', type: '5' }, { name: 'a/', type: '5' }), 'tar.duplicate'],
    'a hard link to nothing': [tar({ name: 'a', type: '1', link: 'b' }), 'tar.malformed'],
    'a hard link to a symbolic link': [
      tar({ name: 'b', type: '2', link: '/etc/shadow' }, { name: 'a', type: '1', link: 'b' }),
      'tar.malformed',
    ],
    'a symbolic link to nothing': [tar({ name: 'a', type: '2' }), 'tar.malformed'],
    'a pipe': [tar({ name: 'a', type: '6' }), 'root.unsupported-file'],
    'a sparse file of GNU': [tar({ name: 'a', type: 'S' }), 'tar.unsupported'],
    'a sparse file of pax': [
      tar(pax({ 'GNU.sparse.major': '1' }), { name: 'a' }),
      'tar.unsupported',
    ],
    'attributes for all': [tar(pax({ uid: '0' }, 'g'), { name: 'a' }), 'tar.unsupported'],
    'a volume': [tar({ name: 'a', type: 'V' }), 'tar.unsupported'],
    'no octal number': [
      tar({ name: 'a', change: (h) => h.write('9999999', 100) }),
      'tar.malformed',
    ],
    'a size of 2^60': [
      tar({ name: 'a', change: (h) => h.set([0x80, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0], 124) }),
      'tar.malformed',
    ],
    'a size that is no number': [tar(pax({ size: '-1' }), { name: 'a' }), 'tar.malformed'],
    'an extension of 2 MiB': [
      tar({ name: 'x', type: 'x', data: ' '.repeat(2 ** 21) }),
      'tar.malformed',
    ],
    'a pax record without length': [
      tar({ name: 'x', type: 'x', data: 'path=x\n' }),
      'tar.malformed',
    ],
    'a pax record too long': [tar({ name: 'x', type: 'x', data: '99 path=x\n' }), 'tar.malformed'],
    'a pax record of length 0': [
      tar({ name: 'x', type: 'x', data: '0 path=x\n' }),
      'tar.malformed',
    ],
    'a folder with contents': [
      tar({ name: 'a', type: '2', link: 'x', data: 'x' }),
      'tar.malformed',
    ],
    'a wrong checksum': [Buffer.concat([Buffer.from('b'), good.subarray(1)]), 'tar.malformed'],
    'something behind the end': [Buffer.concat([good, Buffer.from('x')]), 'tar.malformed'],
    'no end': [good.subarray(0, 1024), 'tar.malformed'],
    'nothing at all': [Buffer.alloc(0), 'tar.malformed'],
    'other bytes': [Buffer.from('x'.repeat(2000)), 'tar.malformed'],
    'gzip that was cut': [gzipSync(good).subarray(0, 40), 'tar.malformed'],
    'gzip that was damaged': [gzipSync(good).fill(0x55, 20, 30), 'tar.malformed'],
  };

  it.each(Object.keys(REFUSED))('refuses %s', async (name) => {
    const [bytes, code] = REFUSED[name] as [Buffer, string];
    const error = await rejectionOf(unpack(bytes));
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code });
  });

  it('refuses an archive cut anywhere, and says so when it is missing', async () => {
    const whole = tar(pax({ path: 'long' }), { name: 'a', data: 'x'.repeat(600) }).subarray(
      0,
      -512,
    );
    for (let length = 0; length < whole.length - 512; length += 101)
      expect(await rejectionOf(unpack(whole.subarray(0, length)))).toMatchObject({
        code: 'tar.malformed',
      });
    const error = await rejectionOf(unpackTar(join(folder, 'none'), join(folder, 'x')));
    expect(error).toMatchObject({ code: 'file.unreadable' });
  });

  it('gives its code for any change of a header', async () => {
    const whole = tar({ name: 'a/b', data: 'x' }, { name: 'c', type: '2', link: 'a/b' });
    const change = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(change, async ([at, mask]) => {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] as number) ^ mask;
        const error = await unpack(bytes).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error !== undefined) expect((error as ToolError).code).toMatch(/^(tar|root)\.[a-z-]+$/);
      }),
      { numRuns: 200 },
    );
  });
});
