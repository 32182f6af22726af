import { equalBytes } from '../bytes/bytes.js';
import type { HashAlgorithm } from '../crypto/provider.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { certificateSubject } from './certificate-subject.js';
import { type ChainCertificate, readChainCertificate } from './chain-certificate.js';
import type { CreateHasher } from './hasher.js';
import { notPredictable } from './initrd-pieces.js';
import type { PeSignature } from './pe-signature.js';
import type { SecureBootState } from './secure-boot.js';
import type { SignatureEntry, SignatureType } from './signature-list.js';
import { SigningChain, type Verdict } from './signing-chain.js';
import { HASH_OIDS, OID_RSA, RSA_SIGNATURE_OIDS, verifyRsa } from './verify-rsa.js';

const MALFORMED = MEASUREMENT_CODES['pe.signature-malformed'];
const MISMATCH = MEASUREMENT_CODES['pe.signature-mismatch'];
/** Entries that are the hash of an image. */
export const IMAGE_HASHES: ReadonlyMap<SignatureType, HashAlgorithm> = new Map([
  ['sha1', 'SHA-1'],
  ['sha256', 'SHA-256'],
  ['sha384', 'SHA-384'],
  ['sha512', 'SHA-512'],
]);
/** Entries that are the hash of a certificate's TBSCertificate, and a time (UEFI 2.10, 32.4.1). */
const CERTIFICATE_HASHES: Partial<Record<SignatureType, HashAlgorithm>> = {
  'x509-sha256': 'SHA-256',
  'x509-sha384': 'SHA-384',
  'x509-sha512': 'SHA-512',
};

/** Which hash algorithm a signature uses for its image. Throws `uki.not-predictable`. */
export function signatureHash({ digestOid }: PeSignature): HashAlgorithm {
  return HASH_OIDS[digestOid] ?? notPredictable(`a signature uses the hash algorithm ${digestOid}`);
}

/**
 * The db entry that lets firmware load an image: for the first signature that db allows, the first
 * entry, in db's order, that is the signer's certificate or one that leads to it. EDK2 tries each
 * entry alone as the root of trust (DxeImageVerificationLib, IsAllowedByDb), so an issuer counts
 * that the signature does not carry, and a certificate does not that it carries for nothing.
 *
 * Throws `uki.signer-not-in-db`, `uki.revoked-by-dbx`, `pe.signature-malformed`,
 * `pe.signature-mismatch`, and `uki.not-predictable` where it cannot be told from here.
 */
export async function findAuthority(
  { dbEntries, dbxEntries }: SecureBootState,
  signatures: readonly PeSignature[],
  imageName: string,
  createHasher: CreateHasher,
): Promise<SignatureEntry> {
  const chains: SigningChain[] = [];
  for (const signature of signatures) {
    const carried = signature.certificates.map((der) => readChainCertificate(der, MALFORMED));
    checkRevokedHashes(dbxEntries, carried, imageName, createHasher);
    const chain = new SigningChain(findSigner(signature, carried), carried);
    await checkSignature(signature, chain.signer, signatures.length, imageName, createHasher);
    const revoked = await firstThatEnds(chain, dbxEntries, `${imageName} and dbx`);
    if (revoked !== undefined)
      throw new AttestationError(MEASUREMENT_CODES['uki.revoked-by-dbx'], {
        actual: `${imageName}: ${certificateSubject(revoked.data) ?? 'a certificate'}`,
      });
    chains.push(chain);
  }
  for (const [i, chain] of chains.entries()) {
    const entry = await firstThatEnds(chain, dbEntries, `${imageName} and db`);
    if (entry !== undefined) return entry;
    // Before the next signature, firmware looks for the image's hash in db.
    if (i + 1 < chains.length && dbEntries.some(({ type }) => IMAGE_HASHES.has(type)))
      notPredictable(`db may allow ${imageName} by its hash before its next signature`);
  }
  const names = (all: readonly Uint8Array[]): string =>
    all.map((der) => certificateSubject(der) ?? 'a certificate without a name').join(', ') ||
    'none';
  reject(
    MEASUREMENT_CODES['uki.signer-not-in-db'],
    `${imageName} signed by one of db: ${names(
      dbEntries.filter(({ type }) => type === 'x509').map(({ data }) => data),
    )}`,
    names(chains.map(({ signer }) => signer.der)),
  );
}

