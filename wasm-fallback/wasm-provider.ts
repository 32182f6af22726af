import { ALGORITHMS } from '../src/crypto/algorithms.js';
import type {
  CryptoProvider,
  HashAlgorithm,
  SignatureAlgorithm,
  SyncCrypto,
} from '../src/crypto/provider.js';
import type { EcExports } from './ec-exports.js';

/** The hashes that the module computes: its number for each, and the bytes of a digest. */
const HASHES = {
  'SHA-256': { number: 0, size: 32 },
  'SHA-384': { number: 1, size: 48 },
  'SHA-512': { number: 2, size: 64 },
} as const;
const UNCOMPRESSED = 4; // first byte of an uncompressed point (SEC 1, 2.3.3)

/**
 * A provider over one instance of the module. Every call runs from start to end before it returns,
 * so that calls can't disturb each other, and inputs are read before the first await.
 */
export function wasmProvider(
  ec: EcExports,
  sha1: (data: Uint8Array) => Uint8Array,
): CryptoProvider {
  const memory = new Uint8Array(ec.memory.buffer);
  const input = ec.inputAddress();
  const inputSize = ec.inputSize();
  const digestAt = ec.digestAddress();
  const keyAt = ec.keyAddress();
  const signatureAt = ec.signatureAddress();

  /** Leaves the digest of `data` at digestAt. */
  function hash(algorithm: number, data: Uint8Array): void {
    ec.hashStart(algorithm);
    for (let at = 0; at < data.length; at += inputSize) {
      const piece = data.subarray(at, at + inputSize);
      memory.set(piece, input);
      ec.hashUpdate(piece.length);
    }
    ec.hashFinish();
  }

  const sync: SyncCrypto = {
    digest(algorithm: HashAlgorithm, data: Uint8Array): Uint8Array {
      // Only old event logs and Authenticode need SHA-1: not worth room in the module.
      if (algorithm === 'SHA-1') return sha1(data);
      const { number, size } = HASHES[algorithm];
      hash(number, data);
      return memory.slice(digestAt, digestAt + size);
    },
    verify(
      algorithm: SignatureAlgorithm,
      publicKey: Uint8Array,
      message: Uint8Array,
      signature: Uint8Array,
    ): boolean {
      const size = ALGORITHMS[algorithm].coordinateBytes;
      if (publicKey.length !== 1 + 2 * size || publicKey[0] !== UNCOMPRESSED) return false;
      if (signature.length !== 2 * size) return false;
      const p384 = algorithm === 'ES384';
      hash(HASHES[p384 ? 'SHA-384' : 'SHA-256'].number, message);
      memory.set(publicKey.subarray(1), keyAt);
      memory.set(signature, signatureAt);
      return ec.verify(p384 ? 1 : 0) === 1;
    },
  };

  return {
    name: 'wasm',
    sync,
    digest: async (algorithm, data) => sync.digest(algorithm, data),
    verify: async (algorithm, publicKey, message, signature) =>
      sync.verify(algorithm, publicKey, message, signature),
  };
}
