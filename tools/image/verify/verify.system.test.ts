import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makePe } from '../../../src/measure/test-support/make-pe.js';
import { runCommand } from '../test-support/run-command.js';

const COMMAND = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tee-image-verify-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

interface Check {
  readonly check: string;
  readonly result: string;
  readonly code?: string;
}

function tool(args: readonly string[], env = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [COMMAND, ...args], options);
}

function build(name: string, cmdline = 'console=ttyS0', files = {}): string {
  mkdirSync(at(`${name}.tree/usr`), { recursive: true });
  const contents = { 'usr/blob': tree, 'usr/file': 'x\n', ...files };
  for (const [file, bytes] of Object.entries(contents))
    writeFileSync(at(`${name}.tree/${file}`), bytes as Uint8Array);
  const run = tool([
    ...['build', '--kernel', at('kernel'), '--initrd', at('initrd'), '--image-digest'],
    ...['--root', at(`${name}.tree`), '--cmdline', cmdline, '--esp-size', '36'],
    ...['--out', at(name)],
  ]);
  expect(run.stderr).toBe('');
  return join(at(name), 'image_1.raw');
}

const tree = randomFillSync(new Uint8Array(3_000_000));
const manifest = (name = 'good'): string => join(at(name), 'manifest.json');
let good: string;
let other: string;
let parts: { offsetBytes: number; sizeBytes: number; dataBytes?: number }[];

beforeAll(() => {
  writeFileSync(at('kernel'), makePe([{ name: '.text', data: new Uint8Array(90_000).fill(0xcc) }]));
  writeFileSync(at('initrd'), randomFillSync(new Uint8Array(100_000)));
  good = build('good');
  other = build('other', 'console=ttyS0', { 'usr/file': 'y\n' });
  parts = JSON.parse(readFileSync(join(at('good'), 'partitions.json'), 'utf8')).partitions;
});

/** Every code that verifying gives, and how it ends. */
function verify(
  raw: string,
  ...options: readonly string[]
): { codes: string[]; status: number | null } {
  const run = tool(['verify', raw, '--json', '--manifest', manifest(), ...options]);
  expect(run.stderr).toBe('');
  const { passed, checks } = JSON.parse(run.stdout) as { passed: boolean; checks: Check[] };
  expect(run.status).toBe(passed ? 0 : 1);
  expect(checks).toHaveLength(9);
  return { codes: checks.flatMap(({ code }) => code ?? []), status: run.status };
}

function changed(change: (bytes: Buffer) => Buffer | undefined): string {
  const bytes = readFileSync(good);
  writeFileSync(at('changed.raw'), change(bytes) ?? bytes);
  return at('changed.raw');
}

const part = (index: number): { offsetBytes: number; sizeBytes: number; dataBytes?: number } =>
  parts[index] as { offsetBytes: number; sizeBytes: number };
const flip = (bytes: Buffer, offset: number): undefined => {
  bytes[offset] = (bytes[offset] as number) ^ 1;
  return undefined;
};
const inEsp = (raw: string, program: string, ...args: readonly string[]): void => {
  runCommand(program, ['-i', `${raw}@@${part(0).offsetBytes}`, ...args]);
};

