import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAst } from 'vitest/node';

const cache = new Map();

/** Reads a .d.ts once: its statements, its imports, and what it declares by name. */
function readModule(path) {
  const cached = cache.get(path);
  if (cached !== undefined) return cached;
  const text = readFileSync(path, 'utf8');
  const { body } = parseAst(text, { lang: 'dts' }, path);
  const imports = new Map();
  const declarations = new Map();
  for (const statement of body) {
    if (statement.type === 'ImportDeclaration') {
      for (const specifier of statement.specifiers) {
        imports.set(specifier.local.name, {
          name: specifier.imported?.name ?? (specifier.local && '*'),
          source: statement.source.value,
        });
      }
      continue;
    }
    const declared = statement.declaration ?? statement;
    const names =
      declared.type === 'VariableDeclaration'
        ? declared.declarations.map(({ id }) => id.name)
        : [declared.id?.name].filter((name) => name !== undefined);
    for (const name of names) {
      declarations.set(name, [...(declarations.get(name) ?? []), statement]);
    }
  }
  const module = { path, text, body, imports, declarations };
  cache.set(path, module);
  return module;
}

/** The comment that stands right before an offset, without its stars; '' when there is none. */
export function docCommentBefore(text, offset) {
  const match = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(text.slice(0, offset));
  if (match === null) return '';
  return match[1]
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim();
}

const KINDS = {
  ClassDeclaration: 'class',
  FunctionDeclaration: 'function',
  TSDeclareFunction: 'function',
  TSInterfaceDeclaration: 'interface',
  TSTypeAliasDeclaration: 'type',
  TSEnumDeclaration: 'enum',
  VariableDeclaration: 'constant',
};

/** How a declaration reads to a user: no `export declare`, no private members, two spaces. */
function signature(text) {
  return text
    .replace(/^export /, '')
    .replace(/^declare /, '')
    .split('\n')
    .filter((line) => !/^\s*(#private|private\b)/.test(line))
    .map((line) => line.replace(/^(?: {4})+/, (indent) => ' '.repeat(indent.length / 2)))
    .join('\n');
}

function describe(module, name) {
  const statements = module.declarations.get(name);
  if (statements === undefined) return undefined;
  const declared = statements[0].declaration ?? statements[0];
  return {
    name,
    origin: `${module.path}#${name}`,
    kind: KINDS[declared.type] ?? declared.type,
    doc: statements.map(({ start }) => docCommentBefore(module.text, start)).find(Boolean) ?? '',
    signature: statements
      .map(({ start, end }) => signature(module.text.slice(start, end)))
      .join('\n'),
  };
}

/** The .d.ts that a relative specifier means. */
function follow(module, source) {
  if (!source.startsWith('.')) return undefined;
  const path = join(dirname(module.path), source.replace(/\.js$/, '.d.ts'));
  if (!existsSync(path)) throw new Error(`${module.path}: ${source} has no declarations`);
  return path;
}

function external(name, source) {
  return { name, origin: `${source}#${name}`, kind: 're-export', doc: `From ${source}.` };
}

/** One name as a module sees it: declared there, or imported from elsewhere. */
function resolveName(module, name) {
  const own = describe(module, name);
  if (own !== undefined) return own;
  const imported = module.imports.get(name);
  if (imported === undefined) return undefined;
  const path = follow(module, imported.source);
  return path === undefined
    ? external(imported.name, imported.source)
    : collectExports(path).get(imported.name);
}

/** Every export of a .d.ts, re-exports followed: name → what it is, in alphabetical order. */
export function collectExports(path) {
  const module = readModule(path);
  const found = new Map();
  const add = (name, item) => {
    if (item === undefined) throw new Error(`${path}: cannot find what ${name} is`);
    found.set(name, { ...item, name });
  };
  for (const statement of module.body) {
    const source = statement.source?.value;
    if (statement.type === 'ExportAllDeclaration') {
      const target = follow(module, source);
      if (target === undefined || statement.exported !== null) {
        const name = statement.exported?.name ?? `* from ${source}`;
        add(name, external(name, source));
      } else {
        for (const [name, item] of collectExports(target)) if (name !== 'default') add(name, item);
      }
    } else if (statement.type === 'ExportNamedDeclaration') {
      for (const { local, exported } of statement.specifiers) {
        const target = source === undefined ? undefined : follow(module, source);
        if (source === undefined) add(exported.name, resolveName(module, local.name));
        else if (target === undefined) add(exported.name, external(local.name, source));
        else add(exported.name, collectExports(target).get(local.name));
      }
      const declared = statement.declaration;
      if (declared?.type === 'VariableDeclaration') {
        for (const { id } of declared.declarations) add(id.name, describe(module, id.name));
      } else if (declared) {
        add(declared.id.name, describe(module, declared.id.name));
      }
    }
  }
  const byName = ([a], [b]) => (a < b ? -1 : 1);
  return new Map([...found].sort(byName));
}
