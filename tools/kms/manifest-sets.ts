import { encodeHex } from 'tee-verify/bytes';
import {
  checkCompleteness,
  type ManifestInput,
  type MeasurementSet,
  parseManifest,
} from 'tee-verify/manifest';
import { ToolError } from '../common/tool-error.js';

/** What attests: an EC2 instance with its NitroTPM, or a Nitro Enclave. */
export type AttestedPlatform = 'nitrotpm' | 'enclave';

/** The sets of a manifest, by what a policy may do with them. */
export interface ManifestSets {
  readonly platform: AttestedPlatform;
  /** Neither revoked nor over; perhaps not begun. */
  readonly accepted: readonly MeasurementSet[];
  readonly revoked: readonly MeasurementSet[];
  readonly expired: readonly MeasurementSet[];
}

/**
 * Reads a manifest for a policy.
 * @throws AttestationError `manifest.*`; ToolError `policy.platform-unclear`
 */
export function readManifestSets(
  manifest: ManifestInput,
  now: Date,
  platform?: AttestedPlatform,
): ManifestSets {
  const parsed = parseManifest(manifest);
  if (platform !== undefined && parsed.platform !== undefined && parsed.platform !== platform)
    throw new ToolError('usage.option-conflict', {
      expected: `--platform ${parsed.platform}, as the manifest says`,
      actual: platform,
    });
  const isOver = ({ notAfterMs }: MeasurementSet): boolean =>
    notAfterMs !== undefined && notAfterMs < now.getTime();
  const valid = parsed.sets.filter(({ revokedReason }) => revokedReason === undefined);
  return {
    platform: parsed.platform ?? platform ?? guessPlatform(parsed.sets),
    accepted: valid.filter((set) => !isOver(set)),
    revoked: parsed.sets.filter(({ revokedReason }) => revokedReason !== undefined),
    expired: valid.filter(isOver),
  };
}

/**
 * AWS's shapes do not name the platform. Enclave tools always write PCR0, which no NitroTPM manifest
 * should pin; NitroTPM tools write PCR7 or PCR12, which no enclave has.
 */
function guessPlatform(sets: readonly MeasurementSet[]): AttestedPlatform {
  const has = (...indices: number[]): boolean =>
    sets.some(({ pcrs }) => indices.some((index) => pcrs.has(index)));
  const [enclave, nitrotpm] = [has(0, 8), has(7, 12)];
  if (enclave === nitrotpm)
    throw new ToolError('policy.platform-unclear', {
      expected: 'PCR7 or PCR12 (NitroTPM), or PCR0 or PCR8 (enclave)',
      actual: enclave ? 'both' : 'none',
    });
  return enclave ? 'enclave' : 'nitrotpm';
}

/** Whether these PCRs of a set pin an image, by the rules of tee-verify. */
export function pinsAnImage(platform: AttestedPlatform, pcrs: MeasurementSet['pcrs']): boolean {
  try {
    checkPins(platform, 'set', pcrs);
    return true;
  } catch {
    return false;
  }
}

/** @throws AttestationError `manifest.incomplete` */
export function checkPins(
  platform: AttestedPlatform,
  label: string,
  pcrs: MeasurementSet['pcrs'],
): void {
  const set: MeasurementSet = {
    label,
    pcrs,
    notBeforeMs: undefined,
    notAfterMs: undefined,
    revokedReason: undefined,
    events: [],
  };
  const unnamed = { name: undefined, imageVersion: undefined, provenance: undefined };
  checkCompleteness({ ...unnamed, platform, sets: [set], trust: { source: 'caller' } }, platform);
}

/** A PCR of a set, as KMS has it: lower-case hex. */
export function pcrHex({ pcrs }: MeasurementSet, index: number): string | undefined {
  const value = pcrs.get(index);
  return value && encodeHex(value);
}

/** Whether two sets differ in no PCR that both pin: one machine may be both. */
export function agrees(one: MeasurementSet, other: MeasurementSet): boolean {
  return [...one.pcrs.keys()].every((index) => {
    const value = pcrHex(other, index);
    return value === undefined || value === pcrHex(one, index);
  });
}

/** Condition keys start with this; IAM does not mind letter case. */
export const ATTESTATION_KEY_PREFIX = 'kms:RecipientAttestation:';

/** The condition key of a PCR. */
export function conditionKey(platform: AttestedPlatform, index: number): string {
  return `${ATTESTATION_KEY_PREFIX}${platform === 'nitrotpm' ? 'NitroTPMPCR' : 'PCR'}${index}`;
}
