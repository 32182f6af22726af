import { type Bytes, concatBytes, copyBytes, equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../../../common/tool-error.js';
import { TPM_CC, TPM_PT, TPMA_NV } from '../constants.js';
import { handleName, nvName } from '../names.js';
import { readSized, readStructure, refuse, written } from '../read-structure.js';
import { PASSWORD_SESSION } from '../session.js';
import type { Authorisation, TpmClient } from '../tpm-client.js';
import { encodeNvPublic, type NvPublic, readNvPublic } from '../tpms-nv-public.js';
import { getProperty } from './capabilities.js';
import type { Hierarchy } from './keys.js';

/** TPM2_NV_DefineSpace (Part 3, 31.3). `authValue` becomes the index's own. */
export async function nvDefineSpace(
  client: TpmClient,
  hierarchy: Hierarchy,
  area: NvPublic,
  authValue: Uint8Array,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.NV_DefineSpace,
    handles: [hierarchy],
    names: [handleName(hierarchy)],
    authorisation,
    parameters: written((writer) => writer.sized16(authValue).sized16(encodeNvPublic(area))),
  });
}

/** TPM2_NV_UndefineSpace (Part 3, 31.4). */
export async function nvUndefineSpace(
  client: TpmClient,
  hierarchy: Hierarchy,
  area: NvPublic,
  authorisation: Authorisation = { session: PASSWORD_SESSION },
): Promise<void> {
  await client.executeSilently({
    code: TPM_CC.NV_UndefineSpace,
    handles: [hierarchy, area.nvIndex],
    names: [handleName(hierarchy), nvName(area)],
    authorisation,
  });
}

/** TPM2_NV_ReadPublic (Part 3, 31.6). */
export async function nvReadPublic(
  client: TpmClient,
  nvIndex: number,
): Promise<{ area: NvPublic; name: Bytes }> {
  const { parameters } = await client.execute({ code: TPM_CC.NV_ReadPublic, handles: [nvIndex] });
  const answer = readStructure(
    parameters,
    'NV_ReadPublic response',
    (reader) => ({
      area: readSized(reader, 'nvPublic', readNvPublic),
      name: copyBytes(reader.sized16('nvName', 66)),
    }),
    'tpm.response-malformed',
  );
  if (!equalBytes(nvName(answer.area), answer.name))
    throw new ToolError('tpm.response-malformed', {
      expected: 'the name to be the hash of the public area',
      actual: 'another one',
    });
  return answer;
}

/** The most bytes that one NV_Write or NV_Read carries (TPM2_PT_NV_BUFFER_MAX). */
export async function nvBufferSize(client: TpmClient): Promise<number> {
  const size = await getProperty(client, TPM_PT.NV_BUFFER_MAX);
  // Every TPM takes 512; more than 2048 would not leave room for the rest of a message.
  return Math.min(2048, size === undefined || size === 0 ? 512 : size);
}

/**
 * TPM2_NV_Write (Part 3, 31.7) from the beginning, in chunks, authorised by the index itself.
 * Gives the public area as it is afterwards: the first write changes the index's name.
 */
export async function nvWrite(
  client: TpmClient,
  area: NvPublic,
  data: Uint8Array,
  chunkSize: number,
  authorisation: Authorisation,
): Promise<NvPublic> {
  let current = area;
  for (let offset = 0; offset < data.length; offset += chunkSize) {
    const chunk = data.subarray(offset, offset + chunkSize);
    await client.executeSilently({
      code: TPM_CC.NV_Write,
      handles: [area.nvIndex, area.nvIndex],
      names: [nvName(current), nvName(current)],
      authorisation,
      parameters: written((writer) => writer.sized16(chunk).u16(offset)),
    });
    current = { ...area, attributes: (area.attributes | TPMA_NV.WRITTEN) >>> 0 };
  }
  return current;
}

/** TPM2_NV_Read (Part 3, 31.13) of `size` bytes from `offset` on, in chunks. */
export async function nvRead(
  client: TpmClient,
  area: NvPublic,
  offset: number,
  size: number,
  chunkSize: number,
  authorisation: Authorisation,
): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  for (let at = offset; at < offset + size; at += chunkSize) {
    const length = Math.min(chunkSize, offset + size - at);
    const { parameters } = await client.execute({
      code: TPM_CC.NV_Read,
      handles: [area.nvIndex, area.nvIndex],
      names: [nvName(area), nvName(area)],
      authorisation,
      parameters: written((writer) => writer.u16(length).u16(at)),
    });
    chunks.push(
      readStructure(
        parameters,
        'NV_Read response',
        (reader) => {
          const data = copyBytes(reader.sized16('data'));
          if (data.length !== length) refuse(reader, 'data', `${length} bytes`, `${data.length}`);
          return data;
        },
        'tpm.response-malformed',
      ),
    );
  }
  return concatBytes(...chunks);
}
