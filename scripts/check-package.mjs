/**
 * Checks both packages as a user gets them: packs tee-verify, installs the archive in an empty
 * project, looks at what came along, imports every public name, runs the command, and asks
 * publint and are-the-types-wrong. tee-tools is checked by publint.
 *
 * Usage: node scripts/check-package.mjs [--keep], after npm run build
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BROWSER_ENTRIES, SDK_ENTRIES, TOOLS_ENTRIES, typesOf } from './entries.mjs';
import { ROOT } from './lib/files.mjs';
import { kilobytes } from './lib/size.mjs';

/** The whole supply chain of an application that verifies. */
const INSTALLED = ['@noble/curves', '@noble/hashes', 'jose', 'tee-verify'];

/** What an archive may hold. */
const PACKED =
  /^(package\.json|LICENSE|README\.md|CHANGELOG\.md|SECURITY\.md|THIRD-PARTY\.md|docs\/([\w-]+\.md|manifest\.schema\.json)|wasm-fallback\/(assembly\/[\w-]+\.ts|[\w-]+\.mjs|ec\.wasm(\.sha256)?)|node\/bin\/[\w-]+\.js|dist\/(?!.*\.(test|bench)\.).+\.(js|d\.ts|js\.map|wasm)|dist\/page\/[\w-]+\.(html|css|svg))$/;

const { values: options } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
const folder = mkdtempSync(join(tmpdir(), 'package-'));
let failures = 0;

/** Prints one line for a check, and its details when it failed. */
function report(name, problems) {
  console.log(`${problems.length === 0 ? 'ok    ' : 'FAILED'} ${name}`);
  for (const problem of problems) console.error(`       ${problem.replaceAll('\n', '\n       ')}`);
  if (problems.length > 0) failures += 1;
}

/** Runs a program; its output, and as problem what it said when it ended badly. */
function run(program, args, cwd) {
  const result = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
    // npm hands its own settings to what it starts; the project stands for somebody else's.
    env: Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^npm_(package|lifecycle|command)/.test(name),
      ),
    ),
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  const bad = result.error !== undefined || result.status !== 0;
  return {
    stdout: result.stdout ?? '',
    problems: bad
      ? [`${program} ${args[0]} ended with ${result.error ?? result.status}\n${output}`]
      : [],
  };
}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const binary = (name) => join(ROOT, 'node_modules/.bin', name);

/** Every file that a value of `exports` names, whatever its conditions. */
const targetsOf = (target) =>
  typeof target === 'string' ? [target] : Object.values(target).flatMap(targetsOf);

/** `exports` and `bin` against the table of the build, and every target against the disk. */
function compareWithTable(home, prefix, entries) {
  const { exports = {}, bin = {} } = readJson(join(ROOT, home, 'package.json'));
  const problems = [];
  const local = (path) => `./${path.slice(prefix.length)}`;
  const conditions = ({ source, output }) => ({
    types: local(typesOf(source)),
    default: local(output),
  });
  for (const entry of entries) {
    const { subpath, onNode } = entry;
    if (subpath === undefined || !existsSync(join(ROOT, entry.source))) continue;
    const node = entries.find(({ output }) => output === onNode);
    const expected = { ...(node && { node: conditions(node) }), ...conditions(entry) };
    if (JSON.stringify(exports[subpath]) !== JSON.stringify(expected)) {
      problems.push(`exports["${subpath}"] should be ${JSON.stringify(expected)}`);
    }
  }
  const targets = Object.values(exports).flatMap((target) => targetsOf(target));
  for (const target of [...targets, ...Object.values(bin)]) {
    if (!existsSync(join(ROOT, home, target))) problems.push(`${target} does not exist`);
  }
  for (const { bin: command, source } of entries) {
    if (command === undefined || !existsSync(join(ROOT, source))) continue;
    if (bin[command] === undefined) problems.push(`bin lacks ${command}`);
  }
  return problems;
}

