import { resolveRelative } from './module-facts.mjs';

/** TypeScript that ships or makes what ships; tests and benches may import anything. */
export const isSource = (path) =>
  path.endsWith('.ts') &&
  !/\.(test|bench|d)\.ts$/.test(path) &&
  !/(^|\/)(test-support|testing)\//.test(path) &&
  !path.includes('wasm-fallback/assembly/');

/** What anyone in src may import: bytes, the interface of crypto, the vocabulary of result. */
const COMMON = ['bytes', 'vocabulary', 'crypto-interface', 'trust'];
const DECODERS = [...COMMON, 'cbor', 'der'];
const STEPS = ['cose', 'x509', 'nitro', 'tpm', 'measure'];
const PROVEN = [...DECODERS, ...STEPS, 'evidence'];
const APPRAISED = [...PROVEN, 'checks', 'manifest', 'result', 'crypto', 'options'];

/**
 * The rooms of src and the rooms that each may import besides itself. Data flows one way:
 * bytes → cbor, x509/der → steps → manifest → verify → index. Steps never import each other.
 */
const MAY_IMPORT = {
  vocabulary: [],
  bytes: ['vocabulary'],
  'crypto-interface': ['bytes', 'vocabulary'],
  trust: [],
  crypto: COMMON,
  cbor: COMMON,
  der: COMMON,
  ...Object.fromEntries(STEPS.map((step) => [step, DECODERS])),
  evidence: [...DECODERS, ...STEPS],
  checks: [...PROVEN, 'manifest'],
  manifest: PROVEN,
  result: [...PROVEN, 'manifest'],
  options: [...PROVEN, 'checks', 'manifest', 'crypto'],
  verify: APPRAISED,
  calls: [...APPRAISED, 'verify'],
  index: [...APPRAISED, 'verify', 'calls'],
};

/** The rooms that are files rather than folders. */
const ROOM_FILES = {
  // Codes, the error, and the plain types of a report: words without logic.
  vocabulary: [
    ...[
      'result/codes',
      'result/hint-of',
      'result/hints',
      'result/measurement-codes',
      'result/pool-codes',
      'result/client-codes',
      'result/binding-codes',
      'result/signed-manifest-codes',
      'result/result-codes',
      'result/manifest-report',
      'result/signer',
      'result/attestation-error',
      'result/report',
      'result/appraisal',
    ],
    ...['result/event-log-report', 'result/claims', 'result/note', 'result/verification-time'],
  ],
  'crypto-interface': [
    ...['crypto/provider', 'crypto/algorithms', 'crypto/curve', 'crypto/engine', 'crypto/flow'],
  ],
  der: ['x509/der', 'x509/der-signature'],
  trust: ['trust'],
  cbor: ['cbor'],
  cose: ['cose'],
  evidence: ['evidence'],
  // What is judged over verified values, beside the steps.
  checks: ['event-log-findings', 'freshness', 'proven-claims', 'sender-claims'],
  options: ['options'],
  verify: ['verify'],
  // The public functions around the main flow.
  calls: [
    ...['judge', 'verify-attestation', 'verify-attestation-sync', 'inspect-attestation'],
    'describe-evidence',
  ],
  index: ['index'],
};

const EXACT = Object.fromEntries(
  Object.entries(ROOM_FILES).flatMap(([room, files]) =>
    files.map((file) => [`src/${file}.ts`, room]),
  ),
);

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
  'test-vectors': ['test-vectors', 'src', 'node', 'wasm-fallback', 'tools'],
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
  // A command prints the version of its package.
  if (target === 'package.json' && folder === 'node') return undefined;
  // The provider for runtimes without WebCrypto, loaded on demand.
  if (file === 'src/crypto/choose-provider.ts' && target === 'wasm-fallback/load-wasm.ts')
    return undefined;
  // The list that the Nix modules and the audit share.
  if (file === 'tools/image/audit/policy.ts' && target === 'nix/policy/operator-access.json')
    return undefined;
  const [targetFolder] = target.split('/');
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
  const to = roomOf(target);
  // A file without a room is complained about once, by checkFile.
  if (from === undefined || to === undefined) return undefined;
  if (from === to || MAY_IMPORT[from].includes(to)) return undefined;
  return `${from} may not import from ${to} (${target})`;
}

/** What is wrong with the place of a file, or undefined. */
export function checkFile(file) {
  return file.startsWith('src/') && roomOf(file) === undefined
    ? 'no room of scripts/lib/rooms.mjs holds this file'
    : undefined;
}
