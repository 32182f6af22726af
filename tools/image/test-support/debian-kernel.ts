import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { runCommand } from './run-command.js';

const cache = join(tmpdir(), 'tee-image-test-kernel');

/**
 * The paths of modules of that kernel and of those that they need, in the order in which they can
 * be loaded. For tests.
 */
export function kernelModules(...names: readonly string[]): string[] {
  debianKernel();
  const folder = join(cache, 'lib/modules');
  const paths = new Map<string, string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (path.endsWith('.ko')) paths.set(basename(path, '.ko').replaceAll('-', '_'), path);
  const ordered = new Set<string>();
  const add = (name: string): void => {
    const path = paths.get(name.replaceAll('-', '_'));
    if (path === undefined) throw new Error(`no module ${name} in ${folder}`);
    const file = join(folder, path);
    const [, depends = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1')) ?? [];
    for (const needed of depends.split(',').filter(Boolean)) add(needed);
    ordered.add(file);
  };
  for (const name of names) add(name);
  return [...ordered];
}

/**
 * The path of Debian's cloud kernel (vmlinuz), which has TPM, NVMe and securityfs built in.
 * Downloaded once into a cache below the system's temporary folder; not installed.
 */
export function debianKernel(): string {
  const found = findKernel(cache);
  if (found !== undefined) return found;
  const stage = mkdtempSync(join(tmpdir(), 'tee-image-kernel-'));
  try {
    download(stage);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  const kernel = findKernel(cache);
  if (kernel === undefined) throw new Error(`no kernel in ${cache}`);
  return kernel;
}

function download(stage: string): void {
  const name = kernelPackage() ?? (runCommand('apt-get', ['-q', 'update']) && kernelPackage());
  if (!name) throw new Error('no kernel package; linux-image-cloud-amd64 is not known to apt');
  runCommand('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], { cwd: stage });
  const [archive] = readdirSync(stage);
  if (archive === undefined) throw new Error('apt-get download left no file');
  mkdirSync(join(stage, 'root'));
  runCommand('dpkg', ['-x', join(stage, archive), join(stage, 'root')]);
  // Somebody else may have been faster; theirs is as good.
  if (!existsSync(cache)) renameSync(join(stage, 'root'), cache);
}

/** What the meta package depends on; undefined before apt has its lists. */
function kernelPackage(): string | undefined {
  const { stdout } = spawnSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return /Depends: (linux-image-\S+)/.exec(stdout ?? '')?.[1];
}

function findKernel(root: string): string | undefined {
  const boot = join(root, 'boot');
  if (!existsSync(boot)) return undefined;
  const file = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'));
  return file === undefined ? undefined : join(boot, file);
}
