import { encodeBase64 } from '../../src/bytes/base64-encode.js';
import { decodeHex } from '../../src/bytes/hex.js';
import type { EvidenceDescription } from '../../src/describe-evidence.js';
import type { Report } from '../../src/result/report.js';
import { commonName } from './chain.js';
import { box, type Child, h, row, time } from './dom.js';

/** What was read out of the evidence for showing it. */
export interface Shown {
  readonly described: EvidenceDescription | undefined;
  /** DER of the certificates, root first. */
  readonly certificates: readonly Uint8Array[];
}

/** Certificates, each in a box with its fields and its PEM. */
export function viewCertificates(report: Report, { described, certificates }: Shown): Child {
  const list = report.claims?.certificates ?? described?.certificates ?? [];
  if (list.length === 0) return h('p', { class: 'muted' }, 'No certificate could be read.');
  return list.map((one, index) => {
    const der = certificates[index];
    const isFailed = 'error' in one;
    return box(
      h(
        'span',
        { class: 'summary-text' },
        h(
          'span',
          { class: 'step-name' },
          isFailed ? `${one.label}: unreadable` : commonName(one.subject),
        ),
        !isFailed && h('span', { class: 'muted' }, validity(one.notBeforeMs, one.notAfterMs)),
      ),
      h(
        'div',
        { class: 'step-body' },
        h(
          'dl',
          { class: 'facts' },
          isFailed
            ? row('Error', one.error)
            : [
                row('Subject', one.subject),
                row('Issuer', one.issuer),
                row('Serial number', h('code', {}, one.serial)),
                row('Valid from', time(one.notBeforeMs)),
                row('Valid until', time(one.notAfterMs)),
              ],
        ),
        der !== undefined && h('pre', { tabindex: 0, 'aria-label': 'PEM' }, pem(der)),
      ),
    );
  });
}

/** Every field of the document, and of the quote, as it is. */
export function viewFields(report: Report, { described }: Shown): Child {
  const { claims, time: judged } = report;
  const shown = claims ?? described;
  if (shown === undefined) return h('p', { class: 'muted' }, 'No field could be read.');
  const quote = claims?.quote;
  const claimed = described?.quote;
  return [
    claims === undefined &&
      h('p', { class: 'warning' }, 'Only what the sender says: nothing of this is proven.'),
    h(
      'dl',
      { class: 'facts' },
      row('Platform', shown.platform === 'nitrotpm' ? 'NitroTPM (EC2 instance)' : 'Nitro Enclave'),
      row('Module ID', shown.moduleId),
      row('EC2 instance', claims?.instanceId),
      row('Made', time(shown.timestampMs)),
      judged !== undefined &&
        row(
          'Judged at',
          `${time(judged.nowMs)} (${{ clock: 'this machine’s clock', given: 'given', document: 'the document’s own time' }[judged.source]})`,
        ),
      row('Cryptography', report.provider),
      bytes('Nonce', shown.nonce),
      bytes('Public key', shown.publicKey),
      bytes('User data', shown.userData),
      claims?.debugMode === true && row('Debug mode', 'on'),
      shown.unknownKeys.length > 0 && row('Unknown fields', shown.unknownKeys.join(', ')),
      quote !== undefined && [
        bytes('Attestation key', quote.attestationKey),
        row('Quoted PCRs', quote.pcrs.join(', ')),
        row('TPM resets', `${quote.resetCount}`),
        row('TPM restarts', `${quote.restartCount}`),
        row('TPM clock', `${quote.clockMs} ms${quote.clockSafe ? '' : ', may have gone back'}`),
        row('TPM firmware', quote.firmwareVersion),
      ],
      quote === undefined &&
        claimed !== undefined &&
        ('error' in claimed
          ? row('Quote', claimed.error)
          : [bytes('Quoted nonce', claimed.nonce), bytes('PCR digest', claimed.pcrDigest)]),
    ),
  ];
}

/** Hex, and the text that it spells, if any. */
function bytes(name: string, hex: string | undefined): Child {
  if (hex === undefined) return row(name, h('span', { class: 'muted' }, 'none'));
  const text = printable(decodeHex(hex));
  return row(name, [
    h('code', {}, hex === '' ? 'empty' : hex),
    text !== undefined && h('span', { class: 'muted' }, ` “${text}”`),
  ]);
}

function printable(data: Uint8Array | undefined): string | undefined {
  if (data === undefined || data.length < 3) return undefined;
  return data.every((byte) => byte >= 0x20 && byte < 0x7f)
    ? String.fromCharCode(...data)
    : undefined;
}

function validity(fromMs: number, toMs: number): string {
  const hours = Math.round((toMs - fromMs) / 3_600_000);
  return hours < 72
    ? `${hours} hours`
    : hours < 8760
      ? `${Math.round(hours / 24)} days`
      : `${Math.round(hours / 8766)} years`;
}

function pem(der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----'].join('\n');
}