function findSigner(
  { issuer, serial }: PeSignature,
  carried: readonly ChainCertificate[],
): ChainCertificate {
  const signer = carried.find((one) => one.issuer === issuer && one.serial === serial);
  if (signer === undefined)
    reject(
      MALFORMED,
      'the signer\u2019s certificate among those carried',
      `none with serial ${serial}`,
    );
  return signer;
}

/** The signature itself; that its digest is the image's, the caller checks. */
async function checkSignature(
  signature: PeSignature,
  signer: ChainCertificate,
  signatureCount: number,
  imageName: string,
  createHasher: CreateHasher,
): Promise<void> {
  const hash = signatureHash(signature);
  const hasher = createHasher(hash);
  hasher.update(signature.signedContent);
  const { encryptionOid, signedBytes } = signature;
  const isRsa = encryptionOid === OID_RSA || RSA_SIGNATURE_OIDS[encryptionOid] === hash;
  const valid = equalBytes(hasher.digest(), signature.messageDigest)
    ? isRsa && signer.keyOid === OID_RSA
      ? await verifyRsa(hash, signer.publicKey, signedBytes, signature.signature)
      : undefined
    : false;
  if (valid === false)
    reject(
      MISMATCH,
      `${imageName}: a signature by ${certificateSubject(signer.der) ?? 'its signer'}`,
      'another one',
    );
  // A signature that is not valid makes firmware try the next one.
  if (valid === undefined && signatureCount > 1)
    notPredictable(`one of several signatures of ${imageName} cannot be checked (not RSA)`);
}

/** The first entry, in their order, at which the signer's chain ends. */
async function firstThatEnds(
  chain: SigningChain,
  entries: readonly SignatureEntry[],
  what: string,
): Promise<SignatureEntry | undefined> {
  for (const entry of entries) {
    if (entry.type !== 'x509') continue;
    const verdict = await endsAt(chain, entry.data);
    if (verdict === 'yes') return entry;
    if (verdict === 'unknown')
      notPredictable(
        `${what}: whether ${certificateSubject(entry.data) ?? 'a certificate'} leads to the signer cannot be told`,
      );
  }
  return undefined;
}

async function endsAt(chain: SigningChain, der: Uint8Array): Promise<Verdict> {
  if (equalBytes(chain.signer.der, der)) return 'yes';
  let anchor: ChainCertificate;
  try {
    anchor = readChainCertificate(der, MALFORMED);
  } catch (error) {
    // Firmware may read certificates that this strict reader does not.
    if (error instanceof AttestationError) return 'unknown';
    throw error;
  }
  return chain.endsAt(anchor);
}

/** A certificate may be forbidden from a time on, which signatures made before survive. */
function checkRevokedHashes(
  dbxEntries: readonly SignatureEntry[],
  carried: readonly ChainCertificate[],
  imageName: string,
  createHasher: CreateHasher,
): void {
  for (const algorithm of new Set(dbxEntries.map(({ type }) => CERTIFICATE_HASHES[type]))) {
    if (algorithm === undefined) continue;
    for (const { tbs } of carried) {
      const hasher = createHasher(algorithm);
      hasher.update(tbs);
      const digest = hasher.digest();
      const named = dbxEntries.some(
        ({ type, data }) =>
          CERTIFICATE_HASHES[type] === algorithm &&
          equalBytes(data.subarray(0, digest.length), digest),
      );
      if (named) notPredictable(`dbx names a certificate of ${imageName} by its hash`);
    }
  }
}
