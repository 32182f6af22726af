import { decodeBase64 } from 'tee-verify/bytes';
import { readInput } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';

/** KMS takes 6144 bytes; in base64 with line ends some 8400. */
const MAX_CIPHERTEXT_BYTES = 6144;
const MAX_FILE_BYTES = 12_288;

/**
 * The ciphertext of `--ciphertext`: base64, `@file` or `-`. A file holds the bytes, or base64 as
 * `aws kms encrypt --query CiphertextBlob --output text` prints it.
 * @throws ToolError `usage.option-invalid`, `file.*`
 */
export async function readCiphertext(text: string): Promise<Uint8Array> {
  const path = text === '-' ? '-' : text.startsWith('@') ? text.slice(1) : undefined;
  const bytes = path === undefined ? decodeBase64(text.trim()) : await readFrom(path);
  if (bytes === undefined || bytes.length === 0 || bytes.length > MAX_CIPHERTEXT_BYTES)
    throw new ToolError('usage.option-invalid', {
      expected: `--ciphertext as base64, @file or - of 1 to ${MAX_CIPHERTEXT_BYTES} bytes`,
      actual: bytes === undefined ? JSON.stringify(text.slice(0, 40)) : `${bytes.length} bytes`,
    });
  return bytes;
}

async function readFrom(path: string): Promise<Uint8Array> {
  const bytes = await readInput(path, MAX_FILE_BYTES);
  // Real ciphertexts have bytes that base64 has not.
  const text = String.fromCharCode(...bytes.subarray(0, MAX_FILE_BYTES));
  return (/^[A-Za-z0-9+/=_\s-]+$/.test(text) && decodeBase64(text.replace(/\s/g, ''))) || bytes;
}

/**
 * Pairs of `--encryption-context name=value`.
 * @throws ToolError `usage.option-invalid`
 */
export function readEncryptionContext(
  pairs: readonly string[] = [],
): Readonly<Record<string, string>> {
  const context = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    if (at < 1 || context.has(name))
      throw new ToolError('usage.option-invalid', {
        expected: '--encryption-context as name=value, each name once',
        actual: JSON.stringify(pair.slice(0, 80)),
      });
    context.set(name, pair.slice(at + 1));
  }
  return Object.fromEntries(context);
}

/** A number of bytes of the command line. @throws ToolError `usage.option-invalid` */
export function parseByteCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,4}$/.test(text) && count >= 1 && count <= 1024) return count;
  throw new ToolError('usage.option-invalid', {
    expected: '--number-of-bytes of 1 to 1024',
    actual: JSON.stringify(text.slice(0, 32)),
  });
}
