import {
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
  type SpawnOptions,
  spawn,
} from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { ToolError } from '../../common/tool-error.js';

/** A program of the machine that builds. */
export type HostTool =
  | 'mkfs.erofs'
  | 'veritysetup'
  | 'mkfs.vfat'
  | 'mcopy'
  | 'mmd'
  | 'sbsign'
  | 'sbverify'
  | 'openssl'
  | 'qemu-system-x86_64'
  | 'qemu-system-aarch64'
  | 'swtpm'
  | 'swtpm_setup';

/** Who has them. */
const PACKAGES: Readonly<Record<HostTool, readonly [debian: string, nix: string]>> = {
  'mkfs.erofs': ['erofs-utils', 'erofs-utils'],
  veritysetup: ['cryptsetup-bin', 'cryptsetup'],
  'mkfs.vfat': ['dosfstools', 'dosfstools'],
  mcopy: ['mtools', 'mtools'],
  mmd: ['mtools', 'mtools'],
  sbsign: ['sbsigntool', 'sbsigntool'],
  sbverify: ['sbsigntool', 'sbsigntool'],
  openssl: ['openssl', 'openssl'],
  'qemu-system-x86_64': ['qemu-system-x86', 'qemu'],
  'qemu-system-aarch64': ['qemu-system-arm', 'qemu'],
  swtpm: ['swtpm', 'swtpm'],
  swtpm_setup: ['swtpm-tools', 'swtpm'],
};

/** Where Debian keeps file system tools; the PATH of plain users lacks it. */
const MORE_FOLDERS = ['/usr/sbin', '/sbin'];
/** How much of what a program says is kept. */
const MAX_TEXT_BYTES = 64 * 1024;

/** How to run a program. */
export interface RunToolOptions {
  /** Its standard input; empty by default. */
  readonly input?: Uint8Array | string;
  /** More environment variables; they win over the fixed ones. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Open files that it inherits as /dev/fd/3, /dev/fd/4, … */
  readonly descriptors?: readonly number[];
}

/** What a program said. */
export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * The paths of programs on this machine; all are looked for before any work starts. Throws
 * `host.tool-missing`, which names the packages.
 */
export function requireTools<T extends HostTool>(names: readonly T[]): Readonly<Record<T, string>> {
  const found = names.map((name) => [name, findTool(name)] as const);
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name);
  if (missing.length > 0) {
    const list = (index: 0 | 1): string =>
      [...new Set(missing.map((name) => PACKAGES[name][index]))].join(' ');
    throw new ToolError('host.tool-missing', {
      expected: `${missing.join(', ')} in PATH`,
      actual: missing.length === 1 ? 'no such program' : 'no such programs',
      hint: `On Debian and Ubuntu: apt-get install ${list(0)}. With Nix: nix-shell -p ${list(1)}.`,
    });
  }
  return Object.fromEntries(found) as Record<T, string>;
}

/**
 * Runs a program to its end, in a fixed environment: the caller's language, time zone, umask and
 * clock must not show in an image. Throws `host.tool-missing`, `host.tool-failed` with what it said,
 * and `file.unwritable` when the disk was full.
 */
export async function runTool(
  name: HostTool,
  args: readonly string[],
  options: RunToolOptions = {},
): Promise<ToolOutput> {
  const path = requireTools([name])[name];
  const child = spawnWithUmask(path, args, {
    stdio: ['pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])],
    env: {
      PATH: searchPath().join(delimiter),
      LC_ALL: 'C',
      TZ: 'UTC',
      SOURCE_DATE_EPOCH: '0',
      // mtools reads no settings of the user's.
      MTOOLSRC: '/dev/null',
      ...options.env,
    },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.add(child);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  child.stdin.on('error', () => undefined); // it ended without reading everything: its status says why
  child.stdin.end(options.input ?? '');
  const end = await new Promise<number | NodeJS.Signals | Error>((resolve) => {
    child.on('error', resolve);
    child.on('close', (status, signal) => resolve(status ?? signal ?? 1));
  });
  running.delete(child);
  const output = { stdout: stdout(), stderr: stderr() };
  if (end !== 0) throw failure(name, end, output);
  return output;
}

/** A child takes the umask of the moment; only the main thread may set it. */
function spawnWithUmask(
  path: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcessWithoutNullStreams {
  // The first three of `stdio` are pipes.
  const start = (): ChildProcessWithoutNullStreams =>
    spawn(path, args, options) as ChildProcessWithoutNullStreams;
  if (!isMainThread) return start();
  const before = process.umask(0o022);
  try {
    return start();
  } finally {
    process.umask(before);
  }
}

function failure(name: string, end: number | string | Error, output: ToolOutput): ToolError {
  const said = `${output.stderr}\n${output.stdout}`.trim();
  const isFull = /No space left|Disk full|File too large|Disk quota/i.test(said);
  if (isFull || end === 'SIGXFSZ')
    return new ToolError('file.unwritable', { actual: `${name}: no space left for its output` });
  if (end instanceof Error)
    return new ToolError('host.tool-failed', { actual: `${name}: ${end.message}`, cause: end });
  const how = typeof end === 'number' ? `exit status ${end}` : `signal ${end}`;
  const lines = said.split(/\s*\n\s*/).slice(-4);
  return new ToolError('host.tool-failed', {
    expected: `${name} to succeed`,
    actual: [how, ...lines].filter((line) => line !== '').join(': '),
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    // The end of what it says is what matters.
    while (length - (chunks[0]?.length ?? 0) > MAX_TEXT_BYTES)
      length -= chunks.shift()?.length ?? 0;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function searchPath(): string[] {
  const own = (process.env.PATH ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  return [...own, ...MORE_FOLDERS];
}

/** The path of a program in PATH, or where Debian keeps file system tools. */
export function findTool(name: string): string | undefined {
  for (const folder of searchPath()) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}
