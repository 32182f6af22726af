import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const REPOSITORY: string = fileURLToPath(new URL('../../../', import.meta.url));
/** The system that Nix builds for here. */
export const NIX_SYSTEM: string = process.arch === 'arm64' ? 'aarch64-linux' : 'x86_64-linux';

const STUB_FOLDER = '/usr/lib/systemd/boot/efi';
const STUB = join(
  STUB_FOLDER,
  process.arch === 'arm64' ? 'linuxaa64.efi.stub' : 'linuxx64.efi.stub',
);
/** What every builder of nixpkgs finds in its PATH, as far as ours use it. */
const STANDARD = [
  ...['basename', 'bash', 'cat', 'chmod', 'cmp', 'cp', 'dirname', 'env', 'find', 'ln', 'ls'],
  ...['mkdir', 'mv', 'rm', 'sh', 'sleep', 'test'],
];

/** How a program of the workspace ended. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is special about a workspace. */
export interface WorkspaceOptions {
  /** Instead of the built commands: a folder with <area>/bin/<name>.js. */
  readonly teeTools?: string;
  /** Which nixpkgs the stub plays (nix/testing/stub-nixpkgs/flake.nix). */
  readonly era?: 'image' | 'finalImage' | 'other';
  /** More environment variables of builders. */
  readonly env?: Readonly<Record<string, string>>;
  /** More programs of builders. */
  readonly programs?: readonly string[];
  /** Content of nix/npm-registry; null leaves the file out. */
  readonly registry?: string | null;
}

/** Nix with a store and a configuration of its own, our flake as a repository, and a stub nixpkgs. */
export interface NixWorkspace {
  at(...names: string[]): string;
  /** Runs Nix; `cwd` is a folder of the workspace. */
  nix(args: readonly string[], cwd?: string): Outcome;
  /** Builds an attribute of the flake at `project`. */
  build(attribute: string, ...more: readonly string[]): Outcome;
  /** The path that an attribute was built to; throws with what Nix said. */
  built(attribute: string): string;
  remove(): void;
}

/** Why these tests cannot run here; undefined when they can. */
export function missingForNix(): string | undefined {
  for (const [program, debian] of [
    ['nix', 'nix-bin'],
    ['git', 'git'],
  ] as const)
    if (spawnSync(program, ['--version']).status !== 0) return `${program} (Debian: ${debian})`;
  if (!existsSync(STUB)) return `${STUB} (Debian: systemd-boot-efi)`;
  if (!existsSync(join(REPOSITORY, 'tools/dist/tee-image.js'))) return 'a build (npm run build)';
  return undefined;
}

/** Says loudly what is skipped; in CI that is an error. */
export function skipLoudly(what: string, missing: string | undefined): boolean {
  if (missing === undefined) return false;
  if (process.env.CI !== undefined) throw new Error(`missing: ${missing}`);
  console.error(`SKIPPED: ${what}, for want of ${missing}`);
  return true;
}

/** Makes a workspace in a temporary folder. */
export function makeNixWorkspace(options: WorkspaceOptions = {}): NixWorkspace {
  const folder = mkdtempSync(join(tmpdir(), 'tee-nix-'));
  const at = (...names: string[]): string => join(folder, ...names);
  for (const name of ['home', 'conf', 'store', 'project', 'bin', 'tee/tools'])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(
    at('conf/nix.conf'),
    [
      'experimental-features = nix-command flakes',
      ...['sandbox = false', 'build-users-group =', 'substituters =', 'flake-registry ='],
    ].join('\n'),
  );
  for (const name of [...STANDARD, ...(options.programs ?? [])]) linkProgram(name, at('bin', name));
  cpSync(join(REPOSITORY, 'nix/testing/stub-nixpkgs'), at('nixpkgs'), { recursive: true });
  const host = {
    system: NIX_SYSTEM,
    shell: realpathSync('/bin/bash'),
    path: at('bin'),
    node: process.execPath,
    teeTools: options.teeTools ?? join(REPOSITORY, 'tools'),
    era: options.era ?? 'image',
    env: options.env ?? {},
    ...{ systemd: '/usr', firmware: '/usr/share/OVMF', kernel: STUB, stub: STUB },
  };
  writeFileSync(at('nixpkgs/host.json'), JSON.stringify(host));
  for (const name of ['nix', 'package.json', 'package-lock.json', 'tools/package.json'])
    cpSync(join(REPOSITORY, name), at('tee', name), { recursive: true });
  const { registry = 'https://registry.example/\n' } = options;
  if (registry !== null) writeFileSync(at('tee/nix/npm-registry'), registry);
  commitAll(at('tee'), at('home'));

  const nix = (args: readonly string[], cwd = '.'): Outcome => {
    const { status, stdout, stderr } = spawnSync('nix', args, {
      encoding: 'utf8',
      cwd: at(cwd),
      env: {
        PATH: process.env.PATH,
        HOME: at('home'),
        NIX_CONF_DIR: at('conf'),
        NIX_STORE_DIR: at('store'),
        NIX_STATE_DIR: at('state'),
        NIX_LOG_DIR: at('log'),
      },
    });
    return { status, stdout, stderr };
  };
  const build = (attribute: string, ...more: readonly string[]): Outcome =>
    nix([
      'build',
      `path:${at('project')}#${attribute}`,
      '--no-write-lock-file',
      '--no-link',
      ...more,
    ]);
  return {
    ...{ at, nix, build },
    built(attribute) {
      const { status, stdout, stderr } = build(attribute, '--json');
      if (status !== 0) throw new Error(stderr);
      return (JSON.parse(stdout) as [{ outputs: { out: string } }])[0].outputs.out;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The lines of a flake that takes ours as its users do. */
export function flakeInputs({ at }: NixWorkspace): string {
  return `inputs.nixpkgs.url = "path:${at('nixpkgs')}";
  inputs.tee.url = "git+file://${at('tee')}?dir=nix";
  inputs.tee.inputs.nixpkgs.follows = "nixpkgs";`;
}

function linkProgram(name: string, link: string): void {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = [...folders, '/usr/bin', '/bin'].map((one) => join(one, name)).find(existsSync);
  if (found === undefined) throw new Error(`${name} is not installed`);
  symlinkSync(found, link);
}

/** Flakes see what is tracked. */
function commitAll(folder: string, home: string): void {
  const env = { PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
  const git = (...args: string[]): void => {
    execFileSync('git', args, { cwd: folder, env, stdio: 'ignore' });
  };
  git('init', '--quiet', '.');
  git('add', '--all');
  git('-c', 'user.name=test', '-c', 'user.email=test@example', 'commit', '--quiet', '-m', 'test');
}
