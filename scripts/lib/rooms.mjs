import { resolveRelative } from './module-facts.mjs';

/** TypeScript that ships or makes what ships; tests and benches may import anything. */
export const isSource = (path) =>
  path.endsWith('.ts') &&
  !/\.(test|bench|d)\.ts$/.test(path) &&
  !path.includes('wasm-fallback/assembly/');

/** What anyone in src may import: bytes, the interface of crypto, the codes of result. */
const COMMON = ['bytes', 'codes', 'crypto-interface'];
const DECODERS = [...COMMON, 'cbor', 'der'];
const STEPS = ['cose', 'x509', 'nitro', 'tpm', 'measure', 'freshness'];

/**
 * The rooms of src and the rooms that each may import besides itself. Data flows one way:
 * bytes → cbor, x509/der → steps → manifest → verify → index. Steps never import each other.
 */
const MAY_IMPORT = {
  bytes: ['codes'],
  codes: [],
  'crypto-interface': ['bytes', 'codes'],
  crypto: COMMON,
  cbor: COMMON,
  der: COMMON,
  evidence: DECODERS,
  ...Object.fromEntries(STEPS.map((step) => [step, DECODERS])),
  manifest: [...DECODERS, ...STEPS, 'evidence'],
  result: [...DECODERS, ...STEPS, 'evidence', 'manifest'],
  verify: [...DECODERS, ...STEPS, 'evidence', 'manifest', 'result', 'crypto'],
  index: [...DECODERS, ...STEPS, 'evidence', 'manifest', 'result', 'crypto', 'verify'],
};

/** Files that make a room smaller than their folder. */
const EXACT = {
  'src/index.ts': 'index',
  'src/verify.ts': 'verify',
  'src/evidence.ts': 'evidence',
  'src/cbor.ts': 'cbor',
  'src/cose.ts': 'cose',
  'src/freshness.ts': 'freshness',
  'src/x509/der.ts': 'der',
  'src/crypto/provider.ts': 'crypto-interface',
  'src/crypto/algorithms.ts': 'crypto-interface',
  'src/crypto/curve.ts': 'crypto-interface',
  'src/crypto/engine.ts': 'crypto-interface',
  'src/crypto/flow.ts': 'crypto-interface',
  'src/result/codes.ts': 'codes',
  'src/result/attestation-error.ts': 'codes',
  'src/result/report.ts': 'codes',
};

/** The room of a file of src, or undefined for one that no rule knows. */
function roomOf(file) {
  const exact = EXACT[file];
  if (exact !== undefined) return exact;
  const [, folder, rest] = file.split('/');
  return rest !== undefined && Object.hasOwn(MAY_IMPORT, folder) ? folder : undefined;
}

/** Packages that src may load: the whole supply chain of an application that verifies. */
const SRC_PACKAGES = /^(@noble\/(curves|hashes)\/|jose$)/;

/** Top-level folders that others may import by relative path. */
const FOLDER_MAY_IMPORT = {
  src: ['src'],
  node: ['node', 'src', 'wasm-fallback'],
  browser: ['browser', 'src', 'wasm-fallback'],
  'wasm-fallback': ['wasm-fallback', 'src'],
  'test-vectors': ['test-vectors', 'src', 'node', 'wasm-fallback'],
  tools: ['tools'],
};

/** What is wrong with one import, or undefined. */
export function checkImport(file, specifier, known) {
  const folder = file.slice(0, file.indexOf('/'));
  if (!specifier.startsWith('.')) {
    if (folder !== 'src') return checkPackage(folder, specifier);
    return SRC_PACKAGES.test(specifier) ? undefined : `src may not import ${specifier}`;
  }
  if (!/\.(js|json)$/.test(specifier)) return `relative imports end in .js: ${specifier}`;
  const target = resolveRelative(file, specifier, known);
  const targetFolder = target.slice(0, target.indexOf('/'));
  if (!FOLDER_MAY_IMPORT[folder].includes(targetFolder)) {
    return folder === 'tools' && targetFolder === 'src'
      ? `tools import tee-verify by its name, not ${specifier}`
      : `${folder} may not import from ${targetFolder}: ${specifier}`;
  }
  return folder === 'src' ? checkRooms(file, target) : undefined;
}

/** The SDK never reaches the tools; inside the repository it is reached by path. */
function checkPackage(folder, specifier) {
  if (folder === 'tools' || folder === 'test-vectors') return undefined;
  if (/^(tee-tools|tee-verify)($|\/)/.test(specifier))
    return `${folder} may not import ${specifier}`;
  if (folder !== 'node' && specifier.startsWith('node:')) {
    return `${folder} may not import ${specifier}`;
  }
  return undefined;
}

function checkRooms(file, target) {
  const from = roomOf(file);
  if (from === undefined) return 'no room of scripts/lib/rooms.mjs holds this file';
  const to = roomOf(target);
  if (to === undefined) return `no room of scripts/lib/rooms.mjs holds ${target}`;
  if (from === to || MAY_IMPORT[from].includes(to)) return undefined;
  return `${from} may not import from ${to} (${target})`;
}
