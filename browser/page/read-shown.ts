import { parseEnvelope } from '../../src/cose.js';
import { describeEvidence, type EvidenceDescription } from '../../src/describe-evidence.js';
import { type EvidenceInput, parseEvidence } from '../../src/evidence.js';
import { parseDocument } from '../../src/nitro/document.js';
import { AttestationError } from '../../src/result/attestation-error.js';
import type { Shown } from './view-details.js';

/** Reads what can be shown of evidence, verified or not. Never throws for bad evidence. */
export function readShown(evidence: EvidenceInput): Shown {
  const silent = (): void => undefined;
  const described = orNothing((): EvidenceDescription => describeEvidence(evidence));
  const document = orNothing(() =>
    parseDocument(parseEnvelope(parseEvidence(evidence, silent).document, silent).content, silent),
  );
  return {
    described,
    certificates: document === undefined ? [] : [...document.cabundle, document.certificate],
  };
}

function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AttestationError) return undefined;
    throw error;
  }
}
