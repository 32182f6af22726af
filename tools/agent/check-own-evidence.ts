import { decode } from 'cbor-x/decode-no-eval';
import { inspectAttestation } from 'tee-verify';
import { ToolError } from '../common/tool-error.js';
import type { AttestationBundle } from './bundle.js';

/** What was asked for, to compare with what came. */
export interface OwnEvidence {
  /** The bundle, or the bare document. */
  readonly evidence: AttestationBundle | Uint8Array;
  readonly document: Uint8Array;
  readonly nonce: Uint8Array;
}

/**
 * Checks that the evidence holds together before it leaves this machine: the document's signature
 * and chain, the nonce, and for a bundle the quote and its PCRs. The document's own root is taken
 * for granted here: whether it is AWS's is the relying party's question.
 * @throws ToolError `attest.evidence-inconsistent`; `attest.pcrs-changing` when PCRs changed
 *   between quote and document
 */
export async function checkOwnEvidence({ evidence, document, nonce }: OwnEvidence): Promise<void> {
  const report = await inspectAttestation(evidence, undefined, {
    nonce,
    now: 'document',
    trustAnchors: [ownRoot(document)],
    chainMemory: false,
  });
  if (report.verdict === 'unappraised') return;
  const details = {
    expected: report.expected ?? 'evidence that verifies',
    actual: `${report.code}: ${report.actual ?? report.message ?? 'it does not'}`,
  };
  if (report.code === 'quote.pcr-digest-mismatch' || report.code === 'bundle.pcrs-mismatch')
    throw new ToolError('attest.pcrs-changing', details);
  throw new ToolError('attest.evidence-inconsistent', details);
}

/** The first certificate of the document's bundle. */
function ownRoot(document: Uint8Array): Uint8Array {
  try {
    const envelope: unknown = decode(document);
    const payload: unknown = Array.isArray(envelope) ? decode(envelope[2]) : undefined;
    const { cabundle } = payload as { cabundle?: unknown };
    const root: unknown = Array.isArray(cabundle) ? cabundle[0] : undefined;
    if (root instanceof Uint8Array && root.length > 0) return new Uint8Array(root);
  } catch {
    // Said below.
  }
  throw new ToolError('attest.nsm-response-malformed', {
    expected: 'a COSE_Sign1 document with certificates',
    actual: `${document.length} bytes that are none`,
  });
}
