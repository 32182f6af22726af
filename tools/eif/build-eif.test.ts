import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { bytesSource, inspectEif, measureEif } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFile } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { buildEif, type EifParts } from './build-eif.js';
import { extractEif } from './extract-eif.js';
import { applicationEntries, bootstrapEntries, ramdiskPieces } from './ramdisks.js';
import { readPieces } from './read-pieces.js';
import { readTree } from './read-tree.js';
import { signEif } from './sign-eif.js';
import { createEifSigner, type EifSigner } from './sign-pcr0.js';
import { makeSigningKey } from './testing/make-signing-key.js';
import { unpackRamdisk } from './unpack-ramdisk.js';
import { writeCpio } from './write-cpio.js';

const folder = mkdtempSync(join(tmpdir(), 'build-eif-'));
const at = (...names: string[]): string => join(folder, ...names);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const whole = (pieces: Iterable<Uint8Array>): Buffer =>
  Buffer.concat([...pieces].map((piece) => Buffer.from(piece)));
/** Pieces are only valid until the next one. */
const copied = (pieces: Iterable<Uint8Array>): Buffer => {
  const parts: Buffer[] = [];
  for (const piece of pieces) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
};
let signer: EifSigner;

beforeAll(async () => {
  const { privateKey, certificate } = await makeSigningKey();
  signer = createEifSigner(privateKey, certificate);
});
afterAll(() => rmSync(folder, { recursive: true }));

const parts = (change: Partial<EifParts> = {}): EifParts => ({
  architecture: 'x86_64',
  kernel: [text('kernel')],
  commandLine: 'reboot=k',
  ramdisks: [[text('one')], [text('two')]],
  metadata: { toolVersion: '9' },
  ...change,
});

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
}

function nested(levels: number): Record<string, unknown> {
  return levels === 0 ? {} : { inner: nested(levels - 1) };
}

