import { equalBytes } from '../bytes/bytes.js';
import { encodeHex, hexByte } from '../bytes/hex.js';
import type { Engine } from '../crypto/engine.js';
import { type Flow, type MaybePromise, wait } from '../crypto/flow.js';
import { AttestationError, reject } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import type { VerificationTime } from '../result/verification-time.js';
import { grantProof, type Proof } from '../trust.js';
import { type Certificate, parseCertificate } from './certificate.js';
import type { ChainMemory } from './chain-memory.js';
import { KEY_USAGE } from './extensions.js';
import { equalNames } from './name.js';
import { isTrustAnchor, type TrustAnchors } from './trust-anchors.js';

/** Real chains have five certificates; the cap leaves room and bounds the work. */
const MAX_CERTIFICATES = 10;

/** A path that obeys every rule but whose signatures have not been checked. */
export interface UnverifiedPath {
  /** Anchor first, leaf last. */
  readonly certificates: readonly Certificate[];
  readonly leaf: Certificate;
  /** Memory ids of the leading certificates that are remembered. */
  readonly remembered: readonly number[];
}

/** What a path is judged by. */
export interface PathRules {
  readonly anchors: TrustAnchors;
  readonly time: VerificationTime;
  readonly memory: ChainMemory | undefined;
  /** Under which chains are remembered: the provider's identity; the anchors' is added here. */
  readonly memoryScope: string;
}

/**
 * Judges everything about the path but its signatures (RFC 5280, 6.1, for this profile): anchor,
 * order, names, key identifiers, validity, CA rules, path length, key usage, critical extensions.
 * `bundle` is root first; `leaf` comes last. Throws `x509.*`.
 */
export function* judgePath(
  bundle: readonly Uint8Array[],
  leaf: Uint8Array,
  rules: PathRules,
  engine: Engine,
  note: Note,
): Flow<UnverifiedPath> {
  const { anchors, time } = rules;
  const remembered: number[] = [];
  const certificates = readCertificates(bundle, leaf, rules, remembered);
  const root = certificates[0] as Certificate;
  // Nothing below is trusted by its name or its place: only by these bytes.
  if (remembered.length === 0 && !(yield* isTrustAnchor(root.der, anchors, engine)))
    reject(
      'x509.untrusted-anchor',
      'cabundle[0] to be one of the trust anchors',
      root.subject.text,
    );
  note(`anchor: ${root.subject.text}`);

  certificates.forEach((certificate, index) => {
    const issuer = certificates[index - 1];
    if (issuer !== undefined) {
      checkNames(issuer, certificate);
      checkKeyIdentifiers(issuer, certificate);
    }
    checkCriticalExtensions(certificate);
    if (index < certificates.length - 1)
      checkAuthority(certificate, certificates.length - 2 - index);
    else checkLeaf(certificate);
    checkValidity(certificate, time);
  });
  note('order, names and key identifiers');
  note('critical extensions');
  note('CA flags, path lengths and key usage');
  note(
    `validity of all ${certificates.length} certificates at ${new Date(time.nowMs).toISOString()}`,
  );
  return { certificates, leaf: certificates.at(-1) as Certificate, remembered };
}

/** Starts the check of every signature that is not remembered: all of them at once. */
export function startPathSignatures(path: UnverifiedPath, engine: Engine): MaybePromise<boolean>[] {
  const first = Math.max(1, path.remembered.length);
  return path.certificates.slice(first).map((certificate, index) => {
    const issuer = path.certificates[first + index - 1] as Certificate;
    return engine.verify('ES384', issuer.publicKey, certificate.tbs, certificate.signature);
  });
}

/** Judges the signatures that `startPathSignatures` started, then remembers the CAs. */
export function* judgePathSignatures(
  path: UnverifiedPath,
  started: readonly MaybePromise<boolean>[],
  { anchors, memory, memoryScope }: PathRules,
  note: Note,
): Flow<Proof<'x509'>> {
  const first = path.certificates.length - started.length;
  for (const [index, pending] of started.entries()) {
    const certificate = path.certificates[first + index] as Certificate;
    if (!(yield* wait(pending)))
      reject(
        'x509.signature-invalid',
        `${certificate.label} signed by ${path.certificates[first + index - 1]?.subject.text}`,
        `${certificate.subject.text}, with a signature that does not verify`,
      );
  }
  if (memory !== undefined) rememberPath(path, memoryScope + anchors.id, memory);
  const known = Math.max(0, first - 1);
  note(`${started.length} certificate signatures${known > 0 ? `, ${known} more remembered` : ''}`);
  return grantProof('x509');
}

function readCertificates(
  bundle: readonly Uint8Array[],
  leaf: Uint8Array,
  { anchors, memory, memoryScope }: PathRules,
  remembered: number[],
): Certificate[] {
  if (bundle.length + 1 > MAX_CERTIFICATES)
    reject('x509.chain-length', `at most ${MAX_CERTIFICATES} certificates`, `${bundle.length + 1}`);
  const certificates = bundle.map((der, index) => {
    const label = `cabundle[${index}]`;
    const scope = index === 0 ? memoryScope + anchors.id : remembered[index - 1];
    const known = scope === undefined ? undefined : memory?.recall(scope, der);
    if (known === undefined) return parseCertificate(der, label);
    remembered.push(known.id);
    return known.certificate;
  });
  certificates.push(memory?.recallLeaf(leaf) ?? parseCertificate(leaf, 'certificate'));
  for (const certificate of certificates)
    if (certificates.find(({ der }) => equalBytes(der, certificate.der)) !== certificate)
      reject(
        'x509.chain-length',
        'every certificate once',
        `${certificate.label} twice: ${certificate.subject.text}`,
      );
  return certificates;
}

