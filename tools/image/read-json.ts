import { AttestationError } from 'tee-verify';
import { readSmallFile } from '../common/file-source.js';
import { isObject, type JsonObject } from '../common/json-object.js';

const MAX_JSON_BYTES = 8 * 1024 * 1024;

/** Reads a JSON file that must hold an object. Throws `file.*` codes and `manifest.malformed`. */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const text = new TextDecoder().decode(await readSmallFile(path, MAX_JSON_BYTES));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(path, 'JSON', 'something else', cause);
  }
  if (!isObject(value)) throw malformed(path, 'a JSON object', typeof value);
  return value;
}

/** The error for a JSON file of the wrong form. */
export function malformed(
  path: string,
  expected: string,
  actual: string,
  cause?: unknown,
): AttestationError {
  return new AttestationError('manifest.malformed', {
    expected: `${path}: ${expected}`,
    actual,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** PCR values by index from an object with keys `4` or `PCR4`; lower-case hex of one length. */
export function readPcrs(path: string, object: JsonObject): Map<number, string> {
  const pcrs = new Map<number, string>();
  let digits: number | undefined;
  for (const [key, value] of Object.entries(object)) {
    const pcr = /^(?:PCR)?(\d{1,2})$/.exec(key)?.[1];
    if (pcr === undefined) continue; // e.g. HashAlgorithm
    const isHex = typeof value === 'string' && /^(?:[0-9a-fA-F]{2})+$/.test(value);
    digits ??= isHex ? value.length : undefined;
    if (!isHex || value.length !== digits || pcrs.has(Number(pcr)))
      throw malformed(path, `PCR${pcr} once, as hex of one length`, JSON.stringify(value));
    pcrs.set(Number(pcr), value.toLowerCase());
  }
  if (pcrs.size === 0) throw malformed(path, 'PCR values', 'none');
  return pcrs;
}
