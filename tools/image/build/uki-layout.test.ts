import { asciiBytes } from 'tee-verify/bytes';
import { bytesSource, readPeImage } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import {
  makeCertificateTable,
  makePe,
  PE_OFFSETS,
  type PePlan,
  type SectionPlan,
} from '../../../src/measure/test-support/make-pe.js';
import { rejectionOf } from '../../../src/test-support/rejection.js';
import { layoutUki } from './uki-layout.js';

const MACHINE = 0x8664;
const { optional, pe } = PE_OFFSETS;
const ADDED = [
  { name: '.osrel', sizeBytes: 40 },
  { name: '.cmdline', sizeBytes: 70 },
  { name: '.initrd', sizeBytes: 5001 },
  { name: '.linux', sizeBytes: 9000 },
];
const STUB: readonly SectionPlan[] = [
  { name: '.text', data: new Uint8Array(700).fill(0x90) },
  { name: '.data', data: new Uint8Array(600).fill(7) },
  { name: '.sdmagic', data: asciiBytes('#### LoaderInfo: systemd-stub 252.39-1 ####\0') },
];

function makeStub(sections: readonly SectionPlan[] = STUB, plan: PePlan = {}): Uint8Array {
  return makePe(sections, {
    ...plan,
    patch: (bytes, view) => {
      view.setUint32(optional + 32, 4096, true);
      view.setUint32(optional + 36, 512, true);
      view.setUint32(pe + 8, 0x5f5e100, true); // a time stamp
      view.setUint32(optional + 64, 0x1234, true); // a checksum
      plan.patch?.(bytes, view);
    },
  });
}

async function layout(stub: Uint8Array): Promise<{ file: Uint8Array; view: DataView }> {
  const { head, sections, sizeBytes } = await layoutUki(stub, MACHINE, ADDED);
  const file = new Uint8Array(sizeBytes);
  file.set(head);
  for (const [i, { offset, sizeBytes: length }] of sections.entries())
    file.fill(0x61 + i, offset, offset + length);
  return { file, view: new DataView(file.buffer) };
}

async function contents(file: Uint8Array): Promise<Record<string, string>> {
  const image = await readPeImage(bytesSource(file));
  return Object.fromEntries(
    image.sections.map(({ name, rawOffset, rawSize, virtualSize }) => [
      name,
      Buffer.from(file.subarray(rawOffset, rawOffset + Math.min(rawSize, virtualSize))).toString(
        'latin1',
      ),
    ]),
  );
}

