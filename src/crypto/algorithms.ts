import type { HashAlgorithm, SignatureAlgorithm } from './provider.js';

/** What the verifier knows of one signature algorithm. */
export interface AlgorithmFacts {
  readonly algorithm: SignatureAlgorithm;
  readonly curve: 'P-256' | 'P-384';
  readonly hash: HashAlgorithm;
  /** Bytes of a coordinate, of r and of s. */
  readonly coordinateBytes: number;
  /** COSE algorithm number (RFC 9053, 2.1). */
  readonly cose: number;
  /** Named-curve OID, DER contents octets (RFC 5480, 2.1.1.1). */
  readonly curveOid: string;
  /** ecdsa-with-SHA2 OID, DER contents octets (RFC 5758, 3.2). */
  readonly signatureOid: string;
}

/** The one algorithm table. OIDs are the hex of their DER contents. */
export const ALGORITHMS: Readonly<Record<SignatureAlgorithm, AlgorithmFacts>> = {
  ES256: {
    algorithm: 'ES256',
    curve: 'P-256',
    hash: 'SHA-256',
    coordinateBytes: 32,
    cose: -7,
    curveOid: '2a8648ce3d030107',
    signatureOid: '2a8648ce3d040302',
  },
  ES384: {
    algorithm: 'ES384',
    curve: 'P-384',
    hash: 'SHA-384',
    coordinateBytes: 48,
    cose: -35,
    curveOid: '2b81040022',
    signatureOid: '2a8648ce3d040303',
  },
};
