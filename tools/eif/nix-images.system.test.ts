import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  flakeInputs,
  makeNixWorkspace,
  missingForNix,
  NIX_SYSTEM,
  type NixWorkspace,
  REPOSITORY,
  skipLoudly,
} from '../image/test-support/nix-workspace.js';

const isSkipped = skipLoudly('Nix images', missingForNix());

let workspace: NixWorkspace;
const at = (...names: string[]): string => workspace.at(...names);
const build = (...args: Parameters<NixWorkspace['build']>) => workspace.build(...args);
const built = (attribute: string): string => workspace.built(attribute);

/** An image described by the built command. */
function describeImage(path: string): Record<string, unknown> & { measurements: object } {
  const command = join(REPOSITORY, 'tools/eif/bin/tee-eif.js');
  const { status, stdout } = spawnSync(process.execPath, [command, 'describe', path, '--json'], {
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

/** A flake that uses ours as its users do. */
const project = (): string => `{
  ${flakeInputs(workspace)}
  outputs = { nixpkgs, tee, ... }:
    let
      nitro = tee.lib.${NIX_SYSTEM};
      pkgs = nixpkgs.legacyPackages.${NIX_SYSTEM};
      parts = {
        name = "payments";
        version = "7";
        kernel = ./kernel;
        kernelConfig = ./kernel.config;
        init = ./init;
        nsmKo = ./nsm.ko;
        entrypoint = "/bin/app\\n--it's";
        env = "A=1";
        copyToRoot = ./root;
        arch = "x86_64";
      };
    in {
      packages.${NIX_SYSTEM} = {
        image = nitro.buildEif parts;
        arm = nitro.buildEif (parts // { arch = "aarch64"; compress = "none"; metadata.a = "'b'"; });
        own = nitro.mkEif {
          kernel = ./kernel;
          cmdline = "quiet 'x'";
          ramdisks = [
            (nitro.mkSysRamdisk { init = ./root/bin; })
            (nitro.mkCpioArchive { src = ./root; })
          ];
        };
        example = import "\${tee.sourceInfo.outPath}/nix/examples/enclave-hello.nix" {
          inherit nitro;
          inherit (parts) kernel kernelConfig init nsmKo;
          pkgs = { hello = ./root; buildEnv = { paths, ... }: builtins.head paths; };
        };
        ramdisk = nitro.mkUserRamdisk { entrypoint = "/x"; rootfs = ./root; };
        control = pkgs.runCommand "control" { } ''
          sleep 1.1 # times in archives have seconds
          cp -r \${./root} root
          (cd root && find . | cpio --quiet -o -H newc > $out)
          exit 0
        '';
      };
    };
}
`;

beforeAll(() => {
  if (isSkipped) return;
  workspace = makeNixWorkspace({ programs: ['cpio'] });
  mkdirSync(at('project/root/bin'), { recursive: true });
  writeFileSync(at('project/flake.nix'), project());
  writeFileSync(at('project/kernel'), 'a kernel');
  writeFileSync(
    at('project/kernel.config'),
    '#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86_64 6.1.9 Kernel Configuration\n#\n',
  );
  writeFileSync(at('project/init'), 'init', { mode: 0o755 });
  writeFileSync(at('project/nsm.ko'), 'module');
  writeFileSync(at('project/root/bin/init'), 'another init', { mode: 0o755 });
  writeFileSync(at('project/root/bin/app'), 'app', { mode: 0o755 });
});
afterAll(() => workspace?.remove());

describe.skipIf(isSkipped)('images by Nix', () => {
  it('builds an image, and the same one again', () => {
    const out = built('image');
    expect(readdirSync(out).sort()).toEqual(['image.eif', 'pcr.json']);
    const image = describeImage(join(out, 'image.eif'));
    expect(JSON.parse(readFileSync(join(out, 'pcr.json'), 'utf8'))).toEqual({
      Measurements: image.measurements,
    });
    expect(image).toMatchObject({
      architecture: 'x86_64',
      metadata: {
        ImageName: 'payments',
        ImageVersion: '7',
        BuildMetadata: { OperatingSystem: 'Linux', KernelVersion: '6.1.9' },
      },
    });
    const again = build('image', '--rebuild');
    expect(again.stderr).not.toMatch(/^error/m);
    expect(again.status).toBe(0);
  });

  it('holds what init expects', () => {
    const command = join(REPOSITORY, 'tools/eif/bin/tee-eif.js');
    const args = ['extract', join(built('image'), 'image.eif'), '--out', at('taken'), '--unpack'];
    const { stderr, status } = spawnSync(process.execPath, [command, ...args], {
      encoding: 'utf8',
    });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(readdirSync(at('taken/ramdisk-1.d')).sort()).toEqual(['dev', 'init', 'nsm.ko']);
    expect(readFileSync(at('taken/ramdisk-2.d/cmd'), 'utf8')).toBe("/bin/app\n--it's\n");
    expect(readFileSync(at('taken/ramdisk-2.d/env'), 'utf8')).toBe('A=1\n');
    expect(readdirSync(at('taken/ramdisk-2.d/rootfs')).sort()).toEqual([
      ...['bin', 'dev', 'proc', 'run', 'sys', 'tmp', 'var'],
    ]);
  });

  it('builds for another processor by its inputs', () => {
    expect(describeImage(join(built('arm'), 'image.eif'))).toMatchObject({
      architecture: 'aarch64',
      metadata: { CustomMetadata: { a: "'b'" } },
    });
  });

  it('takes an init out of a folder, a quoted command line, and ramdisks of any folder', () => {
    expect(describeImage(join(built('own'), 'image.eif'))).toMatchObject({
      commandLine: "quiet 'x'",
      metadata: { ImageName: 'image', ImageVersion: '0.1-dev' },
    });
  });

  it('builds the example', () => {
    expect(describeImage(join(built('example'), 'image.eif'))).toMatchObject({
      metadata: { ImageName: 'eif-hello-world', ImageVersion: '1.0' },
    });
  });

  it('does not depend on the hard links of a store', () => {
    const before = readFileSync(built('ramdisk'));
    // What auto-optimise-store does to files that are the same.
    writeFileSync(at('project/root/bin/twin'), 'app', { mode: 0o755 });
    const apart = readFileSync(built('ramdisk'));
    rmSync(at('project/root/bin/twin'));
    linkSync(at('project/root/bin/app'), at('project/root/bin/twin'));
    const optimised = workspace.nix(['store', 'optimise']);
    expect(optimised.status).toBe(0);
    const linked = build('ramdisk', '--rebuild');
    expect(linked.stderr).not.toMatch(/^error/m);
    expect(linked.status).toBe(0);
    expect(apart).not.toEqual(before);
    expect(readFileSync(built('ramdisk'))).toEqual(apart);
    rmSync(at('project/root/bin/twin'));
  });

  it('notices an archive that differs (the control of this test)', () => {
    built('control');
    const { status, stderr } = build('control', '--rebuild');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/may not be deterministic|differs/);
  });

  it('shows its functions and packages', () => {
    const shown = workspace.nix([
      ...['eval', `git+file://${at('tee')}?dir=nix#lib.${NIX_SYSTEM}`, '--json'],
      ...['--apply', 'builtins.attrNames', '--no-write-lock-file'],
      ...['--override-input', 'nixpkgs', `path:${at('nixpkgs')}`],
    ]);
    expect(JSON.parse(shown.stdout)).toEqual([
      ...['buildEif', 'buildImage', 'mkCpioArchive', 'mkEif', 'mkSysRamdisk', 'mkUserRamdisk'],
      'tee-image',
    ]);
  });
});
