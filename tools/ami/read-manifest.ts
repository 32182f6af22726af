import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describeSignedManifest, isSignedManifest, parseManifest } from 'tee-verify/manifest';
import { readSmallFile } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { BLOCK_BYTES, ImageBlocks, type ImageIdentity } from './image-blocks.js';
import { checkInterrupted } from './with-retries.js';

/** What an upload takes from a reference manifest. */
export interface AmiManifest {
  /** SHA-256 in hex, as reports and attestation results name the manifest. */
  readonly sha256: string;
  readonly name: string | undefined;
  /** Digest of the raw image, where the manifest names one. */
  readonly imageDigest: string | undefined;
}

const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
const HOLES_AT_ONCE = 64;
const ALGORITHMS: Readonly<Record<number, string>> = { 64: 'sha256', 96: 'sha384', 128: 'sha512' };

/**
 * Reads a reference manifest, signed or not; signatures are the verifier's business. Throws
 * `manifest.*`, `file.*`, `ami.manifest-mismatch`.
 */
export async function readManifest(path: string): Promise<AmiManifest> {
  const bytes = await readSmallFile(path, MAX_MANIFEST_BYTES);
  const text = new TextDecoder().decode(bytes);
  const payload = isSignedManifest(text) ? describeSignedManifest(text).payload : bytes;
  const { name, platform, provenance } = parseManifest(payload);
  if (platform === 'enclave')
    throw new ToolError('ami.manifest-mismatch', {
      expected: 'a manifest for NitroTPM',
      actual: `one for an enclave in ${path}`,
    });
  return {
    sha256: createHash('sha256').update(payload).digest('hex'),
    name,
    imageDigest: provenance?.imageDigest,
  };
}

/**
 * Compares the whole image with the digest that the manifest names, and says which image that was: hex of SHA-256, SHA-384 or
 * SHA-512, perhaps with the algorithm before it (`sha256:…`). Throws `ami.manifest-mismatch`,
 * `file.unreadable`.
 */
export async function checkImageDigest(
  path: string,
  expected: string,
  signal: AbortSignal,
): Promise<ImageIdentity> {
  const form = /^(?:sha(256|384|512)[:-])?([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/i;
  const [, bits, hex = ''] = form.exec(expected.trim()) ?? [];
  const algorithm = ALGORITHMS[hex.length];
  if (algorithm === undefined || (bits !== undefined && algorithm !== `sha${bits}`))
    throw new ToolError('ami.manifest-mismatch', {
      expected: 'an image digest such as sha256:<64 hex digits>',
      actual: JSON.stringify(expected.slice(0, 100)),
    });
  const { actual, identity } = await digestImage(path, algorithm, signal);
  if (actual !== hex.toLowerCase())
    throw new ToolError('ami.manifest-mismatch', {
      expected: `${algorithm} ${hex.toLowerCase()}`,
      actual: `${actual} of ${path}`,
    });
  return identity;
}

/** The digest of the whole file; holes are hashed without being read. */
async function digestImage(
  path: string,
  algorithm: string,
  signal: AbortSignal,
): Promise<{ readonly actual: string; readonly identity: ImageIdentity }> {
  const blocks = await ImageBlocks.open(path, { maxHeld: 1, inOrder: true });
  const stop = (): void => blocks.stop(new ToolError('ami.interrupted'));
  signal.addEventListener('abort', stop);
  try {
    const hash = createHash(algorithm);
    let left = blocks.identity.size;
    let position = 0;
    for (let block = await blocks.next(); ; block = await blocks.next()) {
      checkInterrupted(signal);
      const next = block?.index ?? Math.ceil(blocks.identity.size / BLOCK_BYTES);
      for (; position < next; position++) {
        // Terabytes of holes must not keep a Ctrl-C waiting.
        if (position % HOLES_AT_ONCE === 0) {
          await setImmediate();
          checkInterrupted(signal);
        }
        hash.update(ZEROS.subarray(0, Math.min(BLOCK_BYTES, left)));
        left -= BLOCK_BYTES;
      }
      if (block === undefined) return { actual: hash.digest('hex'), identity: blocks.identity };
      hash.update(block.bytes.subarray(0, Math.min(BLOCK_BYTES, left)));
      left -= BLOCK_BYTES;
      position++;
      block.release();
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await blocks.close();
  }
}