describe('layoutUki', () => {
  it('puts sections behind those of the stub, in memory and in the file', async () => {
    const { file, view } = await layout(makeStub());
    const image = await readPeImage(bytesSource(file));
    expect(image.sections.map(({ name }) => name)).toEqual([
      ...['.text', '.data', '.sdmagic', '.osrel', '.cmdline', '.initrd', '.linux'],
    ]);
    const found = await contents(file);
    expect(found['.text']).toBe('\x90'.repeat(700));
    expect(found['.sdmagic']).toMatch(/^#### LoaderInfo/);
    expect(found['.osrel']).toBe('a'.repeat(40));
    expect(found['.linux']).toBe('d'.repeat(9000));
    expect(file.length % 512).toBe(0);
    for (const { virtualAddress } of image.sections.slice(3)) expect(virtualAddress % 4096).toBe(0);
    const last = image.sections.at(-1);
    expect(image.sizeOfImage).toBe(Math.ceil(((last?.virtualAddress ?? 0) + 9000) / 4096) * 4096);
    // .osrel, .cmdline, .initrd and .linux, rounded to 512.
    expect(view.getUint32(optional + 8, true)).toBe(512 + 512 + 5120 + 9216);
  });

  it('leaves out what differs between machines and what signing would move', async () => {
    const symbols = asciiBytes('symbols and strings');
    const stub = makeStub(STUB, {
      trailing: symbols,
      patch: (bytes, view) => {
        view.setUint32(pe + 12, bytes.length - symbols.length, true);
        view.setUint32(pe + 16, 1, true);
      },
    });
    const { file, view } = await layout(stub);
    for (const field of [pe + 8, pe + 12, pe + 16, optional + 64])
      expect(view.getUint32(field, true)).toBe(0);
    expect(Buffer.from(file).includes('symbols and strings')).toBe(false);
    expect(Buffer.from(file).equals((await layout(makeStub())).file)).toBe(true);
  });

  it('does not look at the image base', async () => {
    const withBase = (base: bigint): Uint8Array =>
      makeStub(STUB, { patch: (_, view) => view.setBigUint64(optional + 24, base, true) });
    const [zero, high] = [await layout(withBase(0n)), await layout(withBase(0x1_4000_0000n))];
    expect(high.view.getBigUint64(optional + 24, true)).toBe(0x1_4000_0000n);
    high.view.setBigUint64(optional + 24, 0n, true);
    expect(Buffer.from(high.file).equals(zero.file)).toBe(true);
    const { sections } = await readPeImage(bytesSource(high.file));
    expect(sections.every(({ virtualAddress }) => virtualAddress < 0x100_0000)).toBe(true);
  });

  it('moves the sections of the stub when the headers have no room', async () => {
    // 328 bytes up to the table, three sections: 448; four more would end at 608.
    const narrow = await layout(makeStub(STUB, { headerBytes: 512 }));
    const image = await readPeImage(bytesSource(narrow.file));
    expect(image.sizeOfHeaders).toBe(1024);
    expect(image.sections[0]?.rawOffset).toBe(1024);
    expect(await contents(narrow.file)).toEqual(await contents((await layout(makeStub())).file));
  });

  it('keeps sections without data where they are', async () => {
    const stub = makeStub([...STUB, { name: '.bss', virtualSize: 100, rawOffset: 0 }], {
      headerBytes: 512,
    });
    const { file } = await layout(stub);
    const bss = (await readPeImage(bytesSource(file))).sections.find(({ name }) => name === '.bss');
    expect(bss).toMatchObject({ rawOffset: 0, rawSize: 0 });
  });

  const certificates = makeCertificateTable([asciiBytes('certificate')]);
  const filled = Array.from({ length: 94 }, (_, i) => ({
    name: `.s${i}`,
    data: new Uint8Array(1),
  }));
  it.each<[string, Uint8Array, string]>([
    [
      'a stub that is a UKI already',
      makeStub([...STUB, { name: '.linux', data: new Uint8Array(9) }]),
      'stub.has-sections',
    ],
    [
      'a stub with a .profile',
      makeStub([...STUB, { name: '.profile', data: new Uint8Array(9) }]),
      'stub.has-sections',
    ],
    ['a signed stub', makeStub(STUB, { certificates }), 'stub.unsupported'],
    [
      'something behind the sections',
      makeStub(STUB, { trailing: new Uint8Array(8) }),
      'stub.unsupported',
    ],
    [
      'PE32',
      makeStub(STUB, { pe32: true, patch: (_, view) => view.setUint16(68, MACHINE, true) }),
      'stub.unsupported',
    ],
    ['no sections', makeStub([]), 'stub.unsupported'],
    [
      'a file alignment of 3',
      makeStub(STUB, { patch: (_, view) => view.setUint32(optional + 36, 3, true) }),
      'stub.unsupported',
    ],
    [
      'a section alignment of 0',
      makeStub(STUB, { patch: (_, view) => view.setUint32(optional + 32, 0, true) }),
      'stub.unsupported',
    ],
    [
      'another machine',
      makeStub(STUB, { patch: (_, view) => view.setUint16(68, 0xaa64, true) }),
      'uki-build.architecture',
    ],
    [
      'headers up to the first section in memory',
      makeStub(STUB, { headerBytes: 512, patch: (_, view) => view.setUint32(328 + 12, 512, true) }),
      'stub.no-header-room',
    ],
    [
      'too many sections',
      makeStub(filled, {
        headerBytes: 8192,
        patch: (_, view) => {
          for (let i = 0; i < 94; i++) view.setUint32(328 + 40 * i + 12, 8192 + 4096 * i, true);
          view.setUint32(optional + 56, 8192 + 4096 * 94, true);
        },
      }),
      'stub.no-header-room',
    ],
    ['no PE image', asciiBytes('MZ'.repeat(40)), 'pe.not-pe'],
  ])('refuses %s', async (_, stub, code) => {
    expect(await rejectionOf(layoutUki(stub, MACHINE, ADDED))).toMatchObject({ code });
  });

  it('refuses a UKI of more than 2 GiB', async () => {
    const added = [{ name: '.initrd', sizeBytes: 2 ** 31 }];
    const error = await rejectionOf(layoutUki(makeStub(), MACHINE, added));
    expect(error).toMatchObject({ code: 'uki-build.too-large' });
  });
});
