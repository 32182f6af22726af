import type { Claims, PcrComparison, Report, StepResult } from '../../src/index.js';
import { flagsIn } from './flags.js';
import { printable, type Style } from './style.js';

/** What each step decides, for people. */
const TITLES: Readonly<Record<string, string>> = {
  evidence: 'Evidence recognized',
  manifest: 'Reference manifest',
  cbor: 'CBOR strict',
  document: 'Document well-formed',
  x509: 'Certificates chain to an anchor',
  cose: 'Document signed by its leaf',
  quote: 'TPM quote',
  bundle: 'Bundle agrees with what was signed',
  freshness: 'Freshness',
  eventlog: 'Event log replayed (it explains, it decides nothing)',
  pcr: 'PCRs match the manifest',
  crypto: 'Cryptography',
};

const MARKS = { passed: '✓', failed: '✗', 'not-run': '·' } as const;

/** Prints the chain of trust, the PCRs, what is proven, and one closing line with the verdict. */
export function printReport(
  report: Report,
  out: { write(text: string): unknown },
  style: Style,
): void {
  const line = (text = ''): void => {
    out.write(`${text}\n`);
  };
  for (const step of report.steps) {
    line(stepLine(step, style));
    for (const check of step.checks) line(style.dim(`      ${printable(check)}`));
    if (step.step === 'x509' && step.state === 'passed' && report.claims)
      printChain(report.claims, line, style);
    if (step.step === 'pcr' && report.appraisal) {
      for (const pcr of report.appraisal.pcrs) printPcr(pcr, line, style);
      for (const sentence of report.appraisal.explanation) line(`      ${printable(sentence)}`);
    }
  }
  line();
  if (report.claims) printClaims(report.claims, report, line);
  if (report.time?.source === 'document')
    line('Judged at the document\u2019s own timestamp: its age was not judged.');
  if (report.time?.source === 'given') line(`Judged at ${iso(report.time.nowMs)}, as given.`);
  for (const sentence of report.proven) line(`${style.good('proven')}      ${printable(sentence)}`);
  for (const sentence of report.notProven)
    line(`${style.dim('not proven')}  ${printable(sentence)}`);
  line();
  line(verdictLine(report, style));
}

/** The closing line: VERIFIED, or REJECTED with code and hint. */
export function verdictLine(report: Report, style: Style): string {
  if (report.verdict === 'verified')
    return `${style.bold(style.good('VERIFIED'))} ${printable(report.claims?.moduleId ?? '')} booted ${printable(JSON.stringify(report.appraisal?.label ?? ''))}`;
  if (report.verdict === 'unappraised')
    return `${style.bold(style.warn('UNAPPRAISED'))} authentic, but not compared with any manifest`;
  const details = [printable(report.message ?? ''), printable(flagsIn(report.hint ?? ''))];
  return `${style.bold(style.bad('REJECTED'))} ${details.join(' — ')}`;
}

function stepLine(step: StepResult, style: Style): string {
  const colour =
    step.state === 'passed' ? style.good : step.state === 'failed' ? style.bad : style.dim;
  const note = step.note !== undefined ? ` (${printable(step.note)})` : '';
  const suffix = step.state === 'failed' ? `: failed, ${step.code ?? ''}` : '';
  const title = TITLES[step.step] ?? step.step;
  return `${colour(MARKS[step.state])} ${step.step.padEnd(10)} ${step.state === 'not-run' ? style.dim(`${title}: not run${note}`) : `${title}${style.bad(suffix)}`}`;
}

function printChain(claims: Claims, line: (text: string) => void, style: Style): void {
  const last = claims.certificates.length - 1;
  claims.certificates.forEach((certificate, index) => {
    const role = index === 0 ? 'anchor' : index === last ? 'leaf' : 'CA';
    line(
      `      ${'  '.repeat(index)}${index === 0 ? '' : '└ '}${role} ${printable(certificate.subject)} ${style.dim(`${iso(certificate.notBeforeMs)} … ${iso(certificate.notAfterMs)}`)}`,
    );
  });
}

function printPcr(pcr: PcrComparison, line: (text: string) => void, style: Style): void {
  const name = `PCR${pcr.index}`.padEnd(6);
  if (pcr.matches) {
    line(`      ${style.good('=')} ${name} ${pcr.expected.slice(0, 16)}…  ${pcr.meaning}`);
    return;
  }
  line(`      ${style.bad('≠')} ${name} ${pcr.meaning}`);
  line(`          expected ${pcr.expected}`);
  line(`          actual   ${pcr.actual ?? 'not in the document'}`);
}

function printClaims(claims: Claims, report: Report, line: (text: string) => void): void {
  const platform = claims.platform === 'nitrotpm' ? 'EC2 instance (NitroTPM)' : 'Nitro Enclave';
  line(`${platform} ${printable(claims.moduleId)}, ${iso(claims.timestampMs)}`);
  const field = (name: string, value: string | undefined): void => {
    if (value !== undefined)
      line(
        `  ${name} ${value.length > 130 ? `${value.slice(0, 128)}… (${value.length / 2} bytes)` : value || '(empty)'}`,
      );
  };
  field('nonce     ', claims.nonce);
  field('user data ', claims.userData);
  field('public key', claims.publicKey);
  if (claims.parentInstance !== undefined)
    field('parent    ', `${claims.instanceId ?? 'not named'}, PCR4 ${claims.parentInstance}`);
  line(`  provider   ${printable(report.provider)}`);
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
