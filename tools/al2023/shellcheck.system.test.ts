import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { havePrograms } from '../agent/testing/start-swtpm.js';
import { checkCommandDocument } from './testing/check-command-document.js';
import { checkComponent } from './testing/check-component.js';
import { runScript, standInPath } from './testing/run-script.js';
import { baseTemplate, propertyText } from './testing/templates.js';

const file = (name: string): string => fileURLToPath(new URL(`recipe/${name}`, import.meta.url));

describe.skipIf(!havePrograms('shellcheck'))('shellcheck', () => {
  const folder = mkdtempSync(join(tmpdir(), 'al2023-shellcheck-'));
  const run = join(folder, 'run.sh');
  writeFileSync(run, 'shellcheck --shell=bash --severity=style "$1"\n');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const lint = (path: string): string =>
    runScript(run, [path], { env: { PATH: standInPath(folder, {}) } }).stdout;

  const template = baseTemplate();
  const component = checkComponent(propertyText(template, 'KiwiNgComponent', 'Data'));
  const { Properties = {} } = template.Resources.CreateOutputAmiDocument ?? {};
  const document = checkCommandDocument(Properties.Content);

  it.each(['config.sh', 'edit_boot_install.sh'])('finds nothing in %s', (name) => {
    expect(lint(file(name))).toBe('');
  });

  it.each([...component.scripts, ...document.scripts])('finds nothing in %s', (name, script) => {
    const path = join(folder, `${name}.sh`);
    // In a variable's place stands some value, as at run time.
    writeFileSync(path, script.replace(/\{\{ \w+ \}\}/g, 'value'));
    expect(lint(path)).toBe('');
  });

  it('finds what is wrong', () => {
    const path = join(folder, 'broken.sh');
    writeFileSync(path, 'rm $1\n');
    expect(lint(path)).toContain('SC2086');
  });
});
