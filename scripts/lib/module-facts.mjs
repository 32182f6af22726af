import { posix } from 'node:path';
import { parseAst } from 'vitest/node';

/** Resolves `./x.js` of a source to the file it means, among the known files. */
export function resolveRelative(file, specifier, known) {
  const path = posix.join(posix.dirname(file), specifier);
  const candidates = [path, path.replace(/\.js$/, '.ts'), path.replace(/\.mjs$/, '.mts')];
  return candidates.find((candidate) => known.has(candidate)) ?? path;
}

const DECLARING = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ClassDeclaration',
  'ClassExpression',
  'TSInterfaceDeclaration',
  'TSTypeAliasDeclaration',
  'TSEnumDeclaration',
]);

/** Adds the names that a binding pattern declares. */
function bind(pattern, names) {
  if (pattern === null || pattern === undefined) return;
  switch (pattern.type) {
    case 'Identifier':
      names.add(pattern.name);
      break;
    case 'ObjectPattern':
      for (const property of pattern.properties) bind(property.value ?? property.argument, names);
      break;
    case 'ArrayPattern':
      for (const element of pattern.elements) bind(element, names);
      break;
    case 'AssignmentPattern':
      bind(pattern.left, names);
      break;
    case 'RestElement':
      bind(pattern.argument, names);
      break;
    case 'TSParameterProperty':
      bind(pattern.parameter, names);
      break;
  }
}

/** Fields of a node whose identifiers are names of members, not references. */
function isMemberName(node, key) {
  if (node.computed === true) return false;
  if (key === 'property') return node.type === 'MemberExpression';
  if (key === 'key') return true;
  return key === 'label' || key === 'imported' || key === 'exported' || key === 'qualifier';
}

/**
 * What a module imports and which globals it uses.
 *
 * A global is an identifier in an expression that no declaration of the file has: names are
 * collected per file rather than per scope, so a parameter called `document` hides the page's
 * `document` in the whole file. tsconfig.src.json catches what that lets through, because src is
 * compiled without the types of Node and of a page. `globalThis.x` counts as the global x.
 */
export function moduleFacts(file, text) {
  const ast = parseAst(text, { lang: 'ts' }, file);
  const lineOf = (offset) => text.slice(0, offset).split('\n').length;
  const imports = [];
  const declared = new Set();
  const used = [];
  const add = (source, typeOnly) =>
    imports.push({ specifier: source.value, line: lineOf(source.start), typeOnly });

  const visit = (node, inType) => {
    switch (node.type) {
      case 'ImportDeclaration':
        add(node.source, onlyTypes(node, node.importKind));
        for (const { local } of node.specifiers) declared.add(local.name);
        return;
      case 'ExportAllDeclaration':
        add(node.source, node.exportKind === 'type');
        return;
      case 'ExportNamedDeclaration':
        if (node.source !== null) {
          add(node.source, onlyTypes(node, node.exportKind));
          return;
        }
        break;
      case 'ImportExpression':
        if (node.source.type === 'Literal') add(node.source, false);
        break;
      case 'TSImportType':
        add(node.source ?? node.argument, true);
        return;
      case 'VariableDeclarator':
        bind(node.id, declared);
        break;
      case 'CatchClause':
        bind(node.param, declared);
        break;
      case 'MemberExpression':
        if (node.object.name === 'globalThis') {
          const name = node.computed ? node.property.value : node.property.name;
          if (typeof name === 'string')
            used.push({ name, line: lineOf(node.start), certain: true });
        }
        break;
      case 'Identifier':
        if (!inType) used.push({ name: node.name, line: lineOf(node.start) });
        break;
    }
    if (DECLARING.has(node.type)) bind(node.id, declared);
    if (Array.isArray(node.params)) for (const param of node.params) bind(param, declared);
    for (const [key, value] of Object.entries(node)) {
      if (isMemberName(node, key)) continue;
      for (const child of Array.isArray(value) ? value : [value]) {
        if (child !== null && typeof child === 'object' && typeof child.type === 'string') {
          visit(child, inType || child.type.startsWith('TSType'));
        }
      }
    }
  };
  visit(ast, false);

  return {
    imports,
    globals: used.filter(({ name, certain }) => certain === true || !declared.has(name)),
    /** The known files that it loads when it runs. */
    runtimeImports: (known) =>
      imports
        .filter(({ specifier, typeOnly }) => !typeOnly && specifier.startsWith('.'))
        .map(({ specifier }) => resolveRelative(file, specifier, known))
        .filter((path) => known.has(path)),
  };
}

function onlyTypes(node, kind) {
  if (kind === 'type') return true;
  const { specifiers } = node;
  return (
    specifiers.length > 0 &&
    specifiers.every(({ importKind, exportKind }) => (importKind ?? exportKind) === 'type')
  );
}
