import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifyAttestation } from 'tee-verify';
import { type MeasurementManifest, parseEventLog, parseVariableData } from 'tee-verify/measure';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MintPki, mintBundle, mintPki } from '../../test-vectors/mint/index.js';
import { buildUki } from './test-support/build-uki.js';
import { debianKernel } from './test-support/debian-kernel.js';
import { buildGuestInitrd } from './test-support/guest-initrd.js';
import { bootGuest, type GuestReport } from './test-support/qemu-guest.js';
import { signImage } from './test-support/sign-image.js';

const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const NEEDED = [
  ...[STUB, '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', '/usr/share/ovmf/PkKek-1-snakeoil.key'],
  ...['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm', '/usr/bin/sbsign'],
  ...['/usr/bin/objcopy', '/usr/bin/cpio', '/usr/bin/mcopy', '/sbin/mkfs.vfat', '/sbin/sgdisk'],
  '/bin/busybox',
];
const missing = NEEDED.filter((path) => !existsSync(path));
if (missing.length > 0) {
  const message = `SKIPPED: measured boots; missing ${missing.join(', ')} (scripts/system-packages.txt)`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}

const COMMAND = fileURLToPath(new URL('bin/tee-image.js', import.meta.url));
const COMMAND_LINE = 'console=ttyS0 panic=-1 quiet';
const OUTSIDE = 'console=ttyS0 quiet panic=-1 evil=1';
const PCRS = [4, 7, 9, 11, 12];

describe.skipIf(missing.length > 0)('a measured boot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-measured-'));
  const uki = join(folder, 'test.efi');
  const signed = join(folder, 'test.signed.efi');
  let pki: MintPki;

  beforeAll(async () => {
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    buildUki(
      STUB,
      {
        '.osrel': text('ID=test\nVERSION_ID=1\n'),
        '.cmdline': text(COMMAND_LINE),
        '.linux': readFileSync(debianKernel()),
        '.initrd': buildGuestInitrd(),
      },
      uki,
    );
    signImage(uki, signed);
    pki = await mintPki();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(...args: readonly string[]): { status: number | null; stdout: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    return { status, stdout: stdout + stderr };
  }

  function measure(image: string, ...options: readonly string[]): MeasurementManifest {
    const out = join(folder, 'manifest.json');
    expect(run('measure', image, '--out', out, ...options)).toEqual({ status: 0, stdout: '' });
    return JSON.parse(readFileSync(out, 'utf8'));
  }

  const predicted = (manifest: MeasurementManifest): [number, string | undefined][] =>
    PCRS.map((pcr) => [pcr, manifest.measurementSets[0]?.pcrs[pcr]]);
  const measured = ({ pcrs }: GuestReport): [number, string | undefined][] =>
    PCRS.map((pcr) => [pcr, pcrs.get(pcr)]);

  /** What a relying party would say about this guest, had a NitroTPM signed its PCRs. */
  async function verify(guest: GuestReport, manifest: MeasurementManifest) {
    const pcrs = new Map(
      [...guest.pcrs].map(([pcr, hex]) => [pcr, new Uint8Array(Buffer.from(hex, 'hex'))]),
    );
    const { bundle, nonce, anchorPem } = await mintBundle(pki, { pcrs, eventLog: guest.eventLog });
    return verifyAttestation(bundle, manifest, {
      nonce,
      now: 'document',
      trustAnchors: [anchorPem],
    });
  }

  async function expectVerified(guest: GuestReport, manifest: MeasurementManifest): Promise<void> {
    const { report } = await verify(guest, manifest);
    expect(report.verdict).toBe('verified');
    const pcrs = report.eventLog && 'pcrs' in report.eventLog ? report.eventLog.pcrs : [];
    expect(pcrs).toHaveLength(24);
    expect(pcrs.filter(({ explained }) => !explained).map(({ pcr }) => pcr)).toEqual([10]);
  }

  it('without Secure Boot: PCR4, 7, 9, 11 and 12 are predicted, the log explains the rest', async () => {
    const guest = await bootGuest({ files: { 'EFI/BOOT/BOOTX64.EFI': uki } });
    expect(guest.commandLine).toBe(COMMAND_LINE);
    const manifest = measure(uki);
    expect(measured(guest)).toEqual(predicted(manifest));
    await expectVerified(guest, manifest);

    const log = join(folder, 'eventlog.bin');
    const pcrs = join(folder, 'pcrs.json');
    writeFileSync(log, guest.eventLog);
    writeFileSync(pcrs, JSON.stringify(Object.fromEntries(guest.pcrs)));
    // PCR16 and 23 may be reset and the rest only extended: all were followed from outside.
    expect([...guest.followed]).toEqual([...guest.pcrs]);
    const explained = run('eventlog', log, '--pcrs', pcrs);
    expect(explained.status).toBe(0);
    expect(explained.stdout).toMatch(/PCR4 +explained by \d+ events/);
    expect(explained.stdout).toMatch(/EV_EFI_BOOT_SERVICES_APPLICATION: .*BOOTX64\.EFI/);
  });

  it('with Secure Boot and the snakeoil keys', async () => {
    const guest = await bootGuest({
      files: { 'EFI/BOOT/BOOTX64.EFI': signed },
      secureBoot: true,
    });
    // The enrolled variables, as the firmware measured them.
    const options = parseEventLog(guest.eventLog)
      .events.filter(({ typeName }) => typeName === 'EV_EFI_VARIABLE_DRIVER_CONFIG')
      .map(({ data }) => parseVariableData(data))
      .filter(({ name }) => ['PK', 'KEK', 'db', 'dbx'].includes(name))
      .flatMap(({ name, data }) => {
        const file = join(folder, `${name}.esl`);
        writeFileSync(file, data);
        return [`--${name.toLowerCase()}`, file];
      });
    expect(options).toHaveLength(8);
    const manifest = measure(signed, ...options);
    expect(measured(guest)).toEqual(predicted(manifest));
    expect(guest.pcrs.get(7)).not.toBe(measure(signed).measurementSets[0]?.pcrs[7]);
    await expectVerified(guest, manifest);
  });

  it('with a command line from outside: PCR12 differs as predicted, the manifest rejects it', async () => {
    const guest = await bootGuest({
      files: { 'EFI/BOOT/BOOTX64.EFI': uki },
      loadOptions: OUTSIDE,
    });
    expect(guest.commandLine).toBe(OUTSIDE);
    const overridden = measure(uki, '--cmdline-override', OUTSIDE);
    expect(measured(guest)).toEqual(predicted(overridden));
    const manifest = measure(uki);
    expect(guest.pcrs.get(4)).toBe(manifest.measurementSets[0]?.pcrs[4]);
    expect(guest.pcrs.get(12)).not.toBe(manifest.measurementSets[0]?.pcrs[12]);
    const rejection = await verify(guest, manifest).catch((error: unknown) => error);
    expect(rejection).toMatchObject({ code: 'pcr.mismatch' });
    expect(JSON.stringify((rejection as { report?: unknown }).report)).toContain('evil=1');

    const before = join(folder, 'before.json');
    const after = join(folder, 'after.json');
    writeFileSync(before, JSON.stringify(manifest));
    writeFileSync(after, JSON.stringify(overridden));
    const { status, stdout } = run('diff', before, after);
    expect(status).toBe(1);
    expect(stdout).toMatch(/PCR12[\s\S]*\+ .*command line from outside: .*evil=1/);
  });
});
