import { randomBytes } from 'node:crypto';
import { ByteReader, type Bytes, concatBytes } from 'tee-verify/bytes';
import { TPM_HT, TPM_RH, TPMA_NV, TPMA_OBJECT, TPMA_SESSION } from '../agent/tpm/constants.js';
import { equalHmac, parameterCipher, tpmHmac, trimAuthValue } from '../agent/tpm/kdf-a.js';
import type { CommandAuth } from '../agent/tpm/message.js';
import { tpmHash } from '../agent/tpm/names.js';
import { written } from '../agent/tpm/read-structure.js';
import { inSession, TPM_RC } from '../agent/tpm/response-code.js';
import { allBits } from './attribute-bits.js';
import { fail } from './tpm-failure.js';
import type { SessionState, TpmState } from './tpm-state.js';

const CODES = { truncated: 'quote.malformed', trailing: 'quote.malformed' } as const;
const MAX_SESSIONS = 3;
const ALL_BITS = allBits(TPMA_SESSION);
const PARAMETER_BITS = TPMA_SESSION.decrypt | TPMA_SESSION.encrypt;

/** Reads an authorisation area (Part 1, 18.6). */
export function readAuthArea(area: Uint8Array): CommandAuth[] {
  const reader = new ByteReader(area, 'authorisation area', CODES);
  const auths: CommandAuth[] = [];
  try {
    while (reader.left > 0) {
      if (auths.length === MAX_SESSIONS) fail(TPM_RC.AUTHSIZE);
      const sessionHandle = reader.u32('sessionHandle');
      const nonce = reader.sized16('nonceCaller', 64).slice();
      const attributes = reader.u8('sessionAttributes');
      if ((attributes & ~ALL_BITS) !== 0) fail(inSession(TPM_RC.RESERVED_BITS, auths.length + 1));
      auths.push({ sessionHandle, nonce, attributes, hmac: reader.sized16('hmac', 64).slice() });
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'AttestationError') fail(TPM_RC.AUTHSIZE);
    throw error;
  }
  return auths.length === 0 ? fail(TPM_RC.AUTHSIZE) : auths;
}

/** A command that is to be authorised. */
export interface AuthorisedCommand {
  readonly code: number;
  readonly handles: readonly number[];
  /** How many of the handles need authorisation. */
  readonly authorised: number;
  readonly auths: readonly CommandAuth[];
  readonly parameters: Uint8Array;
}

interface Checked {
  readonly auth: CommandAuth;
  readonly session: SessionState | undefined;
  /** The handle that this session authorises. */
  readonly handle: number | undefined;
}

/**
 * Checks every session of a command and decrypts its parameters. The result finishes the answer:
 * encrypts its first parameter and appends the sessions' HMACs.
 */
export function authorise(
  state: TpmState,
  command: AuthorisedCommand,
): { parameters: Uint8Array; finish: (parameters: Uint8Array) => Bytes } {
  const names = command.handles.map((handle, i) => state.nameOf(handle, i + 1));
  const checked = command.auths.map((auth, i): Checked => {
    const handle = i < command.authorised ? command.handles[i] : undefined;
    const number = i + 1;
    if (auth.sessionHandle === TPM_RH.RS_PW) {
      if (handle === undefined) fail(inSession(TPM_RC.HANDLE, number));
      if (auth.nonce.length > 0) fail(inSession(TPM_RC.NONCE, number));
      if ((auth.attributes & PARAMETER_BITS) !== 0) fail(inSession(TPM_RC.ATTRIBUTES, number));
      return { auth, session: undefined, handle };
    }
    if (auth.sessionHandle >>> 24 !== TPM_HT.LOADED_SESSION) fail(inSession(TPM_RC.VALUE, number));
    const session = state.sessions.get(auth.sessionHandle) ?? fail(TPM_RC.REFERENCE_S0 + i);
    if ((auth.attributes & PARAMETER_BITS) !== 0 && session.symmetric === null)
      fail(inSession(TPM_RC.SYMMETRIC, number));
    return { auth, session, handle };
  });
  const decrypting = checked.find(({ auth }) => (auth.attributes & TPMA_SESSION.decrypt) !== 0);
  const encrypting = checked.find(({ auth }) => (auth.attributes & TPMA_SESSION.encrypt) !== 0);
  // Part 1, 19.6.5: the first session's HMAC also covers the nonces of the encrypting ones.
  const extraNonces = concatBytes(
    ...[...new Set([decrypting, encrypting])]
      .filter((one) => one !== undefined && one !== checked[0])
      .map((one) => one?.session?.nonceTpm ?? new Uint8Array(0)),
  );
  checked.forEach((one, i) => {
    checkOne(state, command, names, one, i, i === 0 ? extraNonces : new Uint8Array(0));
  });
  const parameters =
    decrypting?.session === undefined
      ? command.parameters
      : cipherFirst(command.parameters, (data) => {
          const { session, auth } = decrypting as { session: SessionState; auth: CommandAuth };
          const value = sessionValue(state, decrypting);
          return parameterCipher(
            session.hashAlgorithm,
            value,
            auth.nonce,
            session.nonceTpm,
          ).decrypt(data);
        });
  return {
    parameters,
    finish: (answer) => finish(state, command.code, checked, encrypting, answer),
  };
}