describe('tee-image verify', () => {
  it('passes what was built, without any program of the host', () => {
    const run = tool(['verify', good, '--manifest', manifest()], { PATH: '/nowhere' });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toMatch(/^ok {6}partition table/);
    expect(run.stdout.match(/^ok /gm)).toHaveLength(9);
    expect(run.stdout).toMatch(/the image is what the manifest says\n$/);
    const aws = tool(['verify', good, '--manifest', join(at('good'), 'tpm_pcr.json')]);
    expect(aws.status).toBe(0);
    expect(aws.stdout).toMatch(/PCRs: PCR 4, 12 of set "measurements"/);
  });

  const TAMPERED: Record<string, [(bytes: Buffer) => Buffer | undefined, readonly string[]]> = {
    'a bit of the data': [(b) => flip(b, part(1).offsetBytes + 50_000), ['verity.data-mismatch']],
    'the first byte of the data': [(b) => flip(b, part(1).offsetBytes), ['verity.data-mismatch']],
    'the last byte of the data': [
      (b) => flip(b, part(1).offsetBytes + (part(1).dataBytes ?? 0) - 1),
      ['verity.data-mismatch'],
    ],
    'a byte behind the data': [
      (b) => flip(b, part(1).offsetBytes + (part(1).dataBytes ?? 0)),
      ['verity.data-mismatch'],
    ],
    'a bit of the hash tree': [
      (b) => flip(b, part(2).offsetBytes + 4096),
      ['verity.data-mismatch'],
    ],
    'the salt': [(b) => flip(b, part(2).offsetBytes + 90), ['verity.data-mismatch']],
    'the hash algorithm': [(b) => flip(b, part(2).offsetBytes + 33), ['verity.superblock']],
    'the rest of the block of the superblock': [
      (b) => flip(b, part(2).offsetBytes + 1000),
      ['verity.superblock'],
    ],
    'a byte behind the hash tree': [
      (b) => flip(b, part(2).offsetBytes + 32_769),
      ['verity.superblock'],
    ],
    'a byte before the first partition': [(b) => flip(b, 32_769), ['gpt.malformed']],
    'a byte behind the last partition': [
      (b) => flip(b, part(2).offsetBytes + part(2).sizeBytes),
      ['gpt.malformed'],
    ],
    'the boot sector to hold a partition table': [
      (b) => flip(b, part(0).offsetBytes + 450),
      ['esp.malformed'],
    ],
    'the primary table': [(b) => flip(b, 600), ['gpt.malformed']],
    'the backup table': [(b) => flip(b, b.length - 100), ['gpt.malformed']],
    'a partition UUID': [(b) => flip(b, 1024 + 128 + 16), ['gpt.malformed']],
    'boot code': [(b) => flip(b, 3), ['gpt.malformed']],
    'bytes behind the image': [(b) => Buffer.concat([b, Buffer.alloc(512)]), ['gpt.malformed']],
    'the end cut off': [(b) => b.subarray(0, b.length - 1024 * 1024), ['gpt.malformed']],
    'a copy of the FAT': [(b) => flip(b, part(0).offsetBytes + 32 * 512 + 40), ['esp.malformed']],
  };

  it.each(Object.keys(TAMPERED))('finds a change of %s', (name) => {
    const [change, codes] = TAMPERED[name] as (typeof TAMPERED)[string];
    const found = verify(changed(change));
    expect(found.codes.slice(0, codes.length)).toEqual(codes);
  });

  it('finds a change of the command line, the kernel and the initrd', () => {
    const places = [
      'console=ttyS0',
      '\xcc\xcc\xcc\xcc\xcc',
      readFileSync(at('initrd')).toString('latin1', 0, 40),
    ];
    for (const place of places) {
      const raw = changed((bytes) => flip(bytes, bytes.indexOf(Buffer.from(place, 'latin1'))));
      expect(verify(raw).codes).toContain('verify.pcr-mismatch');
    }
  });

  it('finds another root hash in the command line', () => {
    const raw = changed((bytes) => {
      // Another hex digit: a flipped bit makes some digits none.
      const at = bytes.indexOf('roothash=') + 12;
      bytes.write(bytes[at] === 0x30 ? '1' : '0', at);
      return undefined;
    });
    const { codes } = verify(raw);
    expect(codes).toEqual(expect.arrayContaining(['verify.uki', 'verity.root-hash-mismatch']));
  });

  it('finds two root hashes, or none', () => {
    for (const [from, to] of [
      ['console=ttyS0', 'roothash=0000'],
      ['roothash=', 'roothush='],
    ] as const) {
      const raw = changed((bytes) => {
        bytes.write(to, bytes.indexOf(from));
        return undefined;
      });
      expect(verify(raw).codes[0]).toBe('verify.uki');
    }
  });

  it('finds another program beside the UKI, or none', () => {
    const raw = at('esp.raw');
    copyFileSync(good, raw);
    writeFileSync(at('shell.efi'), 'x');
    inEsp(raw, 'mcopy', at('shell.efi'), '::/EFI/BOOT/SHELL.EFI');
    expect(verify(raw).codes[0]).toBe('esp.unexpected-file');
    copyFileSync(good, raw);
    inEsp(raw, 'mren', '::/EFI/BOOT/BOOTX64.EFI', '::/EFI/BOOT/BOOTAA64.EFI');
    expect(verify(raw).codes[0]).toBe('esp.unexpected-file');
    inEsp(raw, 'mdel', '::/EFI/BOOT/BOOTAA64.EFI');
    expect(verify(raw).codes[0]).toBe('esp.unexpected-file');
  });

  it('finds one more partition', () => {
    const raw = at('more.raw');
    copyFileSync(good, raw);
    truncateSync(raw, readFileSync(good).length + 4 * 1024 * 1024);
    runCommand('sgdisk', ['--move-second-header', raw]);
    runCommand('sgdisk', ['--new=4:0:0', '--typecode=4:8300', raw]);
    expect(verify(raw).codes[0]).toBe('gpt.partitions');
  });

  it('finds the contents of one build with the UKI of another', () => {
    const raw = changed((bytes) => {
      const esp = readFileSync(other).subarray(part(0).offsetBytes, part(1).offsetBytes);
      esp.copy(bytes, part(0).offsetBytes);
      return undefined;
    });
    const { codes } = verify(raw);
    expect(codes).toEqual([
      ...['verify.uki', 'verity.root-hash-mismatch', 'verify.pcr-mismatch', 'verify.provenance'],
    ]);
  });

  it('finds that the manifest is of another image', () => {
    const run = tool(['verify', good, '--manifest', manifest('other')]);
    expect(run.status).toBe(1);
    expect(run.stdout).toMatch(/FAILED {2}PCRs: .*\n.*verify\.pcr-mismatch/);
    expect(run.stdout).toMatch(/NOT VERIFIED\n$/);
  });

  it('wants a manifest that pins the image', () => {
    const write = (
      change: (json: { measurementSets: Record<string, unknown>[] }) => void,
    ): string => {
      const json = JSON.parse(readFileSync(manifest(), 'utf8'));
      change(json);
      writeFileSync(at('edited.json'), JSON.stringify(json));
      return at('edited.json');
    };
    const sets: Record<string, (set: Record<string, unknown>) => void> = {
      revoked: (set) => Object.assign(set, { revoked: { reason: 'CVE' } }),
      'without PCR4': (set) => Reflect.deleteProperty(set.pcrs as object, '4'),
    };
    for (const change of Object.values(sets)) {
      const path = write(({ measurementSets: [set] }) => change(set ?? {}));
      expect(verify(good, '--manifest', path).codes).toEqual(['verify.manifest-unusable']);
    }
    const wrongDigest = write((json) =>
      Object.assign((json as unknown as { provenance: object }).provenance, {
        imageDigest: `sha256:${'0'.repeat(64)}`,
      }),
    );
    expect(verify(good, '--manifest', wrongDigest).codes).toEqual(['verify.provenance']);
  });

  it('says in one line what it cannot read', () => {
    for (const [args, code, status] of [
      [['/nowhere', '--manifest', manifest()], 'file.unreadable', 2],
      [[good, '--manifest', '/nowhere'], 'file.unreadable', 2],
      [[good, '--manifest', COMMAND], 'manifest.malformed', 1],
      [[good, '--manifest', manifest(), '--secure-boot', folder], 'file.unreadable', 2],
    ] as const) {
      const run = tool(['verify', ...args]);
      expect(run.stderr).toMatch(new RegExp(`^tee-image: ${code.replace('.', '\\.')}: [^\n]+\n$`));
      expect(run.status).toBe(status);
    }
  });
});

describe('tee-image verify of signed images', () => {
  it('passes with the identity, and not without it or with another', () => {
    for (const name of ['keys', 'keys2'])
      expect(tool(['keys', 'new', '--out', at(name)]).stderr).toBe('');
    const run = tool(['sign', at('good'), '--keys', at('keys'), '--out', at('signed')]);
    expect(run.stderr).toBe('');
    const args = [
      'verify',
      at('signed/image_1.signed.raw'),
      '--manifest',
      at('signed/manifest.json'),
    ];
    expect(tool([...args, '--secure-boot', at('keys')])).toMatchObject({ status: 0, stderr: '' });
    const without = tool(args);
    expect(without.status).toBe(1);
    expect(without.stdout).toMatch(/verify\.pcr-mismatch\. Hint: .*--secure-boot/);
    const another = tool([...args, '--secure-boot', at('keys2')]);
    expect(another.status).toBe(1);
    expect(another.stdout).toMatch(/FAILED {2}measurement/);
  });
});
