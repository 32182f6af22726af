import { asBytes, type Bytes, copyBytes } from '../bytes/bytes.js';
import { RecentlyUsed } from '../bytes/recently-used.js';
import { type Flow, wait } from '../crypto/flow.js';
import { AttestationError } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import type { VerificationTime } from '../result/verification-time.js';
import { checkCompleteness, checkPinsSomething } from './completeness.js';
import { decodeText, type ManifestInput, parseManifest, toObject } from './parse-manifest.js';
import type { ReferenceManifest } from './reference-manifest.js';
import { copyJws, isCompactJws, isSignedManifest, type ManifestKeys } from './signed-manifest.js';
import type { SignedManifest } from './verify-signed-manifest.js';

/**
 * Reads the manifest a caller gave, checks its signature when it has one, and refuses one that does
 * not pin what makes an image. Throws `manifest.*`.
 */
export function* loadManifest(
  input: ManifestInput,
  manifestKeys: ManifestKeys | undefined,
  allowPartialManifest: boolean,
  note: Note,
  time?: () => VerificationTime,
): Flow<LoadedManifest> {
  const bytes = asBytes(input);
  const text = bytes === undefined ? (input as string | object) : decodeText(bytes);
  if (manifestKeys !== undefined && !isSignedManifest(text))
    throw new AttestationError('manifest.signature-required');
  const manifest =
    manifestKeys === undefined
      ? readUnsigned(text, bytes)
      : withBytes(yield* wait(verifySigned(text, manifestKeys, time?.())));
  note(`${manifest.sets.length} measurement set${manifest.sets.length === 1 ? '' : 's'}`);
  note(
    manifest.trust.source === 'signature'
      ? `signed by ${manifest.trust.keyIds.join(', ')}`
      : 'trusted as given by the caller (not signed)',
  );
  checkPinsSomething(manifest);
  if (allowPartialManifest) note('completeness waived by the caller');
  else {
    checkCompleteness(manifest, manifest.platform);
    note('pins what makes an image');
  }
  return manifest;
}

/** A manifest and the bytes it was read from. */
export interface LoadedManifest extends ReferenceManifest {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes in hex, by the provider that made it. */
  readonly hashes: RecentlyUsed<string>;
}

function withBytes({ manifest, payload }: SignedManifest): LoadedManifest {
  return { ...manifest, bytes: payload, hashes: new RecentlyUsed(4) };
}

/**
 * Texts that were read before: the same one comes with every call. Texts can't change, and what is
 * kept of them is copied before it gets into a report.
 */
const knownTexts = new RecentlyUsed<LoadedManifest>(16);
const MAX_KNOWN_CHARACTERS = 131_072;

function readUnsigned(text: string | object, bytes: Uint8Array | undefined): LoadedManifest {
  if (bytes !== undefined || typeof text !== 'string' || text.length > MAX_KNOWN_CHARACTERS)
    return parseUnsigned(text, bytes ?? text);
  return knownTexts.get(text) ?? knownTexts.set(text, parseUnsigned(text, text));
}

function parseUnsigned(text: string | object, given: Uint8Array | string | object): LoadedManifest {
  if (isSignedManifest(text)) throw new AttestationError('manifest.keys-missing');
  return withBytes({ manifest: parseManifest(text), payload: bytesOf(given) });
}

/** The bytes as given, of text in UTF-8, of an object its JSON. */
function bytesOf(input: Uint8Array | string | object): Bytes {
  if (input instanceof Uint8Array) return copyBytes(input);
  try {
    return new TextEncoder().encode(typeof input === 'string' ? input : JSON.stringify(input));
  } catch (cause) {
    // Fields that nobody reads ($schema) can be nested without end.
    throw new AttestationError('manifest.malformed', {
      expected: 'an object of JSON data',
      actual: 'one that has no JSON',
      cause,
    });
  }
}

/** Copies what the caller may change, then loads what only signed manifests need. */
async function verifySigned(
  input: string | object,
  manifestKeys: ManifestKeys,
  time: VerificationTime | undefined,
): Promise<SignedManifest> {
  const jws = typeof input === 'string' && isCompactJws(input) ? input : copyJws(toObject(input));
  const keys = structuredClone(manifestKeys);
  const { demandPlainRules, verifySignedManifest } = await import('./verify-signed-manifest.js');
  // Before a copy that has lost a rule is believed.
  demandPlainRules(manifestKeys);
  return verifySignedManifest(jws, keys, time);
}
