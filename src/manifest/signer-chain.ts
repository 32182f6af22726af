import { type CryptoKey, calculateJwkThumbprint, importJWK } from 'jose';
import { decodeBase64 } from '../bytes/base64.js';
import { encodeBase64Url } from '../bytes/base64-encode.js';
import { equalBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { createEngine } from '../crypto/engine.js';
import { runFlow } from '../crypto/flow.js';
import type { CryptoProvider } from '../crypto/provider.js';
import type { VerificationTime } from '../result/verification-time.js';
import { type Certificate, parseCertificate } from '../x509/certificate.js';
import { equalNames } from '../x509/name.js';
import { judgePath, judgePathSignatures, startPathSignatures } from '../x509/path.js';
import { resolveTrustAnchors, type TrustAnchor } from '../x509/trust-anchors.js';
import type { PublicKey } from './public-keys.js';

/** The key of a certificate whose chain was verified, and whom it belongs to. */
export interface CertifiedKey extends PublicKey {
  /** The subject's name: bytes as hex, to compare, and text, to show. */
  readonly subjectHex: string;
  readonly subject: string;
}

/** A text or anything else may stand in the header. */
const MAX_CHAIN = 9;

/**
 * The key of the first certificate of `x5c` (RFC 7515, 4.1.6), after its path to an anchor was
 * verified as strictly as AWS's own (P-384 with ecdsa-with-SHA384, validity at the given time, CA
 * rules, key usage). The anchor itself may be left out of the header. Throws `x509.*`; undefined
 * for what is no list of certificates.
 */
export async function verifySignerChain(
  x5c: unknown,
  anchorList: readonly TrustAnchor[],
  time: VerificationTime,
): Promise<CertifiedKey | undefined> {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > MAX_CHAIN) return undefined;
  const chain = x5c.map((text: unknown) =>
    typeof text === 'string' ? decodeBase64(text) : undefined,
  );
  const [leaf] = chain;
  if (leaf === undefined || chain.includes(undefined)) return undefined;
  const bundle = chain.slice(1).reverse() as Uint8Array[];
  const anchors = resolveTrustAnchors(anchorList);
  const top = parseCertificate(bundle[0] ?? leaf, 'x5c');
  // Roots that are renewed keep their name: each of that name may be the one.
  const roots = anchors.certificates.filter(
    (der) =>
      !equalBytes(der, top.der) && equalNames(parseCertificate(der, 'anchor').subject, top.issuer),
  );
  const engine = createEngine('webcrypto', SUBTLE);
  const rules = { anchors, time, memory: undefined, memoryScope: '' };
  const silent = (): void => undefined;
  const verifyPath = async (certificates: readonly Uint8Array[]): Promise<Certificate> => {
    const path = await runFlow(judgePath(certificates, leaf, rules, engine, silent));
    await runFlow(judgePathSignatures(path, startPathSignatures(path, engine), rules, silent));
    return path.leaf;
  };
  let certified: Certificate | undefined;
  let problem: unknown;
  for (const candidate of [...roots.map((root) => [root, ...bundle]), bundle]) {
    if (certified !== undefined || candidate.length === 0) break;
    try {
      certified = await verifyPath(candidate);
    } catch (error) {
      problem ??= error;
    }
  }
  if (certified === undefined) {
    if (problem !== undefined) throw problem;
    return undefined;
  }
  const { publicKey, subject } = certified;
  const jwk = {
    kty: 'EC',
    crv: 'P-384',
    x: encodeBase64Url(publicKey.subarray(1, 49)),
    y: encodeBase64Url(publicKey.subarray(49)),
  };
  return {
    keyId: subject.text,
    algorithm: 'ES384',
    thumbprint: await calculateJwkThumbprint(jwk),
    key: (await importJWK(jwk, 'ES384')) as CryptoKey,
    subjectHex: encodeHex(subject.encoded),
    subject: subject.text,
  };
}

/** WebCrypto, which jose needs as well. */
const SUBTLE: CryptoProvider = {
  name: 'webcrypto',
  digest: async (algorithm, data) =>
    new Uint8Array(await globalThis.crypto.subtle.digest(algorithm, new Uint8Array(data))),
  async verify(_algorithm, publicKey, message, signature) {
    const { subtle } = globalThis.crypto;
    const curve = { name: 'ECDSA', namedCurve: 'P-384' };
    const key = await subtle.importKey('raw', new Uint8Array(publicKey), curve, false, ['verify']);
    const hash = { name: 'ECDSA', hash: 'SHA-384' };
    return subtle.verify(hash, key, new Uint8Array(signature), new Uint8Array(message));
  },
};
