import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkCommandLine } from './audit/check-command-line.js';
import { treeOf } from './audit/test-support/tree-of.js';
import {
  makeNixWorkspace,
  missingForNix,
  type NixWorkspace,
  type Outcome,
  skipLoudly,
} from './test-support/nix-workspace.js';

const isSkipped = skipLoudly('the policy of the Nix modules', missingForNix());

let main: NixWorkspace;
beforeAll(() => {
  if (!isSkipped) main = makeNixWorkspace();
});
afterAll(() => main?.remove());

describe.skipIf(isSkipped)('the policy', () => {
  const evaluate = (folder: string): Outcome =>
    main.nix(['eval', '--raw', '-f', join(folder, 'testing/policy.nix')]);

  it('accepts the good configuration, and each assertion refuses a bad one', () => {
    expect(evaluate(main.at('tee/nix'))).toMatchObject({ status: 0, stdout: '' });
  });

  it.each([
    ['openssh', 'config.services.openssh.enable or false', 'false'],
    ['hashed-password', '[!*].*', '.*'],
    ['swap', '(config.swapDevices or [ ]) != [ ]', 'false'],
    ['command-line-verity', 'isNo found.value', 'false'],
  ])('is tested: without %s the test fails', (name, from, to) => {
    const folder = main.at(`policy-${name}`);
    cpSync(main.at('tee/nix'), folder, { recursive: true });
    for (const file of ['operator-access.nix', 'kernel-words.nix']) {
      const path = join(folder, 'policy', file);
      writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));
    }
    expect(evaluate(folder).stdout).toContain(`${name}: expected ${name}, got none`);
  });

  it('judges command lines as the audit does', () => {
    const good = 'roothash=00 lockdown=integrity';
    const lines = [
      ...['', good, `${good} rw`, `${good} systemd.debug-shell`, `${good} rd.break=mount`],
      ...[`${good} systemd.verity=OFF`, `${good} systemd.verity=1`, `${good} lockdown=none`],
      ...[`${good} systemd.verity_usr_options=x,ignore-corruption`, `${good} init=/bin/sh`],
      ...[`${good} init=/bin/app`, `${good} rootflags=noatime,rw`, `${good} -s`, `${good} single`],
      ...[`${good} rd.shell=0`, `${good} rd.emergency`, `${good} rd.emergency=halt`],
      ...[`${good} root=/dev/sda2`, `${good} root=/dev/mapper/root`, `${good} root=fstab`],
      ...[`${good} init=/x/dash`, `${good} systemd.setenv=LD_X=1`, `${good} systemd.getty-auto=on`],
      ...[`${good} systemd.mask_x=1`, `${good} module.sig-enforce=n`, 'lockdown=1 usrhash='],
    ];
    const byAudit = lines.map((commandLine) => [
      ...new Set(checkCommandLine({ tree: treeOf({}), commandLine }).map(({ rule }) => rule)),
    ]);
    const folder = main.at('tee/nix/policy');
    const expression = `lines: let
      kernel = import ${folder}/kernel-words.nix;
      rules = (builtins.fromJSON (builtins.readFile ${folder}/operator-access.json)).rules;
      words = line: builtins.filter (word: builtins.isString word && word != "") (builtins.split " " line);
      broken = line: rule: rule ? commandLine && kernel.problems rule.commandLine (words line) != [ ];
    in map (line: map (rule: rule.id) (builtins.filter (broken line) rules)) lines`;
    const file = main.at('lines.nix');
    writeFileSync(file, `(${expression}) (builtins.fromJSON ${nixText(JSON.stringify(lines))})`);
    const byNix = main.nix(['eval', '--json', '-f', file]);
    expect(byNix.stderr).not.toMatch(/^error/m);
    expect(JSON.parse(byNix.stdout)).toEqual(byAudit);
    expect(byAudit.flat()).toContain('verity');
  });
});

const nixText = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '\\$')}"`;
