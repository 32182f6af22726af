import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../bytes/byte-writer.js';
import { AttestationError } from '../result/attestation-error.js';
import { bytesSource } from './byte-source.js';
import { measureUki } from './measure-uki.js';
import { readPeImage } from './pe-image.js';
import { checkRelocations } from './relocations.js';
import { makePe, type SectionPlan, ukiSections } from './test-support/make-pe.js';

const DIR64 = 10;
const HIGHLOW = 3;
/** `.text` at 0x1000, `.osrel` at 0x2000 (600 bytes), `.reloc` at 0x3000. */
const image = (table: Uint8Array, address = 0x3000, size = table.length): Uint8Array =>
  makePe(
    [
      { name: '.text', data: new Uint8Array(3000) },
      { name: '.osrel', data: new Uint8Array(600).fill(0x61) },
      { name: '.reloc', data: table },
    ],
    { relocations: [address, size] },
  );

function block(page: number, entries: readonly (readonly [number, number])[]): Uint8Array {
  const writer = new ByteWriter('little').u32(page).u32(8 + entries.length * 2);
  for (const [type, offset] of entries) writer.u16((type << 12) | offset);
  return writer.finish();
}

const check = async (bytes: Uint8Array): Promise<void> =>
  checkRelocations(await readPeImage(bytesSource(bytes)), ({ name }) => name === '.osrel');

describe('checkRelocations', () => {
  it('allows fixups of code, padding, and no table at all', async () => {
    await check(
      image(
        block(0x1000, [
          [DIR64, 0],
          [HIGHLOW, 0xff0],
          [0, 0],
        ]),
      ),
    );
    await check(image(block(0x2000, [[0, 0]]))); // ABSOLUTE changes nothing
    await check(image(block(0x2000, [[DIR64, 600]]))); // right behind the section
    await check(image(new Uint8Array(8), 0, 0));
  });

  it.each([
    ['a measured section', block(0x2000, [[DIR64, 8]])],
    ['the end of a measured section', block(0x2000, [[HIGHLOW, 599]])],
    ['a measured section from the page before', block(0x1000, [[DIR64, 0xffc]])],
    [
      'a measured section in a later block',
      new Uint8Array([...block(0x1000, []), ...block(0x2000, [[1, 0]])]),
    ],
    ['a measured section with a type of another machine', block(0x2000, [[7, 8]])],
    ['the headers, by which the stub finds its sections', block(0, [[DIR64, 0x150]])],
    ['the relocations themselves', block(0x3000, [[DIR64, 0]])],
    ['what lies beyond the image', block(0xfffff000, [[DIR64, 0]])],
    [
      'anything, with a block shorter than its header',
      new ByteWriter('little').u32(0x1000).u32(4).finish(),
    ],
    ['anything, with a block of size 0', new Uint8Array(16)],
    ['anything, with an odd block', new ByteWriter('little').u32(0x1000).u32(9).u8(0).finish()],
    [
      'anything, with a block beyond the table',
      new ByteWriter('little').u32(0x1000).u32(200).finish(),
    ],
    ['anything, with bytes left over', new Uint8Array([...block(0x1000, []), 0, 0])],
  ])('refuses a fixup that changes %s', async (_, table) => {
    await expect(check(image(table))).rejects.toEqual(
      expect.objectContaining({ code: 'pe.relocation' }),
    );
  });

  it.each([
    [0x10, 16],
    [0x3000, 0x10000],
    [0xffffff00, 0x1000],
    [0x2ff8, 16],
  ])('refuses a table at %i of %i bytes, outside the sections', async (address, size) => {
    await expect(check(image(block(0x1000, []), address, size))).rejects.toEqual(
      expect.objectContaining({ code: 'pe.relocation' }),
    );
  });

  it('throws nothing but our error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), async (table) => {
        try {
          await check(image(table));
        } catch (error) {
          expect(error).toBeInstanceOf(AttestationError);
        }
      }),
    );
  });

  it('guards UKIs and addons: an attacker relocates into .osrel and into an addon\u2019s .cmdline', async () => {
    const withFixup = (sections: readonly SectionPlan[], name: string): Uint8Array => {
      // Sections of these images take a page or two each; the table is the last one.
      const plain = makePe([...sections, { name: '.reloc', data: block(0, [[DIR64, 0]]) }]);
      const view = new DataView(plain.buffer);
      const addressOf = (i: number): number => view.getUint32(328 + i * 40 + 12, true);
      const target = addressOf(sections.findIndex((one) => one.name === name));
      const table = block(target, [[DIR64, 0]]);
      return makePe([...sections, { name: '.reloc', data: table }], {
        relocations: [addressOf(sections.length), table.length],
      });
    };
    const measure = (...images: readonly Uint8Array[]): Promise<unknown> =>
      measureUki(images.map((bytes, i) => ({ name: `${i}.efi`, source: bytesSource(bytes) })));
    const refused = expect.objectContaining({ code: 'pe.relocation' });
    await expect(measure(withFixup(ukiSections('257'), '.osrel'))).rejects.toEqual(refused);
    await expect(measure(withFixup(ukiSections('257'), '.text'))).resolves.toBeDefined();
    const addon = withFixup([{ name: '.cmdline', data: new Uint8Array(9).fill(0x61) }], '.cmdline');
    await expect(measure(makePe(ukiSections('257')), addon)).rejects.toEqual(refused);
  });
});
