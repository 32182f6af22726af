import { AttestationError } from 'tee-verify';
import { isSignedManifest, verifySignedManifest } from 'tee-verify/manifest';
import { readInput } from '../common/command-line.js';
import { readManifestKeys } from '../common/manifest-keys.js';
import { ToolError } from '../common/tool-error.js';
import { findDuplicateName } from './duplicate-names.js';
import { type KeyPolicy, parseKeyPolicy } from './policy-document.js';

const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;
const MAX_POLICY_BYTES = 1024 * 1024;

/**
 * The JSON of a manifest file. A signed one only with the keys that may sign it; with keys only a
 * signed one.
 * @throws ToolError `file.*`, `usage.option-conflict`; AttestationError `manifest.*`
 */
export async function readManifestFile(
  path: string,
  keysPath: string | undefined,
): Promise<Uint8Array> {
  const bytes = await readInput(path, MAX_MANIFEST_BYTES);
  const text = new TextDecoder().decode(bytes);
  const isSigned = isSignedManifest(text);
  if (isSigned !== (keysPath !== undefined))
    throw new ToolError('usage.option-conflict', {
      expected: isSigned ? '--manifest-keys <file> for a signed manifest' : 'a signed manifest',
      actual: isSigned ? 'none' : '--manifest-keys with one that is not signed',
    });
  if (keysPath === undefined) return refuseDuplicates(bytes);
  const keys = await readManifestKeys(keysPath);
  const nowMs = Date.now();
  try {
    const { payload } = await verifySignedManifest(text, keys, {
      nowMs,
      source: 'clock',
      clockToleranceSeconds: 60,
      documentMs: nowMs,
    });
    return refuseDuplicates(payload);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new ToolError('usage.option-invalid', { actual: cause.message, cause });
  }
}

/**
 * A PCR or a revocation that stands twice is one thing for people and another for a policy.
 * @throws AttestationError `manifest.malformed`
 */
function refuseDuplicates(manifest: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(manifest);
  try {
    JSON.parse(text);
  } catch {
    return manifest; // Whoever reads it says so.
  }
  const twice = findDuplicateName(text);
  if (twice === undefined) return manifest;
  throw new AttestationError('manifest.malformed', {
    expected: 'every name once in an object',
    actual: `${JSON.stringify(twice.slice(0, 40))} twice`,
  });
}

/** Reads a policy file. @throws ToolError `file.*`, `policy.malformed` */
export async function readPolicyFile(path: string): Promise<KeyPolicy> {
  return parseKeyPolicy(new TextDecoder().decode(await readInput(path, MAX_POLICY_BYTES)));
}
