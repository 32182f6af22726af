// ECDSA signature verification on P-256 and P-384, and SHA-256, SHA-384 and SHA-512.
//
// NOT CONSTANT TIME. Branches, table look-ups and loop counts depend on the inputs. That is right for
// verification, where everything is public, and wrong for anything else: never use this code with
// a secret. It offers no signing, no key generation and no key agreement, and must not.
//
// Read from the bottom up: field-unrolled (written by ../generate-field.mjs) and field, invert,
// scalar; point, table, multi-scalar; keys, ecdsa; sha256, sha512, sha.
//
// No imports, no allocation: all memory is fixed when the module is compiled.

import { verifyHash } from './ecdsa';
import { finish, start, update } from './sha';

const INPUT_SIZE: i32 = 16384;
const input = memory.data(16384, 8);
const digest = memory.data(64, 8);
const key = memory.data(96, 8);
const signature = memory.data(96, 8);

/** Where a piece of a message goes, and the most bytes of one. */
export function inputAddress(): usize { return input; }
export function inputSize(): i32 { return INPUT_SIZE; }
/** Where the digest stands after hashFinish. */
export function digestAddress(): usize { return digest; }
/** Where x || y goes. */
export function keyAddress(): usize { return key; }
/** Where r || s goes. */
export function signatureAddress(): usize { return signature; }

/** Starts a hash: 0 SHA-256, 1 SHA-384, 2 SHA-512. */
export function hashStart(algorithm: i32): void {
  start(algorithm);
}

/** Hashes the first `length` bytes of the input. */
export function hashUpdate(length: i32): void {
  update(input, <usize>length);
}

/** Writes the digest. */
export function hashFinish(): void {
  finish(digest);
}

/** Verifies the signature over the digest under the key: P-384 if `p384`, else P-256. 1 is valid. */
export function verify(p384: i32): i32 {
  return verifyHash(p384 != 0, digest, key, signature) ? 1 : 0;
}
