import { encodeHex } from './bytes/hex.js';
import { parseEnvelope } from './cose.js';
import { type EvidenceInput, parseEvidence, type UnverifiedEvidence } from './evidence.js';
import { parseDocument } from './nitro/document.js';
import { AttestationError } from './result/attestation-error.js';
import { parseQuote } from './tpm/attest.js';
import { parseCertificate } from './x509/certificate.js';

/** One certificate as the evidence shows it, or why it can't be read. */
export type DescribedCertificate =
  | {
      readonly label: string;
      readonly subject: string;
      readonly issuer: string;
      readonly serial: string;
      readonly notBeforeMs: number;
      readonly notAfterMs: number;
    }
  | { readonly label: string; readonly error: string };

/** What evidence says of itself. Nothing of it is proven: anybody can write such a thing. */
export interface EvidenceDescription {
  readonly verified: false;
  readonly form: UnverifiedEvidence['form'];
  readonly platform: 'nitrotpm' | 'enclave';
  readonly moduleId: string;
  /** Milliseconds since the epoch. */
  readonly timestampMs: number;
  /** Hex by index. */
  readonly pcrs: Readonly<Record<string, string>>;
  readonly publicKey?: string;
  readonly userData?: string;
  readonly nonce?: string;
  readonly unknownKeys: readonly string[];
  readonly certificates: readonly DescribedCertificate[];
  readonly quote?:
    | { readonly nonce: string; readonly pcrDigest: string; readonly attestationKey: string }
    | { readonly error: string };
  readonly eventLogBytes?: number;
}

/**
 * Reads evidence without verifying anything, for looking at it. Throws `evidence.*`, `cbor.*`,
 * `cose.*` and `document.*` when it can't be read.
 */
export function describeEvidence(input: EvidenceInput): EvidenceDescription {
  const silent = (): void => undefined;
  const evidence = parseEvidence(input, silent);
  const document = parseDocument(parseEnvelope(evidence.document, silent).content, silent);
  const { platform, moduleId, timestampMs, publicKey, userData, nonce } = document;
  const { quote, eventLog } = evidence;
  return {
    verified: false,
    form: evidence.form,
    platform,
    moduleId,
    timestampMs,
    pcrs: Object.fromEntries([...document.pcrs].map(([index, value]) => [index, encodeHex(value)])),
    ...(publicKey !== undefined && { publicKey: encodeHex(publicKey) }),
    ...(userData !== undefined && { userData: encodeHex(userData) }),
    ...(nonce !== undefined && { nonce: encodeHex(nonce) }),
    unknownKeys: document.unknownKeys,
    certificates: [
      ...document.cabundle.map((der, index) => describeCertificate(der, `cabundle[${index}]`)),
      describeCertificate(document.certificate, 'certificate'),
    ],
    ...(quote !== undefined && {
      quote: orError(() => {
        const { extraData, pcrDigest } = parseQuote(quote.attest);
        return {
          nonce: encodeHex(extraData),
          pcrDigest: encodeHex(pcrDigest),
          attestationKey: encodeHex(quote.ak),
        };
      }),
    }),
    ...(eventLog !== undefined && { eventLogBytes: eventLog.length }),
  };
}

function describeCertificate(der: Uint8Array, label: string): DescribedCertificate {
  const described = orError(() => {
    const { subject, issuer, serialHex, notBeforeMs, notAfterMs } = parseCertificate(der, label);
    return {
      subject: subject.text,
      issuer: issuer.text,
      serial: serialHex,
      notBeforeMs,
      notAfterMs,
    };
  });
  return { label, ...described };
}

/** What can't be read is described too: the rest of the evidence may still be of interest. */
function orError<T>(read: () => T): T | { readonly error: string } {
  try {
    return read();
  } catch (error) {
    if (error instanceof AttestationError) return { error: error.message };
    throw error;
  }
}
