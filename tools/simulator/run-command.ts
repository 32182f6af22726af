import { ByteReader, type Bytes, ByteWriter } from 'tee-verify/bytes';
import { TPM_CC, TPM_ST } from '../agent/tpm/constants.js';
import type { CommandAuth } from '../agent/tpm/message.js';
import { TPM_RC } from '../agent/tpm/response-code.js';
import { authorise, readAuthArea } from './authorisation.js';
import type { SimulatedCommand } from './command-context.js';
import { GENERAL_COMMANDS } from './commands/general-commands.js';
import { getCapability } from './commands/get-capability.js';
import { KEY_COMMANDS } from './commands/key-commands.js';
import { NV_COMMANDS } from './commands/nv-commands.js';
import { PCR_COMMANDS } from './commands/pcr-commands.js';
import { SESSION_COMMANDS } from './commands/session-commands.js';
import { SIGNING_COMMANDS } from './commands/signing-commands.js';
import { ParameterReader } from './parameter-reader.js';
import type { SimulatedNsm } from './simulated-nsm.js';
import { fail, TpmFailure } from './tpm-failure.js';
import type { TpmState } from './tpm-state.js';

const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;

/** Every command of the simulated TPM. */
const COMMANDS: readonly SimulatedCommand[] = [
  ...GENERAL_COMMANDS,
  ...PCR_COMMANDS,
  ...KEY_COMMANDS,
  ...SIGNING_COMMANDS,
  ...SESSION_COMMANDS,
  ...NV_COMMANDS,
  getCapability(() => COMMANDS),
];
const BY_CODE: ReadonlyMap<number, SimulatedCommand> = new Map(
  COMMANDS.map((command) => [command.code, command]),
);

/** Runs one command of the simulated TPM: bytes in, bytes out, whatever the bytes are. */
export async function runCommand(
  state: TpmState,
  nsm: SimulatedNsm,
  bytes: Uint8Array,
  locality: number,
): Promise<Bytes> {
  try {
    return await run(state, nsm, bytes, locality);
  } catch (error) {
    if (error instanceof TpmFailure) return errorResponse(error.responseCode);
    throw error;
  }
}

/** A response that is nothing but a code. */
export function errorResponse(responseCode: number): Bytes {
  return response(TPM_ST.NO_SESSIONS, responseCode, new Uint8Array(0));
}

async function run(
  state: TpmState,
  nsm: SimulatedNsm,
  bytes: Uint8Array,
  locality: number,
): Promise<Bytes> {
  if (bytes.length < 10) fail(TPM_RC.COMMAND_SIZE);
  const header = new ByteReader(bytes.subarray(0, 10), 'header', CODES);
  const tag = header.u16('tag');
  const size = header.u32('size');
  const code = header.u32('code');
  if (tag !== TPM_ST.NO_SESSIONS && tag !== TPM_ST.SESSIONS) fail(TPM_RC.BAD_TAG);
  if (size !== bytes.length) fail(TPM_RC.COMMAND_SIZE);
  if (!state.started && code !== TPM_CC.Startup) fail(TPM_RC.INITIALIZE);
  const command = BY_CODE.get(code) ?? fail(TPM_RC.COMMAND_CODE);
  const handlesEnd = 10 + 4 * command.handles;
  if (bytes.length < handlesEnd) fail(TPM_RC.INSUFFICIENT + 0x100);
  const handleReader = new ByteReader(bytes.subarray(10, handlesEnd), 'handles', CODES);
  const handles = Array.from({ length: command.handles }, () => handleReader.u32('handle'));
  // A handle of something that is not there is reported before anything else.
  handles.forEach((handle, i) => {
    state.nameOf(handle, i + 1);
  });
  const { auths, parameters } = splitAuths(bytes.subarray(handlesEnd), tag);
  if (auths.length < command.authorised) fail(TPM_RC.AUTH_MISSING);
  if (auths.length > 0 && code === TPM_CC.FlushContext) fail(TPM_RC.AUTH_CONTEXT);
  const session =
    auths.length === 0
      ? undefined
      : authorise(state, { code, handles, authorised: command.authorised, auths, parameters });
  const answer = await command.run({
    state,
    nsm,
    handles,
    parameters: new ParameterReader(session?.parameters ?? parameters),
    locality,
  });
  const body = new ByteWriter();
  if (answer.handle !== undefined) body.u32(answer.handle);
  const returned = answer.parameters ?? new Uint8Array(0);
  body.bytes(session === undefined ? returned : session.finish(returned));
  return response(
    session === undefined ? TPM_ST.NO_SESSIONS : TPM_ST.SESSIONS,
    TPM_RC.SUCCESS,
    body.finish(),
  );
}

function splitAuths(
  body: Uint8Array,
  tag: number,
): { auths: readonly CommandAuth[]; parameters: Uint8Array } {
  if (tag === TPM_ST.NO_SESSIONS) return { auths: [], parameters: body };
  if (body.length < 4) fail(TPM_RC.AUTHSIZE);
  const size = new DataView(body.buffer, body.byteOffset).getUint32(0);
  if (size > body.length - 4) fail(TPM_RC.AUTHSIZE);
  return { auths: readAuthArea(body.subarray(4, 4 + size)), parameters: body.subarray(4 + size) };
}

function response(tag: number, responseCode: number, body: Uint8Array): Bytes {
  return new ByteWriter()
    .u16(tag)
    .u32(10 + body.length)
    .u32(responseCode)
    .bytes(body)
    .finish();
}
