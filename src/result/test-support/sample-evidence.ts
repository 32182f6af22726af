import { createNitroPki } from '../../../tools/simulator/nitro-pki.js';
import { inspectAttestation } from '../../inspect-attestation.js';
import type { VerifyOptions } from '../../options.js';
import type { Report } from '../report.js';

const pki = await createNitroPki();

/** The image that the sample machine booted. */
export const PCRS: ReadonlyMap<number, Uint8Array> = new Map([
  [4, new Uint8Array(48).fill(0xa4)],
  [7, new Uint8Array(48).fill(0xa7)],
  [12, new Uint8Array(48)],
]);

/** A manifest for it, as text. */
export const MANIFEST: string = JSON.stringify({
  version: 1,
  name: 'payments',
  imageVersion: '7',
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: '7.1', pcrs: { '4': 'a4'.repeat(48), '12': '00'.repeat(48) } }],
});

/** Roots to trust for it. */
export const TRUST_ANCHORS: readonly string[] = [pki.rootPem];

/** A document of the sample machine, made now. */
export async function makeDocument(
  nonce?: Uint8Array,
  pcrs: ReadonlyMap<number, Uint8Array> = PCRS,
  platform: 'nitrotpm' | 'enclave' = 'nitrotpm',
): Promise<Uint8Array> {
  return pki.issueDocument({
    platform,
    moduleId: `i-0123456789abcdef0-${platform === 'nitrotpm' ? 'tpm' : 'enc'}0000000000000000`,
    timestampMs: Date.now(),
    pcrs,
    ...(nonce !== undefined && { nonce }),
  });
}

/** The report of verifying the sample machine's document. */
export async function makeReport(
  options: VerifyOptions & {
    readonly manifest?: string | null;
    readonly document?: Uint8Array;
  } = {},
): Promise<Report> {
  const { manifest = MANIFEST, document, ...rest } = options;
  const nonce = rest.nonce instanceof Uint8Array ? rest.nonce : undefined;
  return inspectAttestation(document ?? (await makeDocument(nonce)), manifest ?? undefined, {
    trustAnchors: TRUST_ANCHORS,
    ...rest,
  });
}