describe('buildEif', () => {
  it('writes the bytes that the specification draws', async () => {
    await buildEif(at('small.eif'), parts({ architecture: 'aarch64' }));
    const bytes = readFileSync(at('small.eif'));
    const metadata =
      '{"ImageName":"enclave","ImageVersion":"1.0","BuildMetadata":{"BuildTime":"1970-01-01T00:00:00+00:00","BuildTool":"tee-eif","BuildToolVersion":"9","OperatingSystem":"unknown","KernelVersion":"unknown"},"DockerInfo":{},"CustomMetadata":{}}';
    expect(bytes.subarray(0, 28).toString('hex')).toBe(
      '2e656966000400010000000040000000000000000000000200000005',
    );
    const hex = (n: number): string => n.toString(16).padStart(16, '0');
    const offsets = [548, 566, 586, 598 + metadata.length, 613 + metadata.length];
    const sizes = [6, 8, metadata.length, 3, 3];
    expect(bytes.subarray(28, 284).toString('hex')).toBe(
      offsets.map(hex).join('') + '0'.repeat(27 * 16),
    );
    expect(bytes.subarray(284, 540).toString('hex')).toBe(
      sizes.map(hex).join('') + '0'.repeat(27 * 16),
    );
    expect(bytes.subarray(548).toString('latin1')).toBe(
      [
        ['\x01', 'kernel'],
        ['\x02', 'reboot=k'],
        ['\x05', metadata],
        ['\x03', 'one'],
        ['\x03', 'two'],
      ]
        .map(([type, data = '']) => {
          return `\0${type}\0\0\0\0\0\0\0\0\0${String.fromCharCode(data.length)}${data}`;
        })
        .join(''),
    );
    await measureEif(bytesSource(bytes)); // the CRC
  });

  it('computes the PCRs that measuring gives', async () => {
    const big = Buffer.alloc(3_500_000, 'abc');
    for (const ramdisks of [[[big]], [[big], [text('b')], [big]]])
      for (const extra of [{}, { signer }]) {
        const { pcrs } = await buildEif(at('big.eif'), parts({ ramdisks, ...extra }));
        const measured = await measureEif(bytesSource(readFileSync(at('big.eif'))));
        expect(measured.pcrs).toEqual(pcrs);
        expect(pcrs.has(8)).toBe('signer' in extra);
      }
  });

  it('keeps every byte of files of all sizes', async () => {
    mkdirSync(at('sizes'));
    const sizes = [0, 1, 3, 262_143, 262_144, 1_048_576, 1_048_577, 3_145_729, 5_000_000];
    for (const [i, size] of sizes.entries())
      writeFileSync(at('sizes', `${i}`), Buffer.alloc(size, `${i} and more ${size}`));
    const ramdisks = [[text('one')], ramdiskPieces(readTree(at('sizes')), 'none')];
    const { pcrs } = await buildEif(at('sizes.eif'), parts({ ramdisks }));
    const measured = await measureEif(bytesSource(readFileSync(at('sizes.eif'))));
    expect(measured.pcrs).toEqual(pcrs);
    const { dataOffset, sizeBytes } = measured.sections.at(-1) as (typeof measured.sections)[0];
    const part = { path: at('sizes.eif'), offset: dataOffset, sizeBytes };
    await unpackRamdisk(part, at('sizes.out'), 1e8);
    for (const [i] of sizes.entries())
      expect(readFileSync(at('sizes.out', `${i}`)).equals(readFileSync(at('sizes', `${i}`)))).toBe(
        true,
      );
  });

  it('leaves nothing behind when it fails', async () => {
    const failing = function* (): Generator<Uint8Array> {
      yield Buffer.alloc(2_500_000);
      throw new ToolError('build.input-changed');
    };
    const before = readdirSync(folder);
    expect(await codeOf(() => buildEif(at('never.eif'), parts({ kernel: failing() })))).toBe(
      'build.input-changed',
    );
    expect(readdirSync(folder)).toEqual(before);
  });

  it.each<readonly [string, Partial<EifParts>]>([
    ['build.too-many-sections', { ramdisks: [] }],
    ['build.too-many-sections', { ramdisks: new Array<Uint8Array[]>(29).fill([]) }],
    ['build.command-line', { commandLine: '' }],
    ['build.command-line', { commandLine: 'a\nb' }],
    ['build.command-line', { commandLine: 'a\0' }],
    ['build.command-line', { commandLine: 'a'.repeat(65_537) }],
    ['build.section-too-large', { metadata: { toolVersion: '9', name: 'x'.repeat(1024 * 1024) } }],
    ['eif.metadata-malformed', { metadata: { toolVersion: '9', custom: nested(40) } }],
    ['build.kernel-config', { metadata: { toolVersion: '9', kernelConfig: 'CONFIG_X=y' } }],
  ])('refuses with %s', async (code, change) => {
    expect(await codeOf(() => buildEif(at('bad.eif'), parts(change)))).toBe(code);
  });

  it('says file.unwritable where nothing can be written', async () => {
    expect(await codeOf(() => buildEif(at('no/such/a.eif'), parts()))).toBe('file.unwritable');
  });
});

describe('signEif', () => {
  it('signs a copy, keeps the PCRs, and replaces a signature', async () => {
    const { pcrs } = await buildEif(at('plain.eif'), parts());
    await buildEif(at('signed.eif'), parts({ signer }));
    const sign = async (from: string, to: string): Promise<ReadonlyMap<number, string>> => {
      const source = await openFile(at(from));
      try {
        return (await signEif(source, at(to), signer)).pcrs;
      } finally {
        await source.close();
      }
    };
    const signed = await sign('plain.eif', 'later.eif');
    expect([...signed].slice(0, 3)).toEqual([...pcrs]);
    // Signing later gives the file that building with the key gives.
    expect(readFileSync(at('later.eif'))).toEqual(readFileSync(at('signed.eif')));
    await sign('signed.eif', 'signed.eif');
    expect(readFileSync(at('later.eif'))).toEqual(readFileSync(at('signed.eif')));
  });

  it('refuses a damaged image, but not one with a wrong signature', async () => {
    await buildEif(at('wrong.eif'), parts({ signer: { ...signer, sign: () => text('x') } }));
    const image = await inspectEif(bytesSource(readFileSync(at('wrong.eif'))));
    expect(image.problems.map(({ code }) => code)).toEqual(['eif.signature-malformed']);
    const source = await openFile(at('wrong.eif'));
    await signEif(source, at('right.eif'), signer);
    await source.close();
    await measureEif(bytesSource(readFileSync(at('right.eif'))));
    const damaged = readFileSync(at('wrong.eif'));
    damaged.writeUInt8(0x58, 561);
    writeFileSync(at('damaged.eif'), damaged);
    const bad = await openFile(at('damaged.eif'));
    expect(await codeOf(() => signEif(bad, at('x.eif'), signer))).toBe('eif.crc-mismatch');
    await bad.close();
  });
});

