import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
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
import { inspectAttestation } from 'tee-verify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseFault } from '../simulator/faults.js';
import { type ListeningSimulator, listen } from '../simulator/socket-server.js';
import { createSimulator, type TpmSimulator } from '../simulator/tpm-simulator.js';

// The commands run as they are shipped: `npm test` builds first.
const ATTEST = join(import.meta.dirname, 'bin/tee-attest.js');
const SIMULATOR = join(import.meta.dirname, '../simulator/bin/tee-simulator.js');
const built = existsSync(join(import.meta.dirname, '../dist/tee-attest.js'));
if (!built) {
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: command line tests, because tools/dist is missing (npm run build)');
}
const NONCE = '00112233445566778899aabbccddeeff';

interface Outcome {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

describe.skipIf(!built)('tee-attest', () => {
  let simulator: TpmSimulator;
  let listening: ListeningSimulator;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tee-attest-'));
    simulator = await createSimulator();
    await simulator.prepare();
    listening = await listen(simulator, { host: '127.0.0.1', port: 0 });
  });
  afterAll(async () => {
    await listening?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (name: string, content?: string | Uint8Array): string => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  };
  const run = (
    args: readonly string[],
    input?: Uint8Array,
    kill?: (child: ChildProcess) => void,
  ): Promise<Outcome> => runNode([ATTEST, ...args, '--tpm', listening.address], input, kill);
  const check = async (evidence: string | Uint8Array, nonce = NONCE): Promise<void> => {
    const report = await inspectAttestation(evidence, undefined, {
      nonce,
      trustAnchors: [simulator.rootPem],
    });
    expect(report.code).toBeUndefined();
    expect(report.verdict).toBe('unappraised');
  };

  it('writes a bundle to standard output and nothing else', async () => {
    const { status, stdout, stderr } = await run(['--nonce', NONCE]);
    expect([status, stderr]).toEqual([0, '']);
    await check(stdout.toString());
  });
  it('writes a file in one step', async () => {
    const out = file('bundle.json', 'old');
    const { status, stdout } = await run([
      '--nonce',
      NONCE,
      '--out',
      out,
      '--session',
      'password',
      '--hierarchy',
      'owner',
    ]);
    expect([status, stdout.length]).toEqual([0, 0]);
    await check(readFileSync(out, 'utf8'));
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
  });
  it('writes the bare document', async () => {
    const publicKey = file('key.der', new Uint8Array(91).fill(0x30));
    const { status, stdout } = await run([
      '--nonce',
      NONCE,
      '--format',
      'document',
      '--public-key',
      publicKey,
    ]);
    expect(status).toBe(0);
    expect(stdout[0]).toBe(0x84);
    await check(new Uint8Array(stdout));
  });
  it('reads nonce, user data and event log from files and standard input', async () => {
    const nonce = file('nonce', Buffer.from(NONCE, 'hex'));
    const log = file('log', 'the log');
    const { status, stdout } = await run(
      ['--nonce', `@${nonce}`, '--user-data', '-', '--event-log', log],
      Buffer.from('hello'),
    );
    expect(status).toBe(0);
    const bundle = JSON.parse(stdout.toString()) as { event_log: string };
    expect(Buffer.from(bundle.event_log, 'base64').toString()).toBe('the log');
    const report = await inspectAttestation(bundle, undefined, {
      nonce: NONCE,
      trustAnchors: [simulator.rootPem],
    });
    expect(report.claims?.userData).toBe(Buffer.from('hello').toString('hex'));
  });
  it.each<[string, readonly string[], number, string]>([
    ['no nonce', [], 2, 'usage.option-invalid'],
    ['a nonce that is not hex', ['--nonce', 'xyz'], 2, 'usage.option-invalid'],
    ['a nonce that is too long', ['--nonce', '00'.repeat(65)], 2, 'usage.option-invalid'],
    ['a missing file', ['--nonce', NONCE, '--user-data', '/no/such'], 2, 'file.unreadable'],
    ['a missing event log', ['--nonce', NONCE, '--event-log', '/no/such'], 2, 'file.unreadable'],
    ['a folder for a file', ['--nonce', NONCE, '--user-data', '/'], 2, 'file.unreadable'],
    ['a large file', ['--nonce', NONCE, '--user-data', process.execPath], 2, 'file.too-large'],
    ['a key in a bundle', ['--nonce', NONCE, '--public-key', ATTEST], 2, 'usage.option-conflict'],
    ['standard input twice', ['--nonce', '@-', '--user-data', '-'], 2, 'usage.option-conflict'],
    ['an unwritable file', ['--nonce', NONCE, '--out', '/no/such/file'], 2, 'file.unwritable'],
    ['an unknown option', ['--nonce', NONCE, '--what'], 2, 'unknown option'],
    ['an unknown choice', ['--nonce', NONCE, '--session', 'none'], 2, 'Allowed choices'],
    ['an unknown command', ['diagnose'], 2, 'too many arguments'],
  ])('refuses %s', async (_, args, status, text) => {
    const outcome = await run(args);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain(text);
    expect(outcome.stderr).not.toMatch(/^ {4}at /m);
    expect(outcome.stdout.length).toBe(0);
  });
  it('says in one line what the TPM refused', async () => {
    simulator.injectFault(parseFault('rc=0x98e@NV_DefineSpace'));
    const { status, stderr } = await run(['--nonce', NONCE]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tee-attest: tpm\.auth-failed: .*TPM_RC_AUTH_FAIL.*Hint: .*\n$/);
    expect(stderr.split('\n').length).toBe(2);
  });
  it('says that nobody answers', async () => {
    const { status, stderr } = await runNode([
      ATTEST,
      '--nonce',
      NONCE,
      '--tpm',
      'tcp:127.0.0.1:1',
    ]);
    expect([status, stderr.includes('transport.connect-failed')]).toEqual([1, true]);
  });
  it.each(['SIGINT', 'SIGTERM'] as const)('cleans up at %s', async (signal) => {
    simulator.clearFaults();
    simulator.injectFault(parseFault('late=1500@Quote'));
    const { status, stderr, stdout } = await run(['--nonce', NONCE], undefined, (child) => {
      // As soon as something is in the TPM that must go again.
      const timer = setInterval(() => {
        if (simulator.inventory().transient.length === 0) return;
        clearInterval(timer);
        child.kill(signal);
      }, 5);
    });
    expect([status, stdout.length]).toEqual([130, 0]);
    expect(stderr).toContain('attest.interrupted');
    expect(simulator.inventory()).toEqual({ transient: [], sessions: [], nvIndices: [] });
  });
  describe('output that nobody takes', () => {
    const attest = (redirection: string): Promise<Outcome> =>
      runShell(`"$@" ${redirection}`, [
        process.execPath,
        ATTEST,
        ...['--nonce', NONCE, '--session', 'password', '--tpm', listening.address],
      ]);
    beforeEach(() => simulator.clearFaults());

    // The mistake: a full disk. A stack trace, or half a bundle and exit status 0.
    it('a full device', async () => {
      const { status, stderr } = await attest('> /dev/full');
      expect(stderr).toMatch(/^tee-attest: file\.unwritable: .*ENOSPC at standard output.*\n$/);
      expect(status).toBe(2);
    });
    it('a full disk, on which the first part still fits', async () => {
      const part = file('part');
      const { status, stderr } = await runShell('ulimit -f 2; f=$1; shift; "$@" > "$f"', [
        part,
        process.execPath,
        ATTEST,
        ...['--nonce', NONCE, '--session', 'password', '--tpm', listening.address],
      ]);
      expect(stderr).toMatch(/^tee-attest: file\.unwritable: .*EFBIG at standard output.*\n$/);
      expect(status).toBe(2);
      rmSync(part);
    });
    it('a disk that is full when a file is to be replaced', async () => {
      const out = file('kept.json', 'old');
      const { status, stderr } = await runShell('ulimit -f 2; "$@"', [
        process.execPath,
        ATTEST,
        ...['--nonce', NONCE, '--session', 'password', '--tpm', listening.address, '--out', out],
      ]);
      expect([status, stderr.includes('EFBIG')]).toEqual([2, true]);
      expect(readFileSync(out, 'utf8')).toBe('old');
    });
    it('a reader that went away', async () => {
      const { status, stderr } = await attest('| true; echo $PIPESTATUS >&2');
      expect([status, stderr]).toEqual([0, '1\n']);
    });
    it('standard error that is full', async () => {
      const { status } = await runShell('"$@" 2> /dev/full', [process.execPath, ATTEST]);
      expect(status).toBe(2);
    });
    it('a report of doctor on a full device', async () => {
      const { status, stderr } = await runShell('"$@" > /dev/full', [
        process.execPath,
        ATTEST,
        ...['doctor', '--tpm', listening.address, '--event-log', '/dev/null'],
      ]);
      expect(stderr).toMatch(/^tee-attest: file\.unwritable: .*ENOSPC.*\n$/);
      expect(status).toBe(2);
    });
    it('writes to what the shell opens for it', async () => {
      const { status, stdout, stderr } = await attest('--out >(cat) | cat');
      expect([status, stderr]).toEqual([0, '']);
      await check(stdout.toString());
    });
  });
  // The mistake: a pipe that nobody reads. Only SIGKILL helped.
  it('ends at SIGINT while a pipe waits for its reader', async () => {
    simulator.clearFaults();
    simulator.injectFault(parseFault('late=300@Quote'));
    execFileSync('mkfifo', [file('pipe')]);
    let endedBy: NodeJS.Signals | null = null;
    const { stderr } = await run(
      ['--nonce', NONCE, '--session', 'password', '--out', file('pipe')],
      undefined,
      (child) => {
        let wasBusy = false;
        const timer = setInterval(() => {
          const isBusy = simulator.inventory().transient.length > 0;
          wasBusy ||= isBusy;
          if (!wasBusy || isBusy) return;
          clearInterval(timer);
          // Everything is removed from the TPM before the output is opened.
          setTimeout(() => child.kill('SIGINT'), 500);
        }, 5);
        const last = setTimeout(() => child.kill('SIGKILL'), 20_000);
        child.once('exit', (_, signal) => {
          clearTimeout(last);
          endedBy = signal;
        });
      },
    );
    expect([endedBy, stderr]).toEqual(['SIGINT', '']);
  });
  it('explains itself', async () => {
    const { status, stdout } = await runNode([ATTEST, '--help']);
    expect(status).toBe(0);
    for (const word of [
      '--nonce',
      '--user-data',
      '--tpm',
      '--hierarchy',
      '--session',
      '--event-log',
      '--format',
      '--public-key',
      '--out',
      'doctor',
      'Exit status',
    ])
      expect(stdout.toString()).toContain(word);
  });
  it('examines the machine', async () => {
    simulator.clearFaults();
    const log = file('log', 'the log');
    const good = await runNode([ATTEST, 'doctor', '--tpm', listening.address, '--event-log', log]);
    expect(good.status).toBe(0);
    expect(good.stdout.toString().match(/^ok /gm)?.length).toBe(7);
    const bad = await runNode([ATTEST, 'doctor', '--tpm', '/dev/no-such-tpm']);
    expect(bad.status).toBe(1);
    expect(bad.stdout.toString()).toMatch(/^FAILED +device/m);
  });
  it.skipIf(process.getuid?.() === 0)('says that it may not open the device', async () => {
    const closed = file('closed');
    mkdirSync(closed, { mode: 0 });
    const device = join(closed, 'tpm0');
    const { status, stderr } = await runNode([ATTEST, '--nonce', NONCE, '--tpm', device]);
    expect([status, stderr.includes('transport.permission')]).toEqual([1, true]);
  });
});

