import { AttestationError } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';

/**
 * What an image says of itself: ImageName, ImageVersion, BuildMetadata, DockerInfo,
 * CustomMetadata. Covered by the CRC, but by no PCR: never decide anything by it.
 */
export type EifMetadata = Readonly<Record<string, unknown>>;

/** Real metadata nests four or five levels deep. */
const MAX_DEPTH = 32;

/** Reads a metadata section. Throws `eif.metadata-malformed`. */
export function parseEifMetadata(section: Uint8Array): EifMetadata {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(section);
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed('JSON', 'something else', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('a JSON object', Array.isArray(value) ? 'an array' : typeof value);
  if (isDeeper(value, MAX_DEPTH)) throw malformed(`at most ${MAX_DEPTH} levels`, 'more');
  return value as EifMetadata;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

function malformed(expected: string, actual: string, cause?: unknown): AttestationError {
  return new AttestationError(MEASUREMENT_CODES['eif.metadata-malformed'], {
    expected: `metadata as ${expected}`,
    actual,
    ...(cause !== undefined && { cause }),
  });
}
