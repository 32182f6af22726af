import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  makeNixWorkspace,
  missingForNix,
  NIX_SYSTEM,
  type NixWorkspace,
  type Outcome,
} from './test-support/nix-workspace.js';

// Optional, in CI, too: nixpkgs is large, and only a network has it.
const { NIXPKGS_SRC } = process.env;
const real = whyNotReal() ?? missingForNix();
if (real !== undefined)
  console.error(`SKIPPED: the real NixOS modules, image and packages, for want of ${real}`);

function whyNotReal(): string | undefined {
  if (NIXPKGS_SRC === undefined) return 'NIXPKGS_SRC (a checkout of nixpkgs)';
  const version = spawnSync('nix', ['--version'], { encoding: 'utf8' }).stdout;
  const [, major = 0, minor = 0] = (/ (\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  return major * 1000 + minor >= 2018
    ? undefined
    : `Nix 2.18, which nixpkgs needs (${version.trim()})`;
}

let main: NixWorkspace;
beforeAll(() => {
  if (real !== undefined) return;
  main = makeNixWorkspace();
  mkdirSync(main.at('tee/nix/examples/nginx-kms/secrets'));
  writeFileSync(main.at('tee/nix/examples/nginx-kms/secrets/payload-key.enc'), 'x');
});
afterAll(() => main?.remove());

describe.skipIf(real !== undefined)('with the real nixpkgs', () => {
  const evaluate = (expression: string): Outcome => {
    const file = main.at('real.nix');
    writeFileSync(
      file,
      `let
        real = builtins.getFlake "path:${NIXPKGS_SRC}";
        tee = (import ${main.at('tee/nix/flake.nix')}).outputs { self = tee; nixpkgs = real; };
      in ${expression}`,
    );
    return main.nix(['eval', '--impure', '--json', '-f', file]);
  };
  const value = (expression: string): unknown => {
    const { status, stdout, stderr } = evaluate(expression.replaceAll('SYSTEM', NIX_SYSTEM));
    expect(stderr).not.toMatch(/^error/m);
    expect(status).toBe(0);
    return JSON.parse(stdout);
  };

  it('evaluates the image', () => {
    expect(value('(tee.lib.SYSTEM.tee-image { userConfig = { }; }).drvPath')).toMatch(/\.drv$/);
  });

  it('evaluates the debug image and the example', () => {
    expect(value('(tee.lib.SYSTEM.tee-image { userConfig = { }; isDebug = true; }).name')).toBe(
      'nixos-tee-debug_1',
    );
    const folder = main.at('tee/nix/examples/nginx-kms');
    expect(
      value(`(tee.lib.SYSTEM.tee-image { userConfig = import ${folder}/configuration.nix {
        settings = builtins.fromJSON (builtins.readFile ${folder}/settings.json);
        teeKms = tee.packages.SYSTEM.tee-kms;
      }; }).drvPath`),
    ).toMatch(/\.drv$/);
  });

  it('refuses an operator', () => {
    const { status, stderr } = evaluate(
      `(tee.lib.${NIX_SYSTEM}.tee-image { userConfig.services.openssh.enable = true; }).drvPath`,
    );
    expect(status).toBe(1);
    expect(stderr).toContain('zero operator access (ssh-server)');
  });

  it('evaluates packages and apps', () => {
    expect(value('tee.packages.SYSTEM.tee-tools.drvPath')).toMatch(/\.drv$/);
    expect(value('map (app: app.program) (builtins.attrValues tee.apps.SYSTEM)')).toHaveLength(
      NIX_SYSTEM === 'x86_64-linux' ? 5 : 4,
    );
  });
});
