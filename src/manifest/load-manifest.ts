import { asBytes } from '../bytes/bytes.js';
import { type Flow, wait } from '../crypto/flow.js';
import { AttestationError } from '../result/attestation-error.js';
import type { Note } from '../result/note.js';
import { checkCompleteness, checkPinsSomething } from './completeness.js';
import { decodeText, type ManifestInput, parseManifest } from './parse-manifest.js';
import type { ReferenceManifest } from './reference-manifest.js';
import { isSignedManifest, type ManifestKeys } from './signed-manifest.js';

/**
 * Reads the manifest a caller gave, checks its signature when it has one, and refuses one that does
 * not pin what makes an image. Throws `manifest.*`.
 */
export function* loadManifest(
  input: ManifestInput,
  manifestKeys: ManifestKeys | undefined,
  allowPartialManifest: boolean,
  note: Note,
): Flow<ReferenceManifest> {
  const bytes = asBytes(input);
  const text = bytes === undefined ? (input as string | object) : decodeText(bytes);
  const isSigned = isSignedManifest(text);
  if (isSigned && manifestKeys === undefined) throw new AttestationError('manifest.keys-missing');
  if (!isSigned && manifestKeys !== undefined)
    throw new AttestationError('manifest.signature-required');
  const manifest =
    isSigned && manifestKeys !== undefined
      ? yield* wait(verifySigned(text, manifestKeys))
      : parseManifest(text);
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

/** Copies what the caller may change, then loads what only signed manifests need. */
async function verifySigned(
  input: string | object,
  manifestKeys: ManifestKeys,
): Promise<ReferenceManifest> {
  const copies = structuredClone([input, manifestKeys] as const);
  const { verifySignedManifest } = await import('./verify-signed-manifest.js');
  return verifySignedManifest(...copies);
}