/** The same tree by another hand: other order, times, umask. */
function makeTree(root: string, order: 'up' | 'down', umask: number): void {
  const before = process.umask(umask);
  const files = ['b/run', 'a', 'z', 'b/data', 'a-b', 'B'].sort();
  if (order === 'down') files.reverse();
  mkdirSync(join(root, 'b'), { recursive: true });
  for (const [i, name] of files.entries()) {
    const path = join(root, name);
    writeFileSync(path, `contents of ${name}`, { mode: 0o666 });
    utimesSync(path, i * 1000 + umask, i * 1000 + umask);
  }
  chmodSync(join(root, 'b/run'), umask === 0 ? 0o777 : 0o700);
  const [first, second] = order === 'up' ? ['h1', 'h2'] : ['h2', 'h1'];
  writeFileSync(join(root, first), 'hard');
  linkSync(join(root, first), join(root, second));
  symlinkSync('../../../etc/passwd', join(root, 'b/link'));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe)]), 'no text');
  process.umask(before);
}

describe('ramdisks', () => {
  beforeAll(() => {
    makeTree(at('tree1'), 'up', 0);
    makeTree(at('tree2'), 'down', 0o077);
  });

  it('are the same bytes whatever the umask, the times and the order of the folder', async () => {
    const make = (root: string): Buffer =>
      copied(writeCpio(applicationEntries({ root, entrypoint: ['/b/run'], env: [] })));
    expect(make(at('tree2'))).toEqual(make(at('tree1')));
    const gzip = (root: string): Buffer =>
      whole(ramdiskPieces(applicationEntries({ root, entrypoint: ['/x'], env: [] }), 'gzip'));
    expect(gzip(at('tree2'))).toEqual(gzip(at('tree1')));
    expect(gzip(at('tree1')).subarray(0, 10).toString('hex')).toMatch(/^1f8b080000000000/);
    expect(gunzipSync(gzip(at('tree1'))).toString('latin1')).toContain('TRAILER!!!');
  });

  it('compress to bytes that are fixed here, for every machine and version of Node', () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
    const entry = { path: 'x', kind: 'file', mode: 0o644, contents: { bytes } } as const;
    const digest = createHash('sha256').update(whole(ramdiskPieces([entry], 'gzip')));
    expect(digest.digest('hex')).toBe(
      'ba28ca3b36f6a86427110e4b8b17dc2a8ed1248689098f467725034998ae9ac1',
    );
  });

  it('stand byte for byte as newc has them', () => {
    const entries = [
      { path: 'd', kind: 'directory', mode: 0o755 },
      { path: 'd/f', kind: 'file', mode: 0o644, contents: { bytes: text('hello') } },
      { path: 'l', kind: 'symlink', mode: 0o777, target: 'd/f' },
    ] as const;
    const zero = '00000000';
    const header = (inode: number, mode: string, links: number, size: number, name: number) =>
      `0707010000000${inode}0000${mode}${zero}${zero}0000000${links}${zero}0000000${size}${zero.repeat(4)}000000${name.toString(16).padStart(2, '0')}${zero}`;
    expect(whole(writeCpio(entries)).toString('latin1')).toBe(
      [
        `${header(1, '41ed', 2, 0, 2)}d\0`,
        `${header(2, '81a4', 1, 5, 4)}d/f\0\0\0hello\0\0\0`,
        `${header(3, 'a1ff', 1, 3, 2)}l\0d/f\0`,
        `${header(0, '0000', 1, 0, 11)}TRAILER!!!\0\0\0\0`,
      ].join(''),
    );
  });

  it('have the contents of a file with two names once', () => {
    const archive = copied(writeCpio(readTree(at('tree1')))).toString('latin1');
    expect(archive.match(/hard/g)).toHaveLength(1);
    const copies = copied(writeCpio(readTree(at('tree1'), { copyHardLinks: true })));
    expect(copies.toString('latin1').match(/hard/g)).toHaveLength(2);
  });

  it('follow the convention of the bootstrap and of the application', () => {
    const names = (entries: readonly { readonly path: string }[]): string[] =>
      entries.map(({ path }) => path);
    const init = text('init');
    expect(names(bootstrapEntries({ init, nsmKo: init }))).toEqual(['dev', 'init', 'nsm.ko']);
    mkdirSync(at('app/tmp'), { recursive: true });
    const options = { root: at('app'), entrypoint: ['/app\n--flag', 'x'], env: ['A=1', 'B=2\nC='] };
    const entries = applicationEntries(options);
    expect(names(entries)).toEqual([
      ...['cmd', 'env', 'rootfs', 'rootfs/dev', 'rootfs/proc', 'rootfs/run', 'rootfs/sys'],
      ...['rootfs/tmp', 'rootfs/var'],
    ]);
    const archive = copied(writeCpio(entries)).toString();
    expect(archive).toContain('/app\n--flag\nx\n');
    expect(archive).toContain('A=1\nB=2\nC=\n');
  });

  it.each([
    ['build.entrypoint-invalid', { entrypoint: [] }],
    ['build.entrypoint-invalid', { entrypoint: ['\n'] }],
    ['build.entrypoint-invalid', { entrypoint: ['a\0b'] }],
    ['build.entrypoint-invalid', { env: ['NAME'] }],
    ['build.entrypoint-invalid', { env: ['=x'] }],
    ['file.unreadable', { root: at('nothing') }],
    ['file.unreadable', { root: process.execPath }],
  ])('refuse with %s', async (code, change) => {
    const good = { root: at('tree1'), entrypoint: ['/x'], env: [] };
    expect(await codeOf(() => applicationEntries({ ...good, ...change }))).toBe(code);
  });

  it('refuse names that would end or leave the archive', async () => {
    for (const path of [
      'TRAILER!!!',
      '',
      '/x',
      'a/../b',
      'a//b',
      './a',
      'a\0b',
      'a'.repeat(4096),
    ]) {
      const entry = { path, kind: 'directory', mode: 0o755 } as const;
      expect(await codeOf(() => whole(writeCpio([entry])))).toBe('build.name-invalid');
    }
    const entry = { path: 'a', kind: 'directory', mode: 0o755 } as const;
    expect(await codeOf(() => whole(writeCpio([entry, entry])))).toBe('build.entry-duplicate');
    const huge = { file: Buffer.from('/x'), sizeBytes: 2 ** 32 };
    const large = { path: 'a', kind: 'file', mode: 0o644, contents: huge } as const;
    expect(await codeOf(() => whole(writeCpio([large])))).toBe('build.file-too-large');
  });

  it('refuse pipes, and files that change while they are read', async () => {
    mkdirSync(at('odd'));
    expect(spawnSync('mkfifo', [at('odd/pipe')]).status).toBe(0);
    expect(await codeOf(() => readTree(at('odd')))).toBe('build.file-unsupported');
    rmSync(at('odd/pipe'));
    writeFileSync(at('odd/file'), 'short');
    const entries = readTree(at('odd'));
    writeFileSync(at('odd/file'), 'longer than before');
    expect(await codeOf(() => whole(writeCpio(entries)))).toBe('build.input-changed');
    rmSync(at('odd/file'));
    symlinkSync('/etc/passwd', at('odd/file'));
    expect(await codeOf(() => whole(writeCpio(entries)))).toBe('file.unreadable');
    expect(await codeOf(() => whole(readPieces({ path: at('small.eif'), sizeBytes: 1e9 })))).toBe(
      'build.input-changed',
    );
  });
});

describe('extractEif', () => {
  it('gives back what was built, so that building again gives the same image', async () => {
    const ramdisk = (root: string): Iterable<Uint8Array> => ramdiskPieces(readTree(root), 'gzip');
    const made = await buildEif(
      at('tree.eif'),
      parts({ ramdisks: [ramdisk(at('tree1'))], signer }),
    );
    const source = await openFile(at('tree.eif'));
    const { files } = await extractEif(source, at('taken'), { unpack: true });
    expect(files).toEqual([
      ...['kernel', 'cmdline', 'metadata.json', 'ramdisk-1', 'ramdisk-1.d', 'signature.cbor'],
      'certificate.pem',
    ]);
    expect(readdirSync(at('taken')).sort()).toEqual([...files].sort());
    const again = parts({ ramdisks: [ramdisk(at('taken/ramdisk-1.d'))], signer });
    expect((await buildEif(at('again.eif'), again)).pcrs).toEqual(made.pcrs);
    expect(readFileSync(at('again.eif'))).toEqual(readFileSync(at('tree.eif')));
    expect(await codeOf(() => extractEif(source, at('taken')))).toBe('file.unwritable');
    await source.close();
  });
});
