import type { Report } from './report.js';

/** How trustworthy an attester is found (draft-ietf-rats-ar4si, 2.3.2). */
export type TrustTier = 'none' | 'affirming' | 'warning' | 'contraindicated';

/** The claims of AR4SI that this verifier makes (2.3.4); what it knows nothing of is left out. */
export interface TrustVector {
  readonly 'instance-identity'?: number;
  readonly executables?: number;
  readonly hardware?: number;
  readonly 'runtime-opaque'?: number;
}

/** Values of AR4SI's trustworthiness claims, 2.3.4. */
const AR4SI = {
  trustworthyInstance: 2,
  approvedBoot: 3,
  unrecognizedRuntime: 33,
  contraindicatedRuntime: 96,
  genuineHardware: 2,
  unrecognizedHardware: 97,
  visibleMemory: 96,
  cryptoValidationFailed: 99,
} as const;

const ORDER: readonly TrustTier[] = ['none', 'affirming', 'warning', 'contraindicated'];

/** The tier of a claim's value (2.3.2): 2 to 31 affirming, 32 to 95 warning, 96 and up against. */
export function tierOf(value: number): TrustTier {
  const size = value < 0 ? -value - 1 : value;
  if (size < 2 && value >= -1) return 'none';
  return size < 32 ? 'affirming' : size < 96 ? 'warning' : 'contraindicated';
}

/** The worst tier. */
export function worstTier(tiers: readonly TrustTier[]): TrustTier {
  return tiers.reduce((a, b) => (ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b), 'none');
}

/** What a report says, as trustworthiness claims. A rejected one makes no claim in favour. */
export function trustVector(report: Report): TrustVector {
  const { verdict, code, claims } = report;
  if (verdict === 'rejected') {
    if (code === 'x509.untrusted-anchor') return { hardware: AR4SI.unrecognizedHardware };
    if (code === 'pcr.revoked') return { executables: AR4SI.contraindicatedRuntime };
    if (code === 'pcr.debug-mode') return { 'runtime-opaque': AR4SI.visibleMemory };
    if (code === 'pcr.mismatch' || code === 'pcr.missing')
      return { executables: AR4SI.unrecognizedRuntime };
    if (code?.endsWith('.signature-invalid') && code !== 'manifest.signature-invalid')
      return { 'instance-identity': AR4SI.cryptoValidationFailed };
    return {};
  }
  return {
    'instance-identity': AR4SI.trustworthyInstance,
    hardware: AR4SI.genuineHardware,
    ...(verdict === 'verified' && {
      // With the completeness of the manifest waived, images nobody saw may match it.
      executables:
        report.manifest?.partialAllowed === false ? AR4SI.approvedBoot : AR4SI.unrecognizedRuntime,
    }),
    ...(claims?.debugMode !== false && { 'runtime-opaque': AR4SI.visibleMemory }),
  };
}

/** The status of the whole: affirming only when verified and no claim speaks against it. */
export function statusOf(report: Report, vector: TrustVector): TrustTier {
  if (report.verdict === 'rejected') return 'contraindicated';
  const worst = worstTier(Object.values(vector).map(tierOf));
  return report.verdict === 'verified' || worst !== 'affirming' ? worst : 'none';
}
