import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { havePrograms } from '../agent/testing/start-swtpm.js';
import { runCommand } from '../image/test-support/run-command.js';
import { change } from './testing/change.js';
import { runScript } from './testing/run-script.js';

const DESCRIPTION = readFileSync(new URL('recipe/appliance.kiwi', import.meta.url), 'utf8');
/** A release with the schema's version 8.5, to which KIWI lifts older descriptions by itself. */
const KIWI_RELEASE = '10.3.11';

describe.skipIf(!havePrograms('xmllint', 'apt-get', 'dpkg', 'pip3', 'tar'))(
  'appliance.kiwi',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'al2023-kiwi-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** What xmllint finds wrong; empty when the description fits the schema. */
    function validate(description: string, schema: string): string {
      const file = join(folder, 'appliance.kiwi');
      const script = join(folder, 'validate.sh');
      writeFileSync(file, description);
      writeFileSync(script, 'xmllint --noout --relaxng "$1" "$2" 2>&1');
      const { status, stdout } = runScript(script, [schema, file]);
      return status === 0 ? '' : stdout;
    }

    /** A downloaded schema, kept below the temporary folder; nothing is installed. */
    function cached(name: string, download: (stage: string) => string): string {
      const path = join(tmpdir(), `al2023-test-${name}`);
      if (!existsSync(path)) renameSync(download(mkdtempSync(join(folder, 'stage-'))), path);
      return path;
    }

    const currentSchema = (): string =>
      cached(`kiwi-${KIWI_RELEASE}.rng`, (stage) => {
        const release = `kiwi==${KIWI_RELEASE}`;
        const options = ['--no-deps', '--no-binary', ':all:', '--quiet', '--dest', stage];
        runCommand('pip3', ['download', ...options, release]);
        const [archive = ''] = readdirSync(stage);
        runCommand('tar', ['-xf', join(stage, archive), '-C', stage]);
        return join(stage, `kiwi-${KIWI_RELEASE}/kiwi/schema/kiwi.rng`);
      });

    const debianSchema = (): string =>
      cached('kiwi-debian.rng', (stage) => {
        const options = ['-q', '-o', 'APT::Sandbox::User=root', 'download', 'kiwi'];
        runCommand('apt-get', options, { cwd: stage });
        const [archive = ''] = readdirSync(stage);
        runCommand('dpkg', ['-x', join(stage, archive), join(stage, 'root')]);
        return join(stage, 'root/usr/lib/python3/dist-packages/kiwi/schema/kiwi.rng');
      });

    describe(`and the schema of KIWI ${KIWI_RELEASE}`, () => {
      const description = change(DESCRIPTION, 'schemaversion="8.0"', 'schemaversion="8.5"');

      it('fits it', () => {
        expect(validate(description, currentSchema())).toBe('');
      });

      it.each([
        ['an unknown attribute', 'verity_blocks=', 'verity_block='],
        ['a value that is none', 'filesystem="erofs"', 'filesystem="erof"'],
        ['an unknown element', '<bootloader ', '<boot_loader '],
        ["the package manager's name before schema 7.6", '>dnf4<', '>dnf<'],
        ['an unknown boot loader', 'systemd_boot', 'systemdboot'],
      ])('would not with %s', (_, from, to) => {
        expect(validate(change(description, from, to), currentSchema())).not.toBe('');
      });
    });

    /** What Debian 12's KIWI (schema 7.5) has another word for, or does not know at all. */
    const gaps: readonly [string, string, string][] = [
      ['schema version 8.0', 'schemaversion="8.0"', 'schemaversion="7.5"'],
      ['dnf4', '>dnf4<', '>dnf<'],
      ['erofs', 'filesystem="erofs"\n', 'filesystem="squashfs"\n'],
      ['overlayroot_readonly_filesystem', 'overlayroot_readonly_filesystem="erofs"', ''],
      ['erofscompression', 'erofscompression="lz4hc,level=12"', ''],
      ['eficsm', ' eficsm="false"', ''],
      ['initrd', /<initrd[\s\S]*<\/initrd>/.exec(DESCRIPTION)?.[0] ?? 'no initrd', ''],
    ];
    const known = (without: number): string =>
      gaps.reduce(
        (text, [, from, to], i) => (i === without ? text : change(text, from, to)),
        DESCRIPTION,
      );

    describe("and Debian's older schema", () => {
      it('fits it in everything that it knows', () => {
        console.warn(`NOT CHECKED by Debian's KIWI schema: ${gaps.map(([n]) => n).join(', ')}`);
        expect(validate(known(-1), debianSchema())).toBe('');
      });

      it.each(gaps.map(([name], i) => [name, i] as const))('really lacks %s', (_, i) => {
        expect(validate(known(i), debianSchema())).not.toBe('');
      });
    });
  },
);
