import { judgeEnvelopeSignature, parseEnvelope, startEnvelopeSignature } from './cose.js';
import type { Engine } from './crypto/engine.js';
import type { Flow } from './crypto/flow.js';
import { explainByEvents } from './event-log-findings.js';
import { type EvidenceInput, parseEvidence } from './evidence.js';
import { checkFreshness } from './freshness.js';
import { appraise } from './manifest/appraise.js';
import { loadManifest } from './manifest/load-manifest.js';
import type { ManifestInput } from './manifest/parse-manifest.js';
import { checkDebugMode } from './nitro/debug-mode.js';
import { parseDocument, trustDocument, type VerifiedDocument } from './nitro/document.js';
import type { ResolvedOptions } from './options.js';
import {
  claimedTimestamp,
  describeClaims,
  describeManifest,
  describeQuote,
} from './proven-claims.js';
import type { ReportBuilder } from './result/report-builder.js';
import { compareSenderClaims } from './sender-claims.js';
import { startQuote, verifyQuote } from './tpm/quote.js';
import { judgePath, judgePathSignatures, startPathSignatures } from './x509/path.js';

/**
 * The main flow: each trust step is one line. An error ends it, and what follows stays "not run".
 * Steps run in the order of what they need, cheap ones first; the signatures start together and are
 * judged one after the other.
 */
export function* verifyEvidence(
  input: EvidenceInput,
  manifestInput: ManifestInput | undefined,
  options: ResolvedOptions,
  engine: Engine,
  report: ReportBuilder,
): Flow<VerifiedDocument> {
  const { anchors, memory, memoryScope, allowPartialManifest, allowDebug } = options;

  // Copies every byte of the evidence, before anything can wait.
  const evidence = yield* report.run('evidence', (note) => parseEvidence(input, note));
  // Reference values are believed because the caller gave them, or knows who signed them.
  const manifest =
    manifestInput === undefined
      ? report.skip('manifest', 'no manifest was given')
      : yield* report.run('manifest', (note) =>
          loadManifest(manifestInput, options.manifestKeys, allowPartialManifest, note, () =>
            options.timeFor(claimedTimestamp(evidence)),
          ),
        );

  // Untrusted from here: bytes that anybody may have written.
  const envelope = yield* report.run('cbor', (note) => parseEnvelope(evidence.document, note));
  const claimed = yield* report.run('document', (note) => parseDocument(envelope.content, note));
  const time = report.judgeAt(options.timeFor(claimed.timestampMs));
  const rules = { anchors, time, memory, memoryScope };
  const path = yield* report.part('x509', (note) =>
    judgePath(claimed.cabundle, claimed.certificate, rules, engine, note),
  );
  const edges = yield* report.part('x509', () => startPathSignatures(path, engine));
  const seal = yield* report.part('cose', () =>
    startEnvelopeSignature(envelope, path.leaf.publicKey, engine),
  );
  const started = yield* report.part('quote', () =>
    startQuote(evidence.quote, claimed.pcrs, engine),
  );
  if (manifest !== undefined)
    report.compareWith(
      yield* describeManifest(manifest, allowPartialManifest, engine, memoryScope),
    );
  const chained = yield* report.run('x509', (note) =>
    judgePathSignatures(path, edges, rules, note),
  );
  const signed = yield* report.run('cose', (note) => judgeEnvelopeSignature(seal, note));

  // Trusted from here: the document. What lies beside it in a bundle still is not.
  const document = trustDocument(claimed, chained, signed);
  report.prove(yield* describeClaims(document, path, engine));
  if (evidence.quote === undefined && !options.requireQuote)
    report.skip('quote', 'the evidence has no TPM quote');
  else {
    const quote = yield* report.run('quote', (note) =>
      verifyQuote(evidence.quote, document, engine, note, started),
    );
    report.prove({ quote: describeQuote(quote) });
  }
  yield* report.run('bundle', (note) => compareSenderClaims(document, evidence.claims, note));
  yield* report.run('freshness', (note) => checkFreshness(document, options.freshness, time, note));
  yield* report.part('pcr', (note) => checkDebugMode(document, allowDebug, note));
  const { findings, explain } = yield* report.part('eventlog', (note) =>
    explainByEvents(evidence.eventLog, document, manifest, engine, note),
  );
  report.explained(evidence.eventLog !== undefined, findings);
  if (manifest === undefined) report.skip('pcr', 'PCRs were not compared: no manifest was given');
  else
    yield* report.run('pcr', (note) =>
      appraise(document, manifest, time, allowPartialManifest, note, explain, report.compared),
    );
  return document;
}
