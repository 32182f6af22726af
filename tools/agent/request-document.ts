import { randomBytes, randomInt } from 'node:crypto';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { decodeNsmResponse, encodeNsmRequest, type NsmRequest } from './nsm-message.js';
import { getHandles } from './tpm/commands/capabilities.js';
import {
  nvBufferSize,
  nvDefineSpace,
  nvRead,
  nvUndefineSpace,
  nvWrite,
} from './tpm/commands/nv.js';
import { TPM_ALG, TPM_CC, TPM_HT, TPM_RH, TPMA_NV } from './tpm/constants.js';
import { nvName } from './tpm/names.js';
import { TPM_RC } from './tpm/response-code.js';
import { PASSWORD_SESSION, type TpmSession } from './tpm/session.js';
import type { TpmClient } from './tpm/tpm-client.js';
import { isResponseCode, TpmResponseError } from './tpm/tpm-response-error.js';
import type { NvPublic } from './tpm/tpms-nv-public.js';
import type { TpmResources } from './tpm-resources.js';

/** Size of the NV index that carries request and response (AWS NitroTPM-Tools). */
export const NSM_INDEX_SIZE = 8192;

// NV indices of the owner (TCG Registry of Reserved TPM 2.0 Handles, 2.2.1).
const FIRST_INDEX = 0x01800000;
const LAST_INDEX = 0x01bfffff;
const DEFINE_ATTEMPTS = 4;

/**
 * Asks the Nitro Security Module for an attestation document through the TPM: define an NV index,
 * write the request, run the vendor command, read the response, undefine the index.
 * @throws ToolError `attest.nsm-error`, `attest.nsm-response-malformed`, `tpm.nv-space`, `tpm.*`,
 *   `transport.*`
 */
export async function requestDocument(
  client: TpmClient,
  resources: TpmResources,
  session: TpmSession,
  request: NsmRequest,
): Promise<Bytes> {
  const isPassword = session === PASSWORD_SESSION;
  // In a password session the value would travel in clear; an empty one is what AWS accepts.
  const authValue = isPassword ? new Uint8Array(0) : new Uint8Array(randomBytes(64));
  // A TPM drops trailing zero bytes of a value; without any there is no doubt about its length.
  if (!isPassword && authValue[63] === 0) authValue[63] = 1;
  const chunkSize = await nvBufferSize(client);
  const area = await defineIndex(client, resources, session, authValue);
  let current = area;
  const byIndex = { session, authValue };
  try {
    current = await nvWrite(client, area, encodeNsmRequest(request), chunkSize, {
      ...byIndex,
      encryption: { command: !isPassword },
    });
    await client.execute({
      code: TPM_CC.NSM_REQUEST,
      handles: [area.nvIndex, area.nvIndex],
      names: [nvName(current), nvName(current)],
      authorisation: byIndex,
    });
    return await readAnswer(client, current, chunkSize, {
      ...byIndex,
      encryption: { response: !isPassword },
    });
  } catch (error) {
    if (error instanceof TpmResponseError && isResponseCode(error, TPM_RC.COMMAND_CODE))
      throw new ToolError('attest.not-nitrotpm', {
        expected: 'a TPM with the vendor command 0x20000001',
        actual: 'one that does not know it',
        cause: error,
      });
    throw error;
  } finally {
    // What fails here is done again by the resources' release, over a new connection.
    if (!client.broken) {
      try {
        await nvUndefineSpace(client, TPM_RH.OWNER, current, { session });
        resources.forgetIndex(area);
      } catch {
        // See above.
      }
    }
  }
}

/** Defines an index of 8192 bytes at a free place of the owner's range. */
export async function defineIndex(
  client: TpmClient,
  resources: TpmResources,
  session: TpmSession,
  authValue: Uint8Array,
): Promise<NvPublic> {
  const taken = new Set(await getHandles(client, (TPM_HT.NV_INDEX << 24) >>> 0));
  for (let attempt = 1; ; attempt++) {
    let nvIndex = randomInt(FIRST_INDEX, LAST_INDEX + 1);
    while (taken.has(nvIndex)) nvIndex = nvIndex === LAST_INDEX ? FIRST_INDEX : nvIndex + 1;
    const area: NvPublic = {
      nvIndex,
      nameAlgorithm: TPM_ALG.SHA512,
      attributes: TPMA_NV.AUTHREAD | TPMA_NV.AUTHWRITE,
      authPolicy: new Uint8Array(0),
      dataSize: NSM_INDEX_SIZE,
    };
    resources.addIndex(area);
    try {
      await nvDefineSpace(client, TPM_RH.OWNER, area, authValue, {
        session,
        encryption: { command: session !== PASSWORD_SESSION },
      });
      return area;
    } catch (error) {
      if (!(error instanceof TpmResponseError)) throw error;
      // The TPM refused: no index of ours exists.
      resources.forgetIndex(area);
      if (isResponseCode(error, TPM_RC.NV_DEFINED) && attempt < DEFINE_ATTEMPTS) {
        taken.add(nvIndex);
        continue;
      }
      if (isResponseCode(error, TPM_RC.SIZE) || isResponseCode(error, TPM_RC.NV_SIZE))
        throw new ToolError('tpm.nv-space', {
          expected: `room for an index of ${NSM_INDEX_SIZE} bytes`,
          actual: error.actual ?? 'a smaller limit',
          hint: 'This TPM does not take indices of this size; a NitroTPM does.',
          cause: error,
        });
      throw error;
    }
  }
}

/** Reads no more of the index than the answer fills. */
async function readAnswer(
  client: TpmClient,
  area: NvPublic,
  chunkSize: number,
  authorisation: Parameters<typeof nvRead>[5],
): Promise<Bytes> {
  let bytes: Bytes = new Uint8Array(0);
  while (bytes.length < NSM_INDEX_SIZE) {
    const size = Math.min(chunkSize, NSM_INDEX_SIZE - bytes.length);
    const chunk = await nvRead(client, area, bytes.length, size, chunkSize, authorisation);
    bytes = concatBytes(bytes, chunk);
    const answer = decodeNsmResponse(bytes);
    if (answer === undefined) continue;
    if ('error' in answer) throw new ToolError('attest.nsm-error', { actual: answer.error });
    return answer.document;
  }
  throw new ToolError('attest.nsm-response-malformed', {
    expected: `an answer within ${NSM_INDEX_SIZE} bytes`,
    actual: 'one that goes on',
  });
}
