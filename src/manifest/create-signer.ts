import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  importJWK,
  importPKCS8,
  type JWK,
} from 'jose';
import type { JwsAlgorithm, Signer } from '../result/signer.js';

/** What `createSigner` may be told. */
export interface SignerOptions {
  /** `kid` of the header; default the JWK's own, else the key's thumbprint (RFC 7638). */
  readonly keyId?: string;
  /** PEM with the certificates of the key, leaf first, to send along as `x5c`. */
  readonly certificates?: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----/g;
const PARAMETERS = {
  ES256: { name: 'ECDSA', hash: 'SHA-256' },
  ES384: { name: 'ECDSA', hash: 'SHA-384' },
  EdDSA: { name: 'Ed25519' },
} as const;

/**
 * A signer from a private key: a JWK, or PKCS#8 PEM (`PRIVATE KEY`), on P-256, P-384 or Ed25519.
 * TypeError for anything else.
 */
export async function createSigner(
  key: JWK | string,
  options: SignerOptions = {},
): Promise<Signer> {
  const jwk = typeof key === 'string' ? await readPem(key) : key;
  const algorithm = algorithmOf(jwk);
  if (algorithm === undefined || typeof jwk?.d !== 'string')
    throw new TypeError('a signer needs a private key on P-256, P-384 or Ed25519');
  const { kty, crv, x, y, d } = jwk;
  const publicKey = { kty, crv, x, ...(y !== undefined && { y }) } as JWK;
  const privateKey = (await importJWK({ ...publicKey, d }, algorithm)) as CryptoKey;
  const keyId = options.keyId ?? jwk.kid ?? (await calculateJwkThumbprint(publicKey));
  const certificates =
    options.certificates === undefined ? undefined : readCertificates(options.certificates);
  return {
    algorithm,
    keyId,
    publicJwk: { ...publicKey, kid: keyId, alg: algorithm, use: 'sig' },
    ...(certificates !== undefined && { certificates }),
    async sign(message) {
      const data = new Uint8Array(message);
      return new Uint8Array(
        await globalThis.crypto.subtle.sign(PARAMETERS[algorithm], privateKey, data),
      );
    },
  };
}

function algorithmOf(jwk: JWK): JwsAlgorithm | undefined {
  if (jwk?.kty === 'OKP') return jwk.crv === 'Ed25519' ? 'EdDSA' : undefined;
  if (jwk?.kty !== 'EC') return undefined;
  return jwk.crv === 'P-256' ? 'ES256' : jwk.crv === 'P-384' ? 'ES384' : undefined;
}

async function readPem(text: string): Promise<JWK> {
  for (const algorithm of ['ES256', 'ES384', 'EdDSA'] as const) {
    try {
      return await exportJWK(await importPKCS8(text, algorithm, { extractable: true }));
    } catch {
      // Not a key of this kind; perhaps of the next.
    }
  }
  throw new TypeError('a signer needs PKCS#8 PEM (BEGIN PRIVATE KEY) on P-256, P-384 or Ed25519');
}

function readCertificates(pem: string): readonly string[] {
  const found = [...pem.matchAll(CERTIFICATE)].map(([, body]) =>
    (body as string).replace(/\s/g, ''),
  );
  if (found.length === 0) throw new TypeError('certificates must be PEM with CERTIFICATE blocks');
  return found;
}
