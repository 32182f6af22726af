import { createHash, randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource } from 'tee-verify/measure';
import { afterAll, describe, expect, it } from 'vitest';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { runCommand } from '../test-support/run-command.js';
import { espRoom, MIN_ESP_BYTES, makeEsp } from './make-esp.js';
import { readEsp } from './read-esp.js';

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'tee-image-esp-'));
afterAll(() => rmSync(folder, { recursive: true }));

const uki = join(folder, 'uki.efi');
const contents = randomFillSync(new Uint8Array(3 * MIB + 17));
writeFileSync(uki, contents);
const plan = (name: string, change = {}) => ({
  uki,
  output: join(folder, name),
  architecture: 'x86_64' as const,
  sizeBytes: 64 * MIB,
  volumeId: '1234abcd',
  ...change,
});
const sha256 = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

describe('makeEsp', () => {
  it('makes what readEsp and mtools read, the same bytes each time', async () => {
    await makeEsp(plan('a.img'));
    await new Promise((resolve) => setTimeout(resolve, 2100)); // FAT counts in two seconds
    await makeEsp(plan('b.img'));
    expect(sha256(join(folder, 'a.img'))).toBe(sha256(join(folder, 'b.img')));
    const bytes = readFileSync(join(folder, 'a.img'));
    const esp = await readEsp(bytesSource(bytes), 0, bytes.length);
    expect(esp.volumeId).toBe('1234abcd');
    expect(esp.folders).toEqual(['EFI', 'EFI/BOOT']);
    expect(esp.files.map(({ path }) => path)).toEqual(['EFI/BOOT/BOOTX64.EFI']);
    const source = esp.files[0]?.source;
    expect(Buffer.from((await source?.read(0, source.size)) ?? []).equals(contents)).toBe(true);
    expect(Buffer.from((await source?.read(5000, 1000)) ?? [])).toEqual(
      Buffer.from(contents.subarray(5000, 6000)),
    );
    const copied = runCommand('mcopy', [
      '-i',
      join(folder, 'a.img'),
      '::/EFI/BOOT/BOOTX64.EFI',
      '-',
    ]);
    expect(Buffer.from(copied).equals(contents)).toBe(true);
    runCommand('fsck.vfat', ['-n', join(folder, 'a.img')]);
  });

  it('works below a folder whose name says an offset to mtools', async () => {
    const odd = join(folder, 'x@@1M');
    mkdirSync(odd);
    await makeEsp(plan('x@@1M/esp.img'));
    const bytes = readFileSync(join(odd, 'esp.img'));
    expect((await readEsp(bytesSource(bytes), 0, bytes.length)).files).toHaveLength(1);
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  it.each([MIN_ESP_BYTES, 64 * MIB, 128 * MIB, 300 * MIB])('works in %i bytes', async (size) => {
    const output = join(folder, 'size.img');
    await makeEsp(plan('size.img', { sizeBytes: size, architecture: 'aarch64' }));
    const bytes = readFileSync(output);
    expect(bytes.length).toBe(size);
    const esp = await readEsp(bytesSource(bytes), 0, size);
    expect(esp.files.map(({ path }) => path)).toEqual(['EFI/BOOT/BOOTAA64.EFI']);
  });

  it('knows what fits', async () => {
    const room = 34 * MIB;
    const largest = espRoom(room);
    const big = join(folder, 'big.efi');
    writeFileSync(big, new Uint8Array(largest));
    await makeEsp(plan('full.img', { uki: big, sizeBytes: room }));
    writeFileSync(big, new Uint8Array(largest + 1));
    const error = await rejectionOf(makeEsp(plan('over.img', { uki: big, sizeBytes: room })));
    expect(error).toMatchObject({ code: 'esp.too-small' });
    // The check is not far from what mtools would take.
    expect(room - largest).toBeLessThan(MIB);
  });

  it.each([0, 33 * MIB, 64 * MIB + 512, 2 ** 40, Number.NaN])(
    'refuses %s bytes',
    async (sizeBytes) => {
      const error = await rejectionOf(makeEsp(plan('bad.img', { sizeBytes })));
      expect(error).toMatchObject({ code: 'usage.option-invalid' });
    },
  );
});
