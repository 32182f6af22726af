import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { bytesSource } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import { auditImage } from './audit-image.js';
import { readInitrd } from './read-initrd.js';
import { treeOf } from './test-support/tree-of.js';

interface Entry {
  readonly name: string;
  readonly text?: string;
  readonly mode?: number;
  readonly links?: number;
}

/** A newc archive, as `cpio -o -H newc` writes it. */
function cpio(...entries: readonly Entry[]): Buffer {
  const parts = [...entries, { name: 'TRAILER!!!' }].map(
    ({ name, text = '', mode = 0o100644, links = 1 }: Entry) => {
      const body = Buffer.from(text);
      const fields = [
        1,
        name === 'TRAILER!!!' ? 0 : mode,
        0,
        0,
        links,
        0,
        body.length,
        0,
        0,
        0,
        0,
        name.length + 1,
        0,
      ];
      const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
      return Buffer.concat([pad(Buffer.from(head)), pad(body)]);
    },
  );
  return Buffer.concat(parts);
}

const pad = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
const early = Buffer.concat([
  cpio({ name: 'kernel/x86/microcode', text: 'code' }),
  Buffer.alloc(512),
]);
const main = cpio(
  { name: '.', mode: 0o040755 },
  { name: 'etc/shadow', text: 'root::1\n' },
  { name: 'bin/dropbear', text: 'x', mode: 0o100755 },
  { name: 'link', text: 'etc/shadow', mode: 0o120777 },
);
const read = (...parts: readonly Uint8Array[]) => readInitrd(bytesSource(Buffer.concat(parts)));

describe('readInitrd', () => {
  it.each([
    ['plain', [main]],
    ['plain behind microcode', [early, main]],
    ['gzip', [gzipSync(main)]],
    ['gzip behind microcode', [early, gzipSync(main)]],
    ['with zeros behind it', [early, main, Buffer.alloc(600)]],
    ['plain behind gzip', [gzipSync(early), main]],
    ['gzip behind gzip', [gzipSync(early), gzipSync(main)]],
    ['plain behind gzip and zeros', [gzipSync(early), Buffer.alloc(513), main]],
    ['gzip behind gzip and zeros', [gzipSync(early), Buffer.alloc(3), gzipSync(main)]],
  ])('reads one that is %s', async (_name, parts) => {
    const { tree, unread } = await read(...parts);
    expect(unread).toBeUndefined();
    expect(await tree.text('/etc/shadow')).toBe('root::1\n');
    expect(await tree.text('/link')).toBe('root::1\n');
  });

  it('says what it could not read', async () => {
    const zstd = Buffer.from('28b52ffd00000000', 'hex');
    expect((await read(early, zstd)).unread).toContain('zstd');
    expect((await read(Buffer.from('nonsense'))).unread).toContain('unknown');
    for (const first of [main, gzipSync(main)]) {
      const { tree, unread } = await read(first, Buffer.alloc(512), zstd);
      expect(unread).toMatch(/begins at byte \d+ is compressed by zstd/);
      expect(await tree.text('/etc/shadow')).toBe('root::1\n');
    }
  });

  it('puts files where the kernel does: through links, and all names of one file', async () => {
    const { tree } = await read(
      cpio(
        { name: '.', mode: 0o040755 },
        { name: 'usr', mode: 0o040755 },
        { name: 'usr/lib', mode: 0o040755 },
        { name: 'lib', text: 'usr/lib', mode: 0o120777 },
        { name: 'lib/x.service', text: 'a' },
        { name: 'first', text: '', links: 2 },
        { name: 'second', text: 'both', links: 2 },
        { name: 'loop', text: 'loop', mode: 0o120777 },
        { name: 'loop/x', text: 'a' },
      ),
    );
    expect(await tree.text('/usr/lib/x.service')).toBe('a');
    expect(await tree.text('/lib/x.service')).toBe('a');
    expect(await tree.text('/first')).toBe('both');
  });

  it('is audited with the rest, and what was not read is a finding', async () => {
    const commandLine = 'lockdown=integrity roothash=00';
    const tree = treeOf({ '/sbin/init': '-> systemd', '/sbin/systemd': { mode: 0o755 } });
    const result = await auditImage({ tree, commandLine, initrd: await read(main) });
    expect(result.findings.map(({ rule, where }) => `${rule} ${where}`)).toEqual([
      'ssh-server initrd:/bin/dropbear',
      'password initrd:/etc/shadow',
    ]);
    expect(result.notes).toEqual([]);
    const zstd = await read(Buffer.from('28b52ffd00000000', 'hex'));
    const { findings: unread } = await auditImage({ tree, commandLine, initrd: zstd });
    expect(unread).toMatchObject([
      { rule: 'unread', where: 'initrd', what: expect.stringContaining('zstd') },
    ]);
  });

  it('throws nothing but its own errors, whatever is changed or cut', async () => {
    const whole = Buffer.concat([early, main]);
    const packed = Buffer.concat([early, gzipSync(main)]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(whole, packed),
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(whole.length),
        async (original, changes, length) => {
          const bytes = Buffer.from(original.subarray(0, length));
          for (const [where, value] of changes) if (where < bytes.length) bytes[where] = value;
          try {
            await read(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ToolError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
