import { reject } from '../result/attestation-error.js';
import { toObject } from './parse-manifest.js';
import { isCompactJws, MAX_SIGNATURES } from './signed-manifest.js';

/** One signature of a JWS; nothing of it is checked. */
export interface JwsSignature {
  /** Protected header, base64url. */
  readonly protected: string;
  readonly signature: string;
}

/** A JWS of any form, taken apart. Unprotected headers are left behind: nobody signed them. */
export interface ParsedJws {
  /** base64url. */
  readonly payload: string;
  readonly signatures: readonly JwsSignature[];
}

const MAX_TEXT_CHARACTERS = 2_097_152;

/**
 * Takes a JWS apart (RFC 7515, 7.1 and 7.2). At most 16 signatures, 2 MiB. Throws
 * `manifest.signature-invalid`, and `manifest.malformed` for text that is no JSON.
 */
export function parseJws(input: string | object): ParsedJws {
  if (typeof input === 'string' && isCompactJws(input)) {
    if (input.length > MAX_TEXT_CHARACTERS)
      refuse(`at most ${MAX_TEXT_CHARACTERS} characters`, `${input.length}`);
    const [header, payload, signature] = input.trim().split('.') as [string, string, string];
    return { payload, signatures: [{ protected: header, signature }] };
  }
  const json = toObject(input);
  const { payload } = json;
  if (typeof payload !== 'string') return refuse('payload as text', typeof payload);
  if (Object.hasOwn(json, 'signatures') && Object.hasOwn(json, 'signature'))
    return refuse('signature or signatures', 'both');
  const list: unknown = Object.hasOwn(json, 'signatures') ? json.signatures : [json];
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_SIGNATURES)
    return refuse(`1 to ${MAX_SIGNATURES} signatures`, 'something else');
  return { payload, signatures: list.map(readSignature) };
}

function readSignature(value: unknown): JwsSignature {
  const { protected: header, signature } = (value ?? {}) as Record<string, unknown>;
  if (typeof header !== 'string' || typeof signature !== 'string')
    return refuse('signatures with protected and signature as text', 'something else');
  return { protected: header, signature };
}

function refuse(expected: string, actual: string): never {
  reject('manifest.signature-invalid', expected, actual);
}
