import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENSE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** The folder of the package that a module belongs to; undefined for a module of our own. */
function packageFolder(id) {
  const path = id.replace(/^\0/, '').replace(/\?.*$/, '');
  const match = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path);
  return match !== null && existsSync(join(match[0], 'package.json')) ? match[0] : undefined;
}

/** The packages that a bundle took code from, with their licences, by name. */
export function bundledPackages(moduleIds) {
  const folders = new Set(moduleIds.map(packageFolder).filter((folder) => folder !== undefined));
  const packages = new Map();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    const texts = readdirSync(folder)
      .filter((file) => LICENSE_FILE.test(file))
      .sort()
      .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim());
    if (texts.length === 0)
      throw new Error(`${name} ${version} is bundled but has no licence file`);
    packages.set(`${name}@${version}`, { name, version, license, texts });
  }
  return [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
