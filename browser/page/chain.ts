import type { DescribedCertificate, EvidenceDescription } from '../../src/describe-evidence.js';
import type { CertificateClaims } from '../../src/result/claims.js';
import type { Report, StepState } from '../../src/result/report.js';

/** One link of the chain of trust. */
export interface Link {
  readonly title: string;
  readonly detail: string;
  readonly state: StepState;
  /** How it holds on to the link before it, e.g. `signs`; empty for the first. */
  readonly by: string;
  /** The step that decides about it. */
  readonly step: string;
}

type Certificates = readonly (CertificateClaims | DescribedCertificate)[];

/**
 * The chain of trust from the anchor to the PCRs. A link is `passed` only when its own check
 * passed: behind a broken one everything is `not-run`, whatever it looks like.
 */
export function chainOfTrust(report: Report, described: EvidenceDescription | undefined): Link[] {
  const shown = report.claims ?? described;
  const certificates: Certificates = shown?.certificates ?? [];
  const state = stateOf(report);
  const isAuthentic = state('x509') === 'passed' && state('cose') === 'passed';
  const quoteDetail = (proven: string): string => {
    if (report.claims?.quote !== undefined) return proven;
    if (described !== undefined && described.quote === undefined) return 'no quote in the evidence';
    return 'not proven';
  };
  return [
    ...certificateLinks(report, certificates),
    {
      title: 'Attestation document',
      detail: shown?.moduleId ?? 'not read',
      state: isAuthentic
        ? 'passed'
        : ['evidence', 'cbor', 'document', 'cose'].some((step) => state(step) === 'failed')
          ? 'failed'
          : 'not-run',
      by: 'signs',
      step: ['evidence', 'cbor', 'document'].find((step) => state(step) === 'failed') ?? 'cose',
    },
    {
      title: 'Attestation key',
      detail: quoteDetail('the TPM’s key, in the document'),
      state: report.code === 'bundle.public-key-mismatch' ? 'failed' : quotePart(report, true),
      by: 'carries',
      step: report.step === 'bundle' ? 'bundle' : 'quote',
    },
    {
      title: 'TPM quote',
      detail: quoteDetail('signed by that key'),
      state: quotePart(report, false),
      by: 'signs',
      step: 'quote',
    },
    {
      title: 'Nonce and time',
      detail: nonceDetail(report, shown?.nonce),
      state: report.code === 'bundle.nonce-mismatch' ? 'failed' : state('freshness'),
      by: 'answers',
      step: report.step === 'bundle' ? 'bundle' : 'freshness',
    },
    {
      title: 'PCRs',
      detail: pcrDetail(report),
      state:
        report.code === 'bundle.pcrs-mismatch' || state('manifest') === 'failed'
          ? 'failed'
          : state('pcr'),
      by: 'covers',
      step: report.step === 'bundle' || report.step === 'manifest' ? report.step : 'pcr',
    },
  ];
}

function stateOf(report: Report): (step: string) => StepState {
  return (wanted) => report.steps.find(({ step }) => step === wanted)?.state ?? 'not-run';
}

function certificateLinks(report: Report, certificates: Certificates): Link[] {
  const state = stateOf(report)('x509');
  const broken = state === 'failed' ? brokenCertificate(report, certificates.length) : -1;
  const known = certificates.length > 0;
  const subjects = known
    ? certificates.map((one) => ('subject' in one ? one.subject : one.error))
    : [undefined, undefined, undefined];
  return subjects.map((subject, index) => {
    const isLeaf = index === subjects.length - 1;
    return {
      title: index === 0 ? 'Trust anchor' : isLeaf ? 'Instance certificate' : known ? 'CA' : 'CAs',
      detail: subject === undefined ? 'not read' : commonName(subject),
      state: state !== 'failed' ? state : index === broken ? 'failed' : 'not-run',
      by: index === 0 ? '' : 'signs',
      step: 'x509',
    };
  });
}

/** Which certificate a failure of the path is about; the leaf when nothing says so. */
function brokenCertificate({ code, expected, actual }: Report, count: number): number {
  const [, index] = /\bcabundle\[(\d+)\]/.exec(`${expected} ${actual}`) ?? [];
  if (code === 'x509.untrusted-anchor' || count === 0) return 0;
  return index === undefined ? count - 1 : Math.min(Number(index), count - 1);
}

/** The key, or the quote that it signed: a failure is about one of them. */
function quotePart(report: Report, isKey: boolean): StepState {
  const state = stateOf(report)('quote');
  const failsKey = report.code?.startsWith('quote.ak-') === true;
  return state !== 'failed' || isKey === failsKey ? state : 'not-run';
}

function nonceDetail(report: Report, nonce: string | undefined): string {
  if (report.code?.startsWith('freshness.') === true) return report.code.slice(10);
  const checks = report.steps.find(({ step }) => step === 'freshness')?.checks ?? [];
  if (checks.some((check) => check.startsWith('nonce equals'))) return `answers ${short(nonce)}`;
  return nonce === undefined ? 'no nonce' : `${short(nonce)}, not compared`;
}

function pcrDetail({ appraisal, code, step }: Report): string {
  if (step === 'manifest') return 'the manifest cannot be used';
  if (code === 'bundle.pcrs-mismatch') return 'the bundle shows others';
  if (appraisal === undefined) return code === undefined ? 'no manifest given' : 'not compared';
  const good = appraisal.pcrs.filter(({ matches }) => matches).length;
  return `${good} of ${appraisal.pcrs.length} match “${appraisal.label}”`;
}

function short(hex: string | undefined): string {
  return hex === undefined ? '' : hex.length > 12 ? `${hex.slice(0, 8)}…` : hex;
}

/** The CN of a distinguished name, else all of it. */
export function commonName(subject: string): string {
  return /(?:^|,\s*)CN=([^,]+)/.exec(subject)?.[1] ?? subject;
}
