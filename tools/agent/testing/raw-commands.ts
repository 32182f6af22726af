import type { LoadedKey } from '../tpm/commands/keys.js';
import { TPM_ALG, TPM_CC, TPM_RH, TPM_ST } from '../tpm/constants.js';
import { readStructure, written } from '../tpm/read-structure.js';
import { PASSWORD_SESSION } from '../tpm/session.js';
import type { TpmClient } from '../tpm/tpm-client.js';
import { readSignature, type TpmtSignature } from '../tpm/tpmt-signature.js';

/** A TPMT_TK_HASHCHECK. */
export interface HashTicket {
  readonly hierarchy: number;
  readonly digest: Uint8Array;
}

/** The ticket of nobody. */
export const NULL_TICKET: HashTicket = { hierarchy: TPM_RH.NULL, digest: new Uint8Array(0) };

/** TPM2_Hash with SHA-256: what the agent itself never needs, but a forger would. */
export async function hashInTpm(
  client: TpmClient,
  data: Uint8Array,
): Promise<{ digest: Uint8Array; ticket: HashTicket }> {
  const { parameters } = await client.execute({
    code: TPM_CC.Hash,
    parameters: written((writer) =>
      writer.sized16(data).u16(TPM_ALG.SHA256).u32(TPM_RH.ENDORSEMENT),
    ),
  });
  return readStructure(parameters, 'Hash response', (reader) => {
    const digest = reader.sized16('outHash').slice();
    reader.u16('tag');
    return {
      digest,
      ticket: { hierarchy: reader.u32('hierarchy'), digest: reader.sized16('digest').slice() },
    };
  });
}

/** TPM2_Sign with the key's own scheme. */
export async function signInTpm(
  client: TpmClient,
  key: LoadedKey,
  digest: Uint8Array,
  ticket: HashTicket,
): Promise<TpmtSignature> {
  const { parameters } = await client.execute({
    code: TPM_CC.Sign,
    handles: [key.handle],
    names: [key.name],
    authorisation: { session: PASSWORD_SESSION },
    parameters: written((writer) =>
      writer
        .sized16(digest)
        .u16(TPM_ALG.NULL)
        .u16(TPM_ST.HASHCHECK)
        .u32(ticket.hierarchy)
        .sized16(ticket.digest),
    ),
  });
  return readStructure(parameters, 'Sign response', readSignature);
}
