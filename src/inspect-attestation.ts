import { runFlow } from './crypto/flow.js';
import type { EvidenceInput } from './evidence.js';
import { judge } from './judge.js';
import type { ManifestInput } from './manifest/parse-manifest.js';
import { resolveOptions, type VerifyOptions } from './options.js';
import type { Report } from './result/report.js';

/**
 * Runs the same checks as `verifyAttestation` and resolves with the report whatever they find: for
 * audits, command lines and pages. Look at `report.verdict`: only `verified` is a yes.
 *
 * Without a manifest the best verdict is `unappraised`: authentic, but nothing is known about the
 * image. Rejects only for programming errors (TypeError).
 */
export async function inspectAttestation(
  evidence: EvidenceInput,
  manifest?: ManifestInput,
  options: VerifyOptions = {},
): Promise<Report> {
  const resolved = resolveOptions(options);
  return (await runFlow(judge(evidence, manifest, resolved))).report;
}
