import { equalBytes } from '../bytes/bytes.js';
import { RecentlyUsed } from '../bytes/recently-used.js';
import type { Certificate } from './certificate.js';

/** A CA certificate that once chained to an anchor: its signature need not be checked again. */
export interface RememberedCertificate {
  readonly id: number;
  readonly certificate: Certificate;
}

const DEFAULT_CAPACITY = 1024;
/** Leaves are of use for three hours, and for one instance. */
const LEAF_CAPACITY = 256;

/**
 * Remembers CA certificates whose signatures led to a trust anchor, so that the CAs that recur in
 * every document are verified once.
 *
 * What is remembered is only "this signature was made by that issuer, who chained to this anchor
 * set". Validity, names and CA rules are judged anew each time, so a verdict can't outlive a
 * certificate; and it is found again only under the same anchors and the same provider. Bounded: the least recently used
 * certificate is forgotten first. Only chains that reached an anchor get in, so nobody else can
 * fill it.
 */
export class ChainMemory {
  readonly #entries: RecentlyUsed<RememberedCertificate>;
  readonly #leaves: RecentlyUsed<Certificate> = new RecentlyUsed(LEAF_CAPACITY);
  #nextId = 1;

  /** `capacity`: how many certificates at most (default 1024, about 2 KB each). */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (!Number.isSafeInteger(capacity) || capacity < 1)
      throw new TypeError('the capacity of a chain memory is a positive whole number');
    this.#entries = new RecentlyUsed(capacity);
  }

  /** How many CA certificates are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#leaves.clear();
  }

  /**
   * The certificate with these bytes below that parent. `scope` is the anchor set's name for the
   * first certificate, the parent's id for the others: ids are never used twice, so what hung under
   * a forgotten parent can't be found again.
   */
  recall(scope: string | number, der: Uint8Array): RememberedCertificate | undefined {
    const found = this.#entries.get(keyOf(scope, der));
    return found !== undefined && equalBytes(found.certificate.der, der) ? found : undefined;
  }

  /** Remembers a certificate whose signature chain reached an anchor of the scope. */
  remember(scope: string | number, certificate: Certificate): RememberedCertificate {
    const entry = { id: this.#nextId++, certificate: detach(certificate) };
    return this.#entries.set(keyOf(scope, certificate.der), entry);
  }

  /** What a leaf of these bytes says; whether anyone signed it must be checked each time. */
  recallLeaf(der: Uint8Array): Certificate | undefined {
    const found = this.#leaves.get(keyOf('', der));
    return found !== undefined && equalBytes(found.der, der) ? found : undefined;
  }

  /** Remembers what a leaf says that had a valid chain, so that it is not parsed again. */
  rememberLeaf(leaf: Certificate): void {
    if (this.recallLeaf(leaf.der) === undefined)
      this.#leaves.set(keyOf('', leaf.der), detach(leaf));
  }
}

/** A certificate ends with its signature, which is as good as random. */
const NAMED_BYTES = 48;

/**
 * A short name for the bytes, to find them by: the bytes themselves are compared afterwards, so a
 * collision (FNV-1a over the end is no cryptographic hash) costs a verification and nothing else.
 */
function keyOf(scope: string | number, der: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (let i = Math.max(0, der.length - NAMED_BYTES); i < der.length; i++)
    hash = Math.imul(hash ^ (der[i] as number), 0x01000193);
  return `${scope} ${hash >>> 0} ${der.length}`;
}

/** Its own copy of every byte: views would keep the whole document of the first sighting alive. */
function detach(certificate: Certificate): Certificate {
  const { issuer, subject, extensions } = certificate;
  return {
    ...certificate,
    der: certificate.der.slice(),
    tbs: certificate.tbs.slice(),
    signature: certificate.signature.slice(),
    publicKey: certificate.publicKey.slice(),
    issuer: { ...issuer, encoded: issuer.encoded.slice() },
    subject: { ...subject, encoded: subject.encoded.slice() },
    extensions: {
      ...extensions,
      subjectKeyId: extensions.subjectKeyId?.slice(),
      authorityKeyId: extensions.authorityKeyId?.slice(),
    },
  };
}
