import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  flakeInputs,
  makeNixWorkspace,
  missingForNix,
  NIX_SYSTEM,
  type NixWorkspace,
  type Outcome,
  REPOSITORY,
  skipLoudly,
  type WorkspaceOptions,
} from './test-support/nix-workspace.js';

const isSkipped = skipLoudly('Attestable AMIs by Nix', missingForNix());
const COMMAND = join(REPOSITORY, 'tools/image/bin/tee-image.js');
const FILES = ['manifest.json', 'partitions.json', 'tpm_pcr.json', 'unsigned.efi'];
const FAKETIME = ['x86_64', 'aarch64']
  .map((name) => `/usr/lib/${name}-linux-gnu/faketime/libfaketime.so.1`)
  .find(existsSync);

const workspaces: NixWorkspace[] = [];
afterAll(() => {
  for (const workspace of workspaces) workspace.remove();
});

function workspaceWith(options: WorkspaceOptions = {}): NixWorkspace {
  const workspace = makeNixWorkspace(options);
  workspaces.push(workspace);
  mkdirSync(workspace.at('project/root/etc'), { recursive: true });
  writeFileSync(workspace.at('project/root/etc/motd'), 'hello\n');
  cpSync('/usr/lib/systemd/boot/efi', workspace.at('project/efi'), { recursive: true });
  writeFileSync(workspace.at('project/flake.nix'), project(workspace));
  return workspace;
}

/** A flake that uses ours as its users do. */
const project = (workspace: NixWorkspace): string => `{
  ${flakeInputs(workspace)}
  outputs = { nixpkgs, tee, ... }:
    let
      inherit (tee.lib.${NIX_SYSTEM}) buildImage tee-image;
      kernel = ./efi/${NIX_SYSTEM.startsWith('x86') ? 'linuxx64' : 'linuxaa64'}.efi.stub;
      system = userConfig: tee-image { inherit userConfig; };
      app = { assets = "one"; };
    in {
      packages.${NIX_SYSTEM} = {
        any = buildImage {
          name = "any";
          version = "7";
          inherit kernel;
          initrd = [ kernel ];
          root = ./root;
          cmdline = "console=ttyS0 x=\\"a b\\"";
        };
        nixos = system app;
        debug = tee-image { userConfig = app; isDebug = true; };
        named = system ({ ... }: { system.image.id = "payments"; system.image.version = "12"; });
        open = system {
          services.openssh.enable = true;
          users.users.root.hashedPassword = "$6$a$b";
          systemd.services."getty@".enable = true;
        };
        unguarded = system { tee-verify.operatorAccess.enforce = false; };
        disarmed = system ({ lib, ... }: { assertions = lib.mkForce [ ]; services.openssh.enable = true; });
        leaked = system { imports = [ tee.nixosModules.debug ]; };
        allowed = system { security.sudo.enable = true; tee-verify.operatorAccess.allow = [ "sudo" ]; };
        control = nixpkgs.legacyPackages.${NIX_SYSTEM}.runCommand "control" { } ''
          mkdir $out
          tee-image-of() { ${process.execPath} ${COMMAND} "$@"; }
          sleep 1.1
          PATH=$PATH:/usr/bin
          printf 'built=%s\\n' "$(date +%s%N)" > release
          tee-image-of build --kernel \${kernel} --initrd \${kernel} --root \${./root} --cmdline x \\
            --stub \${kernel} --os-release release --out image
          mv image/* $out
          exit 0
        '';
      };
    };
}
`;

function teeImage(...args: readonly string[]): Outcome {
  return spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8' });
}

const sha256 = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

const hashes = (folder: string): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, sha256(join(folder, name))]));

const json = (path: string): Record<string, Record<string, string>> =>
  JSON.parse(readFileSync(path, 'utf8'));

let main: NixWorkspace;

beforeAll(() => {
  if (!isSkipped) main = workspaceWith();
});

