import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeasurementManifest } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { havePrograms } from '../../agent/testing/start-swtpm.js';
import { parsePartitionDescription } from '../disk/partition-description.js';
import { debianKernel } from '../test-support/debian-kernel.js';
import { buildGuestRoot, buildVerityInitrd } from '../test-support/verity-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const COMMAND = join(ROOT, 'tools/image/bin/tee-image.js');
const TIMEOUT_SECONDS = 180;
const KERNEL_LINE = 'console=ttyS0 panic=-1 quiet';

const have = havePrograms(
  ...['qemu-system-x86_64', 'swtpm', 'sbsign', 'mkfs.erofs', 'veritysetup', 'mkfs.vfat', 'mcopy'],
  ...['cpio', 'busybox', 'ldd', '/usr/lib/systemd/boot/efi/linuxx64.efi.stub'],
);
const built = existsSync(join(ROOT, 'tools/dist/tee-image.js'));
if (!built) {
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: boots of built images, because tools/dist is missing (npm run build)');
}

describe.skipIf(!have || !built)('an image of tee-image build', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-built-'));
  const at = (...names: readonly string[]): string => join(folder, ...names);
  const raw = at('out/guest_1.raw');
  const signed = at('signed/guest_1.signed.raw');

  beforeAll(() => {
    const sea = at('tee-attest');
    const made = spawnSync(process.execPath, ['scripts/build-sea.mjs', '--out', sea], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(made.stderr).toBe('');
    buildGuestRoot(at('root'), sea);
    writeFileSync(at('initrd'), buildVerityInitrd());
    expectOk(
      ...['build', '--kernel', debianKernel(), '--initrd', at('initrd'), '--root', at('root')],
      ...['--cmdline', KERNEL_LINE, '--name', 'guest', '--out', at('out')],
    );
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(...args: readonly string[]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: temporary() },
    });
    return { status, stdout, stderr };
  }
  function expectOk(...args: readonly string[]): string {
    const { status, stdout, stderr } = run(...args);
    expect(stderr).not.toContain('tee-image:');
    expect(status).toBe(0);
    return stdout;
  }
  /** What commands leave behind would be seen here. */
  function temporary(): string {
    mkdirSync(at('tmp'), { recursive: true });
    return at('tmp');
  }
  const boot = (image: string, ...more: readonly string[]) =>
    run('boot', image, '--memory', '512', '--timeout', `${TIMEOUT_SECONDS}`, ...more);

  /** The lines of the guest's report, and the PCRs that tee-attest read in it. */
  function readReport(console: string) {
    const [, report = ''] = /TEE-BEGIN\r?\n([\s\S]*?)TEE-END/.exec(console) ?? [];
    const [json = '{}'] = /^\{[\s\S]*?^\}/m.exec(report) ?? [];
    const line = (word: string): string | undefined =>
      new RegExp(`^${word} ([^\\r\\n]*)`, 'm').exec(report)?.[1];
    return { report, line, pcrs: JSON.parse(json) as Record<string, string> };
  }
  function expectPcrs(guest: Readonly<Record<string, string>>, manifestPath: string): void {
    const manifest: MeasurementManifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
    const expected = manifest.measurementSets[0]?.pcrs ?? {};
    expect(Object.keys(expected)).toEqual(['4', '7', '9', '11', '12']);
    for (const [pcr, value] of Object.entries(expected))
      expect([pcr, guest[`PCR${pcr}`]]).toEqual([pcr, value]);
  }
  /** A copy with one bit changed where this text stands, `from` there on. */
  function flip(image: string, text: string, from: number, to: number): string {
    const copy = at('flipped.raw');
    copyFileSync(image, copy);
    const bytes = readFileSync(copy);
    const place = bytes.indexOf(text, from);
    expect(place).toBeGreaterThanOrEqual(from);
    expect(place).toBeLessThan(to);
    bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
    writeFileSync(copy, bytes);
    return copy;
  }
  const partitions = () =>
    parsePartitionDescription(readFileSync(at('out/partitions.json'), 'utf8')).partitions;

  it('boots read-only under dm-verity with the PCRs of its manifest, which tee-attest reads', () => {
    const before = readFileSync(raw);
    const { status, stdout, stderr } = boot(raw, '--attest', '--until', 'TEE-END');
    const { report, line, pcrs } = readReport(stdout);
    expect(line('MOUNT')).toMatch(/^\/dev\/mapper\/root \/ erofs ro,/);
    expect(line('MAPPING')).toMatch(/^CRYPT-VERITY-.*read-only 1$/);
    expect(report).not.toContain('WRITABLE');
    expect(report).toContain('Read-only file system');
    expect(line('WROTE')).toBe('no');
    const { rootHash } = parsePartitionDescription(readFileSync(at('out/partitions.json'), 'utf8'));
    expect(line('CMDLINE')).toBe(`${KERNEL_LINE} roothash=${rootHash}`);
    expectPcrs(pcrs, at('out/manifest.json'));
    expect(stdout).toContain('The guest is what the manifest says (guest).');
    expect(stderr).toMatch(/^booting with /);
    expect(status).toBe(0);
    // The machine got a copy to write on, and nothing is left of it.
    expect(readFileSync(raw).equals(before)).toBe(true);
    expect(readdirSync(at('tmp'))).toEqual([]);
  });

  it('refuses when one bit of its data partition was flipped', () => {
    const [, { offsetBytes, sizeBytes }] = partitions();
    const flipped = flip(raw, 'echo TEE-BEGIN', offsetBytes, offsetBytes + sizeBytes);
    const { status, stdout, stderr } = boot(flipped, '--until', 'TEE-END');
    expect(stdout).not.toContain('TEE-BEGIN');
    expect(stdout).toMatch(/Kernel panic|TEE-REFUSED/);
    expect(stdout).toMatch(/verity.*corrupt/);
    expect(stderr).toMatch(/boot\.failed/);
    expect(status).toBe(1);
  });

  it('signed, boots with Secure Boot and the PCRs of its manifest', () => {
    expectOk('keys', 'new', '--out', at('keys'));
    expectOk('sign', at('out'), '--keys', at('keys'), '--out', at('signed'));
    const { status, stdout } = boot(
      signed,
      ...['--secure-boot', at('keys'), '--attest', '--until', 'TEE-END'],
    );
    const { line, pcrs } = readReport(stdout);
    expect(line('MAPPING')).toMatch(/^CRYPT-VERITY-/);
    expectPcrs(pcrs, at('signed/manifest.json'));
    expect(stdout).toContain('The guest is what the manifest says (guest).');
    expect(status).toBe(0);
  });

  it('signed and then changed by one bit, is refused by the firmware', () => {
    const [{ offsetBytes, sizeBytes }] = partitions();
    const flipped = flip(signed, KERNEL_LINE, offsetBytes, offsetBytes + sizeBytes);
    const { status, stdout, stderr } = boot(
      flipped,
      ...['--secure-boot', at('keys'), '--attest', '--until', 'Access Denied'],
      ...['--manifest', at('signed/manifest.json')],
    );
    expect(stdout).toContain('Access Denied');
    expect(stdout).not.toContain('TEE-BEGIN');
    expect(stderr).toMatch(/boot\.pcrs-differ.*none did/);
    expect(status).toBe(1);
  });
});
