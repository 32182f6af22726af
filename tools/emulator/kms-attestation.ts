import { createPublicKey } from 'node:crypto';
import { inspectAttestation } from 'tee-verify';
import { decodeHex } from 'tee-verify/bytes';

/** How the emulator judges attestation documents. */
export interface AttestationRules {
  /** DER of the roots that are trusted, e.g. the simulator's; none: AWS's own. */
  readonly trustAnchors: readonly Uint8Array[];
  readonly now: Date;
  /** How old a document may be. */
  readonly maxAgeSeconds: number;
}

/** What a document gives: condition keys, and the key to wrap for; or why it is refused. */
export type JudgedAttestation =
  | { readonly keys: ReadonlyMap<string, string>; readonly publicKey: Uint8Array }
  | { readonly refusal: string };

/** Verifies a document with tee-verify and makes the condition keys of KMS from its PCRs. */
export async function judgeAttestation(
  document: Uint8Array,
  { trustAnchors, now, maxAgeSeconds }: AttestationRules,
): Promise<JudgedAttestation> {
  const report = await inspectAttestation(document, undefined, {
    ...(trustAnchors.length > 0 && { trustAnchors }),
    now,
    maxAgeSeconds,
    // Documents of debug mode are valid; their zero PCRs match no sensible policy.
    allowDebug: true,
  });
  const { claims } = report;
  if (report.verdict !== 'unappraised' || claims === undefined)
    return { refusal: report.message ?? 'it does not verify' };
  const publicKey = decodeHex(claims.publicKey ?? '') ?? new Uint8Array(0);
  const problem = rsaProblem(publicKey);
  if (problem !== undefined) return { refusal: problem };
  const prefix = 'kms:recipientattestation:';
  const name = claims.platform === 'nitrotpm' ? 'nitrotpmpcr' : 'pcr';
  const keys = new Map(
    Object.entries(claims.pcrs).map(([index, value]) => [`${prefix}${name}${index}`, value]),
  );
  const image = keys.get(`${prefix}pcr0`);
  if (image !== undefined) keys.set(`${prefix}imagesha384`, image);
  return { keys, publicKey };
}

function rsaProblem(spki: Uint8Array): string | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (key.asymmetricKeyType === 'rsa' && bits >= 2048) return undefined;
    return 'public_key is no RSA key of 2048 bits or more';
  } catch {
    return 'public_key is no SubjectPublicKeyInfo';
  }
}