/** Run inside the empty project: loads every entry, and holds the error class against the main one. */
const IMPORT_ALL = `
import { AttestationError } from 'tee-verify';
const bad = [];
for (const subpath of JSON.parse(process.argv[2])) {
  const names = await import('tee-verify' + subpath.slice(1), subpath.endsWith('.json') ? { with: { type: 'json' } } : {});
  if (Object.keys(names).length === 0) bad.push(subpath + ' exports nothing');
  // The files for browsers hold their own copies of everything: they never meet the others.
  if (!['./browser', './service-worker'].includes(subpath) && 'AttestationError' in names && names.AttestationError !== AttestationError)
    bad.push(subpath + ' has an AttestationError of its own');
}
if (typeof AttestationError !== 'function') bad.push('there is no AttestationError');
if (bad.length > 0) { console.error(bad.join('\\n')); process.exitCode = 1; }
`;

try {
  report(
    'exports and bin of tee-verify',
    compareWithTable('.', '', [...SDK_ENTRIES, ...BROWSER_ENTRIES]),
  );
  report('exports and bin of tee-tools', compareWithTable('tools', 'tools/', TOOLS_ENTRIES));

  const packed = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder],
    ROOT,
  );
  if (packed.problems.length > 0) {
    report('npm pack', packed.problems);
  } else {
    const described = JSON.parse(packed.stdout);
    const [{ filename, size, files }] = Object.values(described);
    const paths = files.map(({ path }) => path);
    const archive = join(folder, filename);
    report(`npm pack: ${files.length} files, ${kilobytes(size)}`, [
      ...paths.filter((path) => !PACKED.test(path)).map((path) => `should not be packed: ${path}`),
      ...['LICENSE', 'README.md', 'SECURITY.md', 'THIRD-PARTY.md']
        .filter((path) => !paths.includes(path))
        .map((path) => `not packed: ${path}`),
    ]);

    const project = join(folder, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    report('npm install', run('npm', ['install', ...flags, archive], project).problems);
    const lock = join(project, 'node_modules/.package-lock.json');
    const installed = existsSync(lock)
      ? Object.keys(readJson(lock).packages).map((path) => path.replace('node_modules/', ''))
      : [];
    report(`installed: ${installed.join(', ')}`, [
      ...installed.filter((name) => !INSTALLED.includes(name)).map((name) => `unexpected: ${name}`),
      ...INSTALLED.filter((name) => !installed.includes(name)).map((name) => `missing: ${name}`),
    ]);

    const subpaths = Object.keys(readJson(join(ROOT, 'package.json')).exports);
    writeFileSync(join(project, 'import-all.mjs'), IMPORT_ALL);
    report(
      `import ${subpaths.join(' ')}`,
      run(process.execPath, ['--no-warnings', 'import-all.mjs', JSON.stringify(subpaths)], project)
        .problems,
    );
    const help = run('npx', ['--no-install', 'tee-verify', '--help'], project);
    report('npx tee-verify --help', [
      ...help.problems,
      ...(help.stdout.includes('tee-verify') ? [] : ['it does not name the command']),
    ]);
    report(
      'are the types wrong',
      run(binary('attw'), [archive, '--profile', 'esm-only', '--no-color'], folder).problems,
    );
  }
  report('publint tee-verify', run(binary('publint'), ['run', '.', '--strict'], ROOT).problems);
  const staged = join(folder, 'tee-tools');
  const stage = run(process.execPath, [join(ROOT, 'scripts/stage-tools.mjs'), staged], ROOT);
  report('stage tee-tools', [
    ...stage.problems,
    ...['LICENSE', 'THIRD-PARTY.md']
      .filter((path) => !existsSync(join(staged, path)))
      .map((path) => `not staged: ${path}`),
  ]);
  report('publint tee-tools', run(binary('publint'), ['run', staged, '--strict'], ROOT).problems);
} finally {
  if (options.keep) console.log(`kept: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}
console.log(failures === 0 ? 'package: good' : `package: ${failures} check(s) failed`);
process.exitCode = failures === 0 ? 0 : 1;