function rememberPath(path: UnverifiedPath, root: string, memory: ChainMemory): void {
  let scope: string | number = path.remembered.at(-1) ?? root;
  for (const certificate of path.certificates.slice(path.remembered.length, -1))
    scope = memory.remember(scope, certificate).id;
  memory.rememberLeaf(path.leaf);
}

/** RFC 5280, 6.1.3 (a)(4). */
function checkNames(issuer: Certificate, certificate: Certificate): void {
  if (!equalNames(issuer.subject, certificate.issuer))
    reject(
      'x509.name-mismatch',
      `${certificate.label} issued by ${issuer.subject.text}`,
      certificate.issuer.text,
    );
}

/** RFC 5280, 4.2.1.1: when both identifiers are there they are equal. */
function checkKeyIdentifiers(issuer: Certificate, certificate: Certificate): void {
  const expected = issuer.extensions.subjectKeyId;
  const actual = certificate.extensions.authorityKeyId;
  if (expected !== undefined && actual !== undefined && !equalBytes(expected, actual))
    reject(
      'x509.key-identifier-mismatch',
      `${certificate.label} authorityKeyIdentifier ${encodeHex(expected)}`,
      encodeHex(actual),
    );
}

/** RFC 5280, 6.1.4 (o) and 6.1.5 (f). */
function checkCriticalExtensions(certificate: Certificate): void {
  const [unknown] = certificate.extensions.unknownCritical;
  if (unknown !== undefined)
    reject(
      'x509.extension-unknown-critical',
      `${certificate.label}: only basicConstraints, keyUsage and key identifiers critical`,
      `OID ${unknown}`,
    );
}

/** RFC 5280, 6.1.4 (k) to (n), for a certificate that `below` CA certificates follow. */
function checkAuthority(certificate: Certificate, below: number): void {
  const { basicConstraints, keyUsage } = certificate.extensions;
  if (!basicConstraints?.ca || !basicConstraints.critical)
    reject(
      'x509.basic-constraints',
      `${certificate.label}: critical basicConstraints with CA=true`,
      basicConstraints === undefined ? 'none' : basicConstraints.ca ? 'not critical' : 'CA=false',
    );
  if (basicConstraints.pathLength !== undefined && below > basicConstraints.pathLength)
    reject(
      'x509.path-length-exceeded',
      `at most ${basicConstraints.pathLength} CA certificates below ${certificate.label}`,
      `${below}`,
    );
  if (keyUsage === undefined || (keyUsage & KEY_USAGE.keyCertSign) === 0)
    reject('x509.key-usage', `${certificate.label}: keyCertSign`, describeUsage(keyUsage));
}

function checkLeaf(certificate: Certificate): void {
  const { basicConstraints, keyUsage } = certificate.extensions;
  if (basicConstraints?.ca || basicConstraints?.pathLength !== undefined)
    reject(
      'x509.leaf-is-ca',
      `${certificate.label}: no CA flag and no path length`,
      basicConstraints.ca ? 'CA=true' : `pathLenConstraint ${basicConstraints.pathLength}`,
    );
  if (keyUsage === undefined || (keyUsage & KEY_USAGE.digitalSignature) === 0)
    reject('x509.key-usage', `${certificate.label}: digitalSignature`, describeUsage(keyUsage));
}

/** RFC 5280, 6.1.3 (a)(2); both ends belong to the window. */
function checkValidity(certificate: Certificate, time: VerificationTime): void {
  const { notBeforeMs, notAfterMs, label } = certificate;
  const toleranceMs = time.clockToleranceSeconds * 1000;
  const early = notBeforeMs - time.nowMs;
  const late = time.nowMs - notAfterMs;
  if (early <= toleranceMs && late <= toleranceMs) return;
  const documentInside = time.documentMs >= notBeforeMs && time.documentMs <= notAfterMs;
  const hint =
    documentInside && time.source !== 'document'
      ? 'The document’s own timestamp lies in the window: this clock is wrong, or it is stored evidence (pass `now`).'
      : undefined;
  throw new AttestationError(early > 0 ? 'x509.not-yet-valid' : 'x509.expired', {
    expected: `${label} (${certificate.subject.text}) valid ${iso(notBeforeMs)} to ${iso(notAfterMs)}, tolerance ${time.clockToleranceSeconds} s`,
    actual: `${iso(time.nowMs)} (${time.source}), ${duration(Math.max(early, late))} ${early > 0 ? 'too early' : 'too late'}`,
    ...(hint !== undefined && { hint }),
  });
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function describeUsage(keyUsage: number | undefined): string {
  return keyUsage === undefined ? 'no keyUsage' : `keyUsage ${hexByte(keyUsage)}`;
}
