import { type Bytes, copyBytes, equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../../../common/tool-error.js';
import { TPM_ALG, TPM_CC, TPM_HT, type TPM_RH } from '../constants.js';
import { handleName, objectName } from '../names.js';
import { type PcrSelection, writePcrSelections } from '../pcr-selection.js';
import { hexNumber, readSized, readStructure, written } from '../read-structure.js';
import { PASSWORD_SESSION } from '../session.js';
import type { Authorisation, TpmClient } from '../tpm-client.js';
import { encodePublic, readPublic, type TpmtPublic } from '../tpmt-public.js';
import { readSignature, type TpmtSignature } from '../tpmt-signature.js';

/** A key that is loaded in the TPM. */
export interface LoadedKey {
  readonly handle: number;
  readonly publicArea: TpmtPublic;
  readonly name: Bytes;
}

/** A quote, as the TPM returns it. */
export interface Quote {
  /** TPMS_ATTEST. */
  readonly attest: Bytes;
  readonly signature: TpmtSignature;
}

/** A hierarchy's permanent handle. */
export type Hierarchy = (typeof TPM_RH)['OWNER' | 'ENDORSEMENT' | 'NULL' | 'PLATFORM'];

/** TPM2_CreatePrimary (Part 3, 24.1) with an empty authorisation value for the new key. */
export async function createPrimary(
  client: TpmClient,
  hierarchy: Hierarchy,
  template: TpmtPublic,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<LoadedKey> {
  const { handle, parameters } = await client.execute({
    code: TPM_CC.CreatePrimary,
    handles: [hierarchy],
    names: [handleName(hierarchy)],
    authorisation,
    returnsHandle: true,
    parameters: written((writer) => {
      // TPM2B_SENSITIVE_CREATE: userAuth and data, both empty.
      writer.sized16(written((inner) => inner.sized16(EMPTY).sized16(EMPTY)));
      writer.sized16(encodePublic(template));
      writer.sized16(EMPTY);
      writePcrSelections(writer, []);
    }),
  });
  try {
    checkHandleType(handle, TPM_HT.TRANSIENT);
    const key = readStructure(
      parameters,
      'CreatePrimary response',
      (reader) => {
        const publicArea = readSized(reader, 'outPublic', readPublic);
        reader.sized16('creationData');
        reader.sized16('creationHash', 64);
        reader.u16('creationTicket tag');
        reader.u32('creationTicket hierarchy');
        reader.sized16('creationTicket digest', 64);
        return { publicArea, name: copyBytes(reader.sized16('name', 66)) };
      },
      'tpm.response-malformed',
    );
    checkName(key.publicArea, key.name);
    return { handle, ...key };
  } catch (error) {
    // The key exists, but nobody will know its handle.
    client.markBroken();
    throw error;
  }
}

/** TPM2_ReadPublic (Part 3, 12.4). */
export async function readPublicArea(
  client: TpmClient,
  handle: number,
): Promise<{ publicArea: TpmtPublic; name: Bytes; qualifiedName: Bytes }> {
  const { parameters } = await client.execute({ code: TPM_CC.ReadPublic, handles: [handle] });
  const answer = readStructure(
    parameters,
    'ReadPublic response',
    (reader) => ({
      publicArea: readSized(reader, 'outPublic', readPublic),
      name: copyBytes(reader.sized16('name', 66)),
      qualifiedName: copyBytes(reader.sized16('qualifiedName', 66)),
    }),
    'tpm.response-malformed',
  );
  checkName(answer.publicArea, answer.name);
  return answer;
}

/** TPM2_Quote (Part 3, 18.4) with the scheme of the key. `qualifyingData` is the nonce. */
export async function quote(
  client: TpmClient,
  key: LoadedKey,
  qualifyingData: Uint8Array,
  selections: readonly PcrSelection[],
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<Quote> {
  const { parameters } = await client.execute({
    code: TPM_CC.Quote,
    handles: [key.handle],
    names: [key.name],
    authorisation,
    parameters: written((writer) => {
      writer.sized16(qualifyingData).u16(TPM_ALG.NULL);
      writePcrSelections(writer, selections);
    }),
  });
  return readStructure(
    parameters,
    'Quote response',
    (reader) => ({
      attest: copyBytes(reader.sized16('quoted', 2048)),
      signature: readSignature(reader),
    }),
    'tpm.response-malformed',
  );
}

/** TPM2_FlushContext (Part 3, 28.4): removes a transient object or a session. */
export async function flushContext(client: TpmClient, handle: number): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.FlushContext,
    parameters: written((writer) => writer.u32(handle)),
  });
}

/**
 * TPM2_EvictControl (Part 3, 28.5): keeps a loaded key at a persistent handle, or removes it when
 * the key is given by that handle.
 */
export async function evictControl(
  client: TpmClient,
  hierarchy: Hierarchy,
  key: { readonly handle: number; readonly name: Uint8Array },
  persistentHandle: number,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.EvictControl,
    handles: [hierarchy, key.handle],
    names: [handleName(hierarchy), key.name],
    authorisation,
    parameters: written((writer) => writer.u32(persistentHandle)),
  });
}

const EMPTY = new Uint8Array(0);

function checkName(area: TpmtPublic, name: Uint8Array): void {
  if (!equalBytes(objectName(area), name))
    throw new ToolError('tpm.response-malformed', {
      expected: 'the name to be the hash of the public area',
      actual: 'another one',
    });
}

/** A new handle must be of the kind that the command makes. */
export function checkHandleType(handle: number, type: number): void {
  if (handle >>> 24 !== type)
    throw new ToolError('tpm.response-malformed', {
      expected: `a handle ${hexNumber(type, 2)}xxxxxx`,
      actual: hexNumber(handle, 8),
    });
}