function checkOne(
  state: TpmState,
  command: AuthorisedCommand,
  names: readonly Uint8Array[],
  { auth, session, handle }: Checked,
  position: number,
  extraNonces: Uint8Array,
): void {
  const number = position + 1;
  const wrong = (): never =>
    fail(inSession(isProtected(state, handle) ? TPM_RC.AUTH_FAIL : TPM_RC.BAD_AUTH, number));
  const authValue =
    handle === undefined
      ? new Uint8Array(0)
      : trimAuthValue(state.authValueOf(handle, position + 1));
  if (handle !== undefined) checkUserAuth(state, handle, position + 1);
  if (session === undefined) {
    if (!equalHmac(authValue, trimAuthValue(auth.hmac))) wrong();
    return;
  }
  const cpHash = tpmHash(
    session.hashAlgorithm,
    written((writer) => writer.u32(command.code)),
    ...names,
    command.parameters,
  );
  const expected = tpmHmac(
    session.hashAlgorithm,
    concatBytes(session.sessionKey, authValue),
    cpHash,
    auth.nonce,
    session.nonceTpm,
    extraNonces,
    new Uint8Array([auth.attributes]),
  );
  if (!equalHmac(expected, auth.hmac)) wrong();
}

/** A key without userWithAuth wants a policy for user actions (Part 1, 19.2). */
function checkUserAuth(state: TpmState, handle: number, position: number): void {
  const type = handle >>> 24;
  if (type !== TPM_HT.TRANSIENT && type !== TPM_HT.PERSISTENT) return;
  const { objectAttributes } = state.object(handle, position).publicArea;
  if ((objectAttributes & TPMA_OBJECT.userWithAuth) === 0) fail(AUTH_UNAVAILABLE);
}

const AUTH_UNAVAILABLE = 0x12f;

/** Whether failures count against the dictionary attack limit. */
function isProtected(state: TpmState, handle: number | undefined): boolean {
  if (handle === undefined) return false;
  switch (handle >>> 24) {
    case TPM_HT.NV_INDEX:
      return (state.nvIndex(handle, 1).area.attributes & TPMA_NV.NO_DA) === 0;
    case TPM_HT.TRANSIENT:
    case TPM_HT.PERSISTENT:
      return (state.object(handle, 1).publicArea.objectAttributes & TPMA_OBJECT.noDA) === 0;
    default:
      return handle === TPM_RH.LOCKOUT;
  }
}

/** sessionKey || authValue of the handle that the session authorises (Part 1, 21.2). */
function sessionValue(state: TpmState, { session, handle }: Checked): Bytes {
  const key = session?.sessionKey ?? new Uint8Array(0);
  if (handle === undefined) return concatBytes(key);
  return concatBytes(key, trimAuthValue(state.authValueOf(handle, 1)));
}

function finish(
  state: TpmState,
  code: number,
  checked: readonly Checked[],
  encrypting: Checked | undefined,
  answer: Uint8Array,
): Bytes {
  // New nonces first: the encryption uses the TPM's newest.
  for (const { session } of checked)
    if (session !== undefined)
      session.nonceTpm = new Uint8Array(randomBytes(session.nonceTpm.length));
  const session = encrypting?.session;
  const parameters =
    encrypting === undefined || session === undefined || answer.length === 0
      ? answer
      : cipherFirst(
          answer,
          parameterCipher(
            session.hashAlgorithm,
            sessionValue(state, encrypting),
            session.nonceTpm,
            encrypting.auth.nonce,
          ).encrypt,
        );
  return written((writer) => {
    writer.u32(parameters.length).bytes(parameters);
    for (const one of checked) {
      if (one.session === undefined) {
        writer.sized16(new Uint8Array(0)).u8(one.auth.attributes).sized16(new Uint8Array(0));
        continue;
      }
      const { hashAlgorithm, nonceTpm } = one.session;
      const rpHash = tpmHash(
        hashAlgorithm,
        written((inner) => inner.u32(0).u32(code)),
        parameters,
      );
      const hmac = tpmHmac(
        hashAlgorithm,
        sessionValue(state, one),
        rpHash,
        nonceTpm,
        one.auth.nonce,
        new Uint8Array([one.auth.attributes]),
      );
      writer.sized16(nonceTpm).u8(one.auth.attributes).sized16(hmac);
      if ((one.auth.attributes & TPMA_SESSION.continueSession) === 0)
        state.sessions.delete(one.session.handle);
    }
  });
}

function cipherFirst(parameters: Uint8Array, cipher: (data: Uint8Array) => Uint8Array): Bytes {
  if (parameters.length < 2) return fail(TPM_RC.AUTH_CONTEXT);
  const size = ((parameters[0] as number) << 8) | (parameters[1] as number);
  if (size > parameters.length - 2) return fail(TPM_RC.SIZE);
  return concatBytes(
    parameters.subarray(0, 2),
    cipher(parameters.subarray(2, 2 + size)),
    parameters.subarray(2 + size),
  );
}
