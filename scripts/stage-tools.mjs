/**
 * Puts tee-tools into a folder as it is published: what its `files` names, and a package.json that
 * depends on this version of tee-verify. Inside the repository that dependency is a link.
 *
 * Usage: node scripts/stage-tools.mjs <folder>, after npm run build
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib/files.mjs';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node scripts/stage-tools.mjs <folder>');
  process.exit(2);
}
const tools = join(ROOT, 'tools');
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const { version } = readJson(join(ROOT, 'package.json'));
const manifest = readJson(join(tools, 'package.json'));
manifest.dependencies['tee-verify'] = version;

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
for (const path of manifest.files) {
  if (existsSync(join(tools, path))) {
    cpSync(join(tools, path), join(folder, path), { recursive: true });
  }
}
cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
console.log(`tee-tools ${manifest.version} staged in ${folder}`);