describe.skipIf(isSkipped)('the flake', () => {
  const stub = (workspace: NixWorkspace): string[] => [
    ...['--no-write-lock-file', '--override-input', 'nixpkgs', `path:${workspace.at('nixpkgs')}`],
  ];

  it('has no file that Nix cannot parse', () => {
    const files = readdirSync(join(REPOSITORY, 'nix'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.nix'))
      .map((name) => join(REPOSITORY, 'nix', name));
    expect(files.length).toBeGreaterThan(15);
    const parse = (...paths: string[]): Outcome =>
      spawnSync('nix-instantiate', ['--parse', ...paths], { encoding: 'utf8' });
    expect(parse(...files)).toMatchObject({ status: 0 });
    writeFileSync(main.at('broken.nix'), 'x: { y = z; }');
    expect(parse(main.at('broken.nix'))).toMatchObject({ status: 1 });
  });

  it('shows its outputs, from inside a clone and from outside', () => {
    const outside = ['flake', 'show', '--json', `git+file://${main.at('tee')}?dir=nix`];
    const shown = main.nix([...outside, ...stub(main)]);
    expect(shown).toMatchObject({ status: 0 });
    const outputs = JSON.parse(shown.stdout);
    expect(Object.keys(outputs.packages[NIX_SYSTEM])).toEqual([
      ...['default', 'tee-ami', 'tee-attest', 'tee-image', 'tee-kms', 'tee-tools'],
    ]);
    expect(Object.keys(outputs.apps['x86_64-linux'])).toEqual([
      ...['boot-uefi-qemu', 'compute-pcrs', 'create-ami', 'generate-uefi-vars', 'sign-efi-image'],
    ]);
    expect(Object.keys(outputs.nixosModules)).toEqual(['base', 'debug', 'default', 'policy']);
    expect(main.nix(['flake', 'show', '--json', './nix', ...stub(main)], 'tee').stdout).toBe(
      shown.stdout,
    );
  });

  it('passes its checks', () => {
    const { status, stderr } = main.nix(['flake', 'check', './nix', ...stub(main)], 'tee');
    expect(stderr).not.toMatch(/^error/m);
    expect(status).toBe(0);
  });

  it('says what is wrong with a reference to the folder alone, and needs no address of a mirror', () => {
    const alone = main.nix(['flake', 'check', `path:${main.at('tee/nix')}`, ...stub(main)]);
    expect(alone.stderr).toMatch(/needs the whole repository.*\?dir=nix/);
    expect(alone.status).toBe(1);
    const without = workspaceWith({ registry: null });
    const { status } = without.nix(['flake', 'check', './nix', ...stub(without)], 'tee');
    expect(status).toBe(0);
  });
});

describe.skipIf(isSkipped)('buildImage', () => {
  it('builds the image that tee-image build makes of the same inputs', () => {
    const out = main.built('any');
    expect(readdirSync(out).sort()).toEqual(['any_7.raw', ...FILES].sort());
    const efi = main.at('project/efi', process.arch === 'arm64' ? 'linuxaa64' : 'linuxx64');
    const made = teeImage(
      ...['build', '--kernel', `${efi}.efi.stub`, '--initrd', `${efi}.efi.stub`],
      ...['--root', main.at('project/root'), '--cmdline', 'console=ttyS0 x="a b"'],
      ...['--arch', process.arch === 'arm64' ? 'aarch64' : 'x86_64'],
      ...['--name', 'any', '--version', '7', '--out', main.at('plain')],
    );
    expect(made).toMatchObject({ status: 0 });
    expect(hashes(out)).toEqual(hashes(main.at('plain')));
    const verified = teeImage(
      'verify',
      join(out, 'any_7.raw'),
      '--manifest',
      join(out, 'manifest.json'),
    );
    expect(verified).toMatchObject({ status: 0, stderr: '' });
  });

  it('builds the same bytes again', () => {
    main.built('any');
    const { status, stderr } = main.build('any', '--rebuild');
    expect(stderr).not.toMatch(/^error/m);
    expect(status).toBe(0);
  });

  it('would notice bytes that differ (the control of this test)', () => {
    main.built('control');
    const { status, stderr } = main.build('control', '--rebuild');
    expect(stderr).toMatch(/may not be deterministic|differs/);
    expect(status).not.toBe(0);
  });

  it('builds the same bytes 400 days later', ({ skip }) => {
    if (skipLoudly('a clock 400 days ahead', FAKETIME ? undefined : 'faketime')) skip();
    const later = workspaceWith({
      env: {
        LD_PRELOAD: FAKETIME as string,
        FAKETIME: '+400d',
        NO_FAKE_STAT: '1',
        TZ: 'Asia/Tokyo',
      },
    });
    writeFileSync(
      later.at('project/flake.nix'),
      project(later).replace('tee-image-of()', '/usr/bin/date +%Y > $out/year; tee-image-of()'),
    );
    const year = new Date(Date.now() + 400 * 86_400_000).getFullYear();
    expect(hashes(later.built('any'))).toEqual(hashes(main.built('any')));
    // The clock of builders really is ahead.
    expect(readFileSync(join(later.built('control'), 'year'), 'utf8')).toBe(`${year}\n`);
  });
});

describe.skipIf(isSkipped)('tee-image of a NixOS configuration', () => {
  it('makes the image with its measurements', () => {
    const out = main.built('nixos');
    expect(readdirSync(out).sort()).toEqual([...FILES, 'nixos-tee_1.raw'].sort());
    const raw = join(out, 'nixos-tee_1.raw');
    const measured = teeImage('measure', join(out, 'unsigned.efi'), '--format', 'aws');
    const { Measurements } = json(join(out, 'tpm_pcr.json'));
    const { PCR7: _, ...expected } = JSON.parse(measured.stdout).Measurements;
    expect(Measurements).toEqual(expected);
    expect(json(join(out, 'manifest.json'))).toMatchObject({
      name: 'nixos-tee',
      imageVersion: '1',
    });
    // The stand-in for an initrd is no archive.
    expect(teeImage('audit', raw, '--allow', 'unread')).toMatchObject({ status: 0 });
    const line = readFileSync(join(out, 'unsigned.efi'), 'latin1');
    expect(line).toContain(
      ' panic=30 boot.panic_on_fail lockdown=1 console=ttyS0,115200n8 console=tty0 random.trust_cpu=on systemd.verity=1 systemd.verity_root_options=panic-on-corruption ',
    );
    const verified = teeImage('verify', raw, '--manifest', join(out, 'manifest.json'));
    expect(verified).toMatchObject({ status: 0, stderr: '' });
  });

  it('packs the initrd so that the audit can look into it', () => {
    const option = `packages.${NIX_SYSTEM}.nixos.config.boot.initrd.compressor`;
    const { stdout, stderr } = main.nix([
      ...['eval', '--raw', `path:${main.at('project')}#${option}`, '--no-write-lock-file'],
    ]);
    expect(stderr).not.toMatch(/^error/m);
    expect(stdout).toBe('gzip');
  });

  it('makes what tee-image sign takes', () => {
    expect(teeImage('keys', 'new', '--out', main.at('keys'))).toMatchObject({ status: 0 });
    const signed = main.at('signed');
    expect(
      teeImage('sign', main.built('nixos'), '--keys', main.at('keys'), '--out', signed),
    ).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(signed)).toContain('nixos-tee_1.signed.raw');
  });

  it('takes name and version from the configuration', () => {
    expect(readdirSync(main.built('named'))).toContain('payments_12.raw');
  });

  it('refuses what lets an operator in, and says which rule and why', () => {
    const { status, stderr } = main.build('open');
    expect(status).toBe(1);
    for (const rule of ['ssh-server', 'password', 'console-login'])
      expect(stderr).toContain(`zero operator access (${rule})`);
    expect(stderr).toContain('gets a shell');
  });

  it.each([
    ['whose policy is off', 'unguarded', 'tee-verify.operatorAccess.enforce is off'],
    ['whose assertions are off', 'disarmed', 'zero operator access (ssh-server)'],
    ['with the module debug', 'leaked', 'tee-verify.operatorAccess.enforce is off'],
  ])('refuses a release %s', (_name, image, said) => {
    const { status, stderr } = main.build(image);
    expect(stderr).toContain(said);
    expect(status).toBe(1);
  });

  it('warns of a rule that is allowed to be broken', () => {
    const { status, stderr } = main.build('allowed');
    expect(stderr).toContain('the rule sudo is not enforced');
    expect(status).toBe(0);
  });

  it('says loudly that an image is for debugging, by its name and its PCRs, too', () => {
    expect(main.build('debug').stderr).toContain('DEBUG image');
    const debug = main.built('debug');
    expect(readdirSync(debug)).toContain('nixos-tee-debug_1.raw');
    expect(json(join(debug, 'tpm_pcr.json')).Measurements?.PCR4).not.toBe(
      json(join(main.built('nixos'), 'tpm_pcr.json')).Measurements?.PCR4,
    );
    expect(json(join(debug, 'manifest.json')).name).toBe('nixos-tee-debug');
  });

  it('takes the image with the UKI of older nixpkgs, and refuses one without it', () => {
    const older = workspaceWith({ era: 'finalImage' });
    const out = older.built('nixos');
    const manifest = join(out, 'manifest.json');
    expect(teeImage('verify', join(out, 'nixos-tee_1.raw'), '--manifest', manifest)).toMatchObject({
      status: 0,
    });
    const other = workspaceWith({ era: 'other' });
    const { status, stderr } = other.build('nixos', '--print-build-logs');
    expect(stderr).toContain('does not hold the UKI of this system');
    expect(status).toBe(1);
  });

  it('builds the example, whose configuration the policy accepts', () => {
    const folder = main.at('nginx-kms');
    cpSync(join(REPOSITORY, 'nix/examples/nginx-kms'), folder, { recursive: true });
    mkdirSync(join(folder, 'secrets'));
    writeFileSync(join(folder, 'secrets/payload-key.enc'), 'x');
    const { status, stdout, stderr } = main.nix([
      ...['build', `path:${folder}#raw-image`, '--json', '--no-link', '--no-write-lock-file'],
      ...['--override-input', 'nixpkgs', `path:${main.at('nixpkgs')}`],
      ...['--override-input', 'tee', `git+file://${main.at('tee')}?dir=nix`],
    ]);
    expect(stderr).not.toMatch(/^error/m);
    expect(status).toBe(0);
    const [{ outputs }] = JSON.parse(stdout) as [{ outputs: { out: string } }];
    expect(readdirSync(outputs.out)).toContain('nginx-kms_1.raw');
  });
});

describe.skipIf(isSkipped)('apps', () => {
  it('run their command with the arguments they get', () => {
    const folder = main.at('standins');
    for (const [area, name] of [
      ['image', 'tee-image'],
      ['ami', 'tee-ami'],
    ] as const) {
      mkdirSync(join(folder, area, 'bin'), { recursive: true });
      writeFileSync(
        join(folder, area, 'bin', `${name}.js`),
        `console.log(JSON.stringify(['${name}', ...process.argv.slice(2)]))`,
      );
    }
    const workspace = workspaceWith({ teeTools: folder });
    const run = (app: string): unknown => {
      const flake = `git+file://${workspace.at('tee')}?dir=nix#${app}`;
      const { stdout, stderr } = workspace.nix([
        ...['run', '--no-write-lock-file', '--override-input', 'nixpkgs'],
        ...[`path:${workspace.at('nixpkgs')}`, flake, '--', 'a b', '--flag=$x'],
      ]);
      expect(stderr).not.toMatch(/^error/m);
      return JSON.parse(stdout);
    };
    const more = ['a b', '--flag=$x'];
    expect(run('create-ami')).toEqual(['tee-ami', 'create', ...more]);
    expect(run('sign-efi-image')).toEqual(['tee-image', 'sign', ...more]);
    expect(run('compute-pcrs')).toEqual(['tee-image', 'measure', ...more]);
    expect(run('generate-uefi-vars')).toEqual(['tee-image', 'keys', ...more]);
    if (NIX_SYSTEM === 'x86_64-linux')
      expect(run('boot-uefi-qemu')).toEqual([
        ...['tee-image', 'boot', '--firmware', '/usr/share/OVMF/FV', ...more],
      ]);
  });
});
