import { isSignedManifest, parseManifest, type ReferenceManifest } from 'tee-verify/manifest';
import { readInput } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';

const MAX_BYTES = 1024 * 1024;

/**
 * A manifest from a file or standard input. Its signature is for another command to check, so a
 * signed one is refused. Throws `file.*`, `manifest.*`, `verify.manifest-unusable`.
 */
export async function readPlainManifest(path: string): Promise<ReferenceManifest> {
  const bytes = await readInput(path, MAX_BYTES);
  if (isSignedManifest(new TextDecoder().decode(bytes)))
    throw new ToolError('verify.manifest-unusable', {
      expected: 'a manifest without signature',
      actual: `${path}: a signed one`,
      hint: 'Check its signature with tee-image manifest verify, and pass here what was signed.',
    });
  return parseManifest(bytes);
}
