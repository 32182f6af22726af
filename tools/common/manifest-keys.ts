import type { ManifestKey } from 'tee-verify/manifest';
import { readInput } from './command-line.js';
import { ToolError } from './tool-error.js';

const MAX_KEYS_BYTES = 262_144;

const RULES = ['threshold', 'minVersion', 'anchors'] as const;

/**
 * Public keys of those who sign manifests: a file with a JWK, a JWK set, a list of JWKs, or PEM.
 * Rules in the file (`threshold`) are refused: commands that take keys have options for them, and a
 * rule must not be lost.
 * @throws ToolError `file.*`, `usage.option-invalid`, `usage.option-conflict`
 */
export async function readManifestKeys(path: string): Promise<readonly ManifestKey[]> {
  const text = new TextDecoder().decode(await readInput(path, MAX_KEYS_BYTES));
  // JSON may hold PEM: what it is shows at its start.
  if (!/^\s*[[{]/.test(text) && text.includes('-----BEGIN')) return [text];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unusable(path, cause);
  }
  if (Array.isArray(json)) return json as readonly ManifestKey[];
  if (typeof json !== 'object' || json === null) throw unusable(path);
  const rule = RULES.find((name) => Object.hasOwn(json, name));
  if (rule !== undefined)
    throw new ToolError('usage.option-conflict', {
      expected: 'keys alone in the file, and rules as options',
      actual: `${rule} in ${path}`,
    });
  const { keys } = json as { readonly keys?: unknown };
  return Array.isArray(keys) ? (keys as readonly ManifestKey[]) : [json as ManifestKey];
}

function unusable(path: string, cause?: unknown): ToolError {
  return new ToolError('usage.option-invalid', {
    expected: 'a JWK, a JWK set or PEM',
    actual: path,
    cause,
  });
}