describe.skipIf(!built)('tee-attest pcrs', () => {
  it("prints the SHA-384 bank of the machine's TPM, of any maker", async () => {
    const simulator = await createSimulator();
    const { address, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
    try {
      const { status, stdout, stderr } = await runNode([ATTEST, 'pcrs', '--tpm', address]);
      expect([status, stderr]).toEqual([0, '']);
      const pcrs = JSON.parse(stdout.toString()) as Record<string, string>;
      expect(Object.keys(pcrs)).toEqual(Array.from({ length: 24 }, (_, pcr) => `PCR${pcr}`));
      const bundle = await runNode([ATTEST, '--nonce', NONCE, '--tpm', address]);
      const { pcrs: proven } = JSON.parse(bundle.stdout.toString());
      expect(Object.values(pcrs)).toEqual(Object.values(proven.sha384));
    } finally {
      await close();
    }
    const gone = await runNode([ATTEST, 'pcrs', '--tpm', address]);
    expect([gone.status, gone.stdout.length]).toEqual([1, 0]);
    expect(gone.stderr).toMatch(/^tee-attest: transport\.connect-failed/);
  });
});

describe.skipIf(!built)('tee-simulator', () => {
  it('prints its root, serves tee-attest, and stops at a signal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tee-simulator-'));
    const socket = join(folder, 'tpm');
    const child = spawn(process.execPath, [
      SIMULATOR,
      '--listen',
      `unix:${socket}`,
      '--pcr',
      `4=${'ab'.repeat(48)}`,
    ]);
    try {
      let root = '';
      child.stdout.on('data', (chunk) => {
        root += chunk;
      });
      await new Promise<void>((resolve, reject) => {
        child.stderr.on('data', (chunk: Buffer) => chunk.includes('listening') && resolve());
        child.on('exit', () => reject(new Error('it ended')));
      });
      const { status, stdout } = await runNode([
        ATTEST,
        '--nonce',
        NONCE,
        '--tpm',
        `unix:${socket}`,
      ]);
      expect(status).toBe(0);
      const report = await inspectAttestation(stdout.toString(), undefined, {
        nonce: NONCE,
        trustAnchors: [root],
      });
      expect(report.verdict).toBe('unappraised');
      expect(JSON.parse(stdout.toString()).pcrs.sha384['4']).toBe('ab'.repeat(48));
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
  it.each<[string, readonly string[], string]>([
    ['a bad address', ['--listen', 'nowhere'], 'usage.option-invalid'],
    ['a bad PCR', ['--pcr', '4'], 'usage.option-invalid'],
    ['a short PCR', ['--pcr', '4=00'], 'simulator.option-invalid'],
    ['a bad fault', ['--fault', 'slow'], 'simulator.fault-invalid'],
    ['a set without a manifest', ['--set', 'x'], 'usage.option-conflict'],
    ['a missing manifest', ['--manifest', '/no/such'], 'file.unreadable'],
    ['a root that cannot be written', ['--root', '/no/such/root.pem'], 'file.unwritable'],
    // The mistake: a file of another kind. Its codes are those of tee-verify.
    ['an event log that is none', ['--event-log', SIMULATOR], 'eventlog.pcr-index'],
    ['a manifest that is none', ['--manifest', SIMULATOR], 'manifest.malformed'],
  ])('refuses %s', async (_, args, text) => {
    const { status, stderr } = await runNode([SIMULATOR, '--listen', 'tcp:127.0.0.1:0', ...args]);
    expect(status).toBe(2);
    expect(stderr).toMatch(new RegExp(`^tee-simulator: ${text.replace('.', '\\.')}: .*\n$`));
  });
  // The mistake: to follow the hint, which named a form that was refused as well.
  it.each(['foo', '/dev/tpmrm0'])('offers only what it takes: --listen %s', async (address) => {
    const { status, stderr } = await runNode([SIMULATOR, '--listen', address]);
    expect(status).toBe(2);
    expect(stderr).toContain(`expected tcp:host:port or unix:path; got "${address}"`);
  });
});

/** Runs a line of bash with arguments, as a person's shell would. */
function runShell(line: string, args: readonly string[]): Promise<Outcome> {
  return runCommand('bash', ['-c', line, 'bash', ...args]);
}

/** Not spawnSync: the simulator answers in this very process. */
function runNode(
  args: readonly string[],
  input?: Uint8Array,
  kill?: (child: ChildProcess) => void,
): Promise<Outcome> {
  return runCommand(process.execPath, args, input, kill);
}

function runCommand(
  command: string,
  args: readonly string[],
  input?: Uint8Array,
  kill?: (child: ChildProcess) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args);
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout: Buffer.concat(stdout), stderr }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    if (kill !== undefined) kill(child);
  });
}
