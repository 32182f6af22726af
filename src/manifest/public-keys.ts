import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  importJWK,
  importSPKI,
  type JWK,
} from 'jose';
import type { JwsAlgorithm } from '../result/signer.js';

/** A public key that is ready to verify one algorithm. */
export interface PublicKey {
  /** Its `kid`, or undefined. */
  readonly keyId: string | undefined;
  readonly algorithm: JwsAlgorithm;
  /** RFC 7638: the same key has the same one, whatever it is called. */
  readonly thumbprint: string;
  readonly key: CryptoKey;
}

const MAX_KEYS = 64;
const PEM = /-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+?-----END PUBLIC KEY-----/g;
const ALGORITHMS: readonly JwsAlgorithm[] = ['ES256', 'ES384', 'EdDSA'];

/**
 * Reads public keys: JWKs or PEM texts, at most 64. Keys of other kinds (RSA) are left out: nothing
 * that they sign verifies. TypeError for anything that is no public key; a private or symmetric key
 * among them is always a mistake.
 */
export async function readPublicKeys(
  name: string,
  list: readonly (JWK | string)[],
): Promise<readonly PublicKey[]> {
  const jwks: JWK[] = [];
  for (const entry of list)
    if (typeof entry === 'string') jwks.push(...(await readPem(name, entry)));
    else jwks.push(entry);
  if (jwks.length === 0 || jwks.length > MAX_KEYS)
    throw new TypeError(`${name} must hold 1 to ${MAX_KEYS} public keys`);
  for (const jwk of jwks)
    if (typeof jwk?.kty !== 'string' || jwk.kty === 'oct' || jwk.d !== undefined)
      throw new TypeError(`${name} must be public keys, as JWK or PEM`);
  const keys: PublicKey[] = [];
  for (const jwk of jwks) {
    const key = await readJwk(jwk);
    if (key !== undefined) keys.push(key);
  }
  return keys;
}

/** Algorithm of a header as we name it: RFC 9864 calls EdDSA over Ed25519 `Ed25519`. */
export function jwsAlgorithm(name: unknown): JwsAlgorithm | undefined {
  return name === 'Ed25519' ? 'EdDSA' : ALGORITHMS.find((known) => known === name);
}

async function readJwk(jwk: JWK): Promise<PublicKey | undefined> {
  const algorithm = jwsAlgorithm(algorithmOf(jwk));
  const isOther =
    algorithm === undefined ||
    (jwk.alg !== undefined && jwsAlgorithm(jwk.alg) !== algorithm) ||
    (jwk.use !== undefined && jwk.use !== 'sig') ||
    (jwk.key_ops !== undefined && !jwk.key_ops.includes('verify'));
  if (isOther) return undefined;
  const { kty, crv, x, y } = jwk;
  const bare = { kty, crv, x, ...(y !== undefined && { y }) } as JWK;
  try {
    return {
      keyId: typeof jwk.kid === 'string' ? jwk.kid : undefined,
      algorithm,
      thumbprint: await calculateJwkThumbprint(bare),
      key: (await importJWK(bare, algorithm)) as CryptoKey,
    };
  } catch (cause) {
    throw new TypeError(`a public key cannot be read: ${String(jwk.kid ?? kty)}`, { cause });
  }
}

/** By the key itself, so that no header and no `alg` can talk it into another one. */
function algorithmOf({ kty, crv }: JWK): JwsAlgorithm | undefined {
  if (kty === 'OKP') return crv === 'Ed25519' ? 'EdDSA' : undefined;
  if (kty !== 'EC') return undefined;
  return crv === 'P-256' ? 'ES256' : crv === 'P-384' ? 'ES384' : undefined;
}

async function readPem(name: string, text: string): Promise<JWK[]> {
  const blocks = text.match(PEM);
  if (blocks === null)
    throw new TypeError(
      `${name} given as text must be PEM with PUBLIC KEY blocks; certificates go into anchors`,
    );
  if (blocks.length !== text.split('BEGIN PUBLIC KEY').length - 1)
    throw new TypeError(`${name} holds a PUBLIC KEY block that is damaged`);
  if (text.includes('PRIVATE KEY'))
    throw new TypeError(`${name} must be public keys: a private one is among them`);
  const keys: JWK[] = [];
  for (const block of blocks) {
    const tried = await Promise.all(
      ALGORITHMS.map((algorithm) =>
        importSPKI(block, algorithm, { extractable: true }).catch(() => undefined),
      ),
    );
    const key = tried.find((candidate) => candidate !== undefined);
    if (key === undefined)
      throw new TypeError(`${name} holds a PEM key that is not on P-256, P-384 or Ed25519`);
    keys.push(await exportJWK(key));
  }
  return keys;
}
