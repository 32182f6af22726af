import { decodeBase64 } from '../bytes/base64.js';
import { encodeBase64Url } from '../bytes/base64-encode.js';
import { reject } from '../result/attestation-error.js';
import type { Signer } from '../result/signer.js';
import { parseJws } from './parse-jws.js';
import { decodeText, type ManifestInput, parseManifest } from './parse-manifest.js';
import { compactJws, type FlattenedJws, signJws } from './sign-jws.js';
import { isSignedManifest, MAX_SIGNATURES } from './signed-manifest.js';
import { MANIFEST_TYP } from './verify-signed-manifest.js';

/** What a signer says about the manifest besides signing it. */
export interface SignManifestOptions {
  /** Grows with every manifest of an image, so that an old one can be refused (`minVersion`). */
  readonly version?: number;
  /** From when and until when the signature counts. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** `json` (general form) takes further signatures; default `compact`. */
  readonly form?: 'compact' | 'json';
}

/**
 * Signs a manifest, or adds a signature to a signed one, which is then in the JSON form. The
 * payload is the manifest's bytes exactly as given. Throws `manifest.*` when the manifest cannot be
 * read, `manifest.signature-invalid` for a signed one that cannot be taken apart. The signatures
 * that are already there are not verified.
 */
export async function signManifest(
  manifest: ManifestInput,
  signer: Signer,
  options: SignManifestOptions = {},
): Promise<string> {
  const text = manifest instanceof Uint8Array ? decodeText(manifest) : manifest;
  const header = headerOf(options);
  if (isSignedManifest(text)) {
    const { payload, signatures } = parseJws(text);
    const bytes = decodeBase64(payload);
    if (bytes === undefined || encodeBase64Url(bytes) !== payload)
      reject('manifest.signature-invalid', 'a payload in base64url', 'something else');
    parseManifest(bytes);
    if (signatures.length >= MAX_SIGNATURES)
      reject('manifest.signature-invalid', `at most ${MAX_SIGNATURES} signatures`, 'one more');
    return json(payload, [...signatures, await signJws(payload, header, signer)]);
  }
  const bytes = manifestBytes(manifest);
  parseManifest(bytes);
  const signed = await signJws(encodeBase64Url(bytes), header, signer);
  return options.form === 'json' ? json(signed.payload, [signed]) : compactJws(signed);
}

/** The bytes that make a manifest: as given, or the JSON of an object. */
export function manifestBytes(manifest: ManifestInput): Uint8Array {
  if (manifest instanceof Uint8Array) return manifest.slice();
  return new TextEncoder().encode(
    typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
  );
}

function json(
  payload: string,
  signatures: readonly Pick<FlattenedJws, 'protected' | 'signature'>[],
): string {
  const text = JSON.stringify({
    payload,
    signatures: signatures.map(({ protected: header, signature }) => ({
      protected: header,
      signature,
    })),
  });
  // What nobody can read must not be found out by those who verify.
  parseJws(text);
  return text;
}

/** What limits the signature is critical (RFC 7515, 4.1.11): who does not know it must refuse. */
function headerOf({ version, notBefore, notAfter }: SignManifestOptions): Record<string, unknown> {
  if (version !== undefined && (!Number.isSafeInteger(version) || version < 0))
    throw new TypeError('version must be a whole number, 0 or more');
  const limits = {
    ...(notBefore !== undefined && { nbf: seconds('notBefore', notBefore) }),
    ...(notAfter !== undefined && { exp: seconds('notAfter', notAfter) }),
    ...(version !== undefined && { manifest_version: version }),
  };
  if (notBefore !== undefined && notAfter !== undefined && !(notBefore < notAfter))
    throw new TypeError('notBefore must lie before notAfter');
  const names = Object.keys(limits);
  return { typ: MANIFEST_TYP, ...limits, ...(names.length > 0 && { crit: names }) };
}

function seconds(name: string, date: Date): number {
  const value = Math.floor(date.getTime() / 1000);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`${name} must be a valid Date`);
  return value;
}
