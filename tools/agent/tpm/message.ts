import { type Bytes, ByteWriter } from 'tee-verify/bytes';
import { TPM_ST, TPMA_SESSION } from './constants.js';
import { hexNumber, readStructure, refuse } from './read-structure.js';

/** One entry of a command's authorisation area (TPMS_AUTH_COMMAND, Part 2, 10.13.2). */
export interface CommandAuth {
  readonly sessionHandle: number;
  readonly nonce: Uint8Array;
  /** Bits of `TPMA_SESSION`. */
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

/** One entry of a response's authorisation area (TPMS_AUTH_RESPONSE, Part 2, 10.13.3). */
export interface ResponseAuth {
  readonly nonce: Uint8Array;
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

/** The parts of a response. */
export interface TpmResponse {
  readonly responseCode: number;
  /** Only of commands that return a handle. */
  readonly handle: number | undefined;
  readonly parameters: Uint8Array;
  readonly auths: readonly ResponseAuth[];
}

/** Builds a command: header, handles, authorisation area, parameters (Part 1, 18). */
export function encodeCommand(
  code: number,
  handles: readonly number[],
  auths: readonly CommandAuth[],
  parameters: Uint8Array,
): Bytes {
  const body = new ByteWriter();
  for (const handle of handles) body.u32(handle);
  if (auths.length > 0) {
    const area = new ByteWriter();
    for (const { sessionHandle, nonce, attributes, hmac } of auths)
      area.u32(sessionHandle).sized16(nonce).u8(attributes).sized16(hmac);
    body.u32(area.length).bytes(area.finish());
  }
  body.bytes(parameters);
  return new ByteWriter()
    .u16(auths.length > 0 ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS)
    .u32(body.length + 10)
    .u32(code)
    .bytes(body.finish())
    .finish();
}

/**
 * Takes a response apart. `authCount` is how many sessions the command had.
 * @throws ToolError `tpm.response-malformed`
 */
export function decodeResponse(
  bytes: Uint8Array,
  { hasHandle, authCount }: { hasHandle: boolean; authCount: number },
): TpmResponse {
  return readStructure(
    bytes,
    'response',
    (reader) => {
      const tag = reader.u16('tag');
      const size = reader.u32('size');
      const responseCode = reader.u32('response code');
      if (size !== bytes.length) refuse(reader, 'size', `${bytes.length}`, `${size}`);
      if (responseCode !== 0) {
        // TPM 1.2 and a TPM 2.0 that does not know the tag answer with RSP_COMMAND.
        if (tag !== TPM_ST.NO_SESSIONS && tag !== TPM_ST.RSP_COMMAND)
          refuse(reader, 'tag of an error', '0x8001', hexNumber(tag));
        return { responseCode, handle: undefined, parameters: new Uint8Array(0), auths: [] };
      }
      const expectedTag = authCount > 0 ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS;
      if (tag !== expectedTag) refuse(reader, 'tag', hexNumber(expectedTag), hexNumber(tag));
      const handle = hasHandle ? reader.u32('handle') : undefined;
      if (authCount === 0)
        return {
          responseCode,
          handle,
          parameters: reader.take(reader.left, 'parameters'),
          auths: [],
        };
      const parameters = reader.take(reader.u32('parameterSize'), 'parameters');
      const auths = Array.from({ length: authCount }, () => ({
        nonce: reader.sized16('nonceTPM', 64),
        attributes: readAttributes(reader.u8('session attributes')),
        hmac: reader.sized16('hmac', 64),
      }));
      return { responseCode, handle, parameters, auths };
    },
    'tpm.response-malformed',
  );
}

/** Bits 3 and 4 are reserved and mean nothing. */
function readAttributes(bits: number): number {
  return (
    bits &
    (TPMA_SESSION.continueSession |
      TPMA_SESSION.auditExclusive |
      TPMA_SESSION.auditReset |
      TPMA_SESSION.decrypt |
      TPMA_SESSION.encrypt |
      TPMA_SESSION.audit)
  );
}
