import { equalBytes } from '../bytes/bytes.js';
import type { ChainCertificate } from './chain-certificate.js';
import { OID_RSA, RSA_SIGNATURE_OIDS, verifyRsa } from './verify-rsa.js';

/** Whether something is so, as far as it can be told from here. */
export type Verdict = 'yes' | 'no' | 'unknown';

const MAX_DEPTH = 8;
/** Real signatures need two or three. */
const MAX_VERIFICATIONS = 256;

/**
 * The certificates behind one signature: its signer's, and those carried beside it, by which a chain
 * may lead to a certificate that stands in db or dbx.
 */
export class SigningChain {
  readonly signer: ChainCertificate;
  readonly #carried: readonly ChainCertificate[];
  #verifications = 0;

  constructor(signer: ChainCertificate, carried: readonly ChainCertificate[]) {
    this.signer = signer;
    this.#carried = carried;
  }

  /**
   * Whether firmware that trusts this one certificate accepts the signer: when it is the signer's
   * own, or issued it, or issued a carried one that leads to it. `unknown` where implementations
   * may differ, or a signature cannot be checked here (only RSA with PKCS #1 v1.5 can).
   *
   * Source: EDK2's Pkcs7Verify (partial chains, no times), OpenSSL's X509_verify_cert.
   */
  endsAt(anchor: ChainCertificate): Promise<Verdict> {
    return this.#endsAt(this.signer, anchor, 0);
  }

  async #endsAt(
    current: ChainCertificate,
    anchor: ChainCertificate,
    depth: number,
  ): Promise<Verdict> {
    if (equalBytes(current.der, anchor.der)) return 'yes';
    if (depth === MAX_DEPTH || this.#verifications > MAX_VERIFICATIONS) return 'unknown';
    const direct = await this.#issued(anchor, current);
    // Another certificate of a root's own name and key: whether that counts is a matter of version.
    if (current.issuer === current.subject) return direct === 'no' ? 'no' : 'unknown';
    if (direct !== 'no') return direct;
    const verdicts: Verdict[] = [];
    for (const parent of this.#carried) {
      if (equalBytes(parent.der, current.der)) continue;
      const step = await this.#issued(parent, current);
      if (step === 'no') continue;
      const rest = await this.#endsAt(parent, anchor, depth + 1);
      verdicts.push(rest === 'yes' ? step : rest);
    }
    if (verdicts.every((verdict) => verdict === 'no')) return 'no';
    // Of several issuers firmware follows one, and does not come back for the others.
    return verdicts.length === 1 ? (verdicts[0] as Verdict) : 'unknown';
  }

  async #issued(issuer: ChainCertificate, subject: ChainCertificate): Promise<Verdict> {
    if (issuer.subject !== subject.issuer) return 'no';
    const hash = RSA_SIGNATURE_OIDS[subject.signatureOid];
    if (++this.#verifications > MAX_VERIFICATIONS || hash === undefined) return 'unknown';
    if (issuer.keyOid !== OID_RSA) return 'no';
    const { publicKey } = issuer;
    const valid = await verifyRsa(hash, publicKey, subject.tbs, subject.signature);
    if (valid !== true) return valid === false ? 'no' : 'unknown';
    const namesAnotherKey =
      subject.authorityKeyId !== '' &&
      issuer.subjectKeyId !== '' &&
      subject.authorityKeyId !== issuer.subjectKeyId;
    return issuer.isAuthority && !namesAnotherKey ? 'yes' : 'unknown';
  }
}
