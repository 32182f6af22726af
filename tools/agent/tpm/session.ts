import { randomBytes } from 'node:crypto';
import { type Bytes, concatBytes } from 'tee-verify/bytes';
import { ToolError } from '../../common/tool-error.js';
import { commandName, TPM_RH, TPMA_SESSION } from './constants.js';
import { equalHmac, kdfA, parameterCipher, tpmHmac, trimAuthValue } from './kdf-a.js';
import type { CommandAuth, ResponseAuth } from './message.js';
import { tpmHash } from './names.js';
import { readStructure, written } from './read-structure.js';

/** What a session needs to know to authorise one command. */
export interface AuthRequest {
  readonly commandCode: number;
  /** Names of the command's handles, in order. */
  readonly names: readonly Uint8Array[];
  readonly parameters: Uint8Array;
}

/** What a session says about one command. */
export interface Authorised {
  readonly auth: CommandAuth;
  /** The parameters as sent: the first one may be encrypted now. */
  readonly parameters: Uint8Array;
  /**
   * Checks the answer and gives its parameters, decrypted.
   * @throws ToolError `tpm.response-forged`, `tpm.response-malformed`
   */
  readonly accept: (auth: ResponseAuth, parameters: Uint8Array) => Uint8Array;
}

/** Whether the first parameter (a TPM2B) of command or response travels encrypted. */
export interface ParameterEncryption {
  readonly command?: boolean;
  readonly response?: boolean;
}

/** Shows that its user knows the authorisation value of a handle. */
export interface TpmSession {
  authorise(
    request: AuthRequest,
    authValue: Uint8Array,
    encryption: ParameterEncryption,
  ): Authorised;
}

/** A password session: the authorisation value itself, nothing is protected (Part 1, 19.4). */
export const PASSWORD_SESSION: TpmSession = {
  authorise: ({ parameters }, authValue) => ({
    auth: {
      sessionHandle: TPM_RH.RS_PW,
      nonce: new Uint8Array(0),
      attributes: TPMA_SESSION.continueSession,
      hmac: trimAuthValue(authValue),
    },
    parameters,
    accept: (_, answer) => answer,
  }),
};

/** The secrets and nonces of a started HMAC session. */
export interface HmacSessionState {
  readonly handle: number;
  /** TPM_ALG of the session. */
  readonly hashAlgorithm: number;
  readonly sessionKey: Uint8Array;
  readonly nonceTpm: Uint8Array;
}

/**
 * A salted HMAC session (Part 1, 19.6): every command and response carries an HMAC over its
 * contents under a key that only this program and the TPM know.
 */
export class HmacSession implements TpmSession {
  readonly handle: number;
  readonly #hash: number;
  readonly #sessionKey: Uint8Array;
  #nonceTpm: Uint8Array;

  constructor(state: HmacSessionState) {
    this.handle = state.handle;
    this.#hash = state.hashAlgorithm;
    this.#sessionKey = state.sessionKey;
    this.#nonceTpm = state.nonceTpm;
  }

  authorise(
    request: AuthRequest,
    authValue: Uint8Array,
    encryption: ParameterEncryption,
  ): Authorised {
    const key = concatBytes(this.#sessionKey, trimAuthValue(authValue));
    const nonceCaller = new Uint8Array(randomBytes(this.#nonceTpm.length));
    const attributes =
      TPMA_SESSION.continueSession |
      (encryption.command === true ? TPMA_SESSION.decrypt : 0) |
      (encryption.response === true ? TPMA_SESSION.encrypt : 0);
    const parameters =
      encryption.command === true
        ? inFirstParameter(
            request.parameters,
            parameterCipher(this.#hash, key, nonceCaller, this.#nonceTpm).encrypt,
          )
        : request.parameters;
    // Part 1, 18.8: cpHash covers the parameters as they travel.
    const cpHash = tpmHash(this.#hash, u32(request.commandCode), ...request.names, parameters);
    const hmac = this.#hmac(key, cpHash, nonceCaller, this.#nonceTpm, attributes);
    const auth = { sessionHandle: this.handle, nonce: nonceCaller, attributes, hmac };
    return {
      auth,
      parameters,
      accept: (answer, answerParameters) => {
        const rpHash = tpmHash(this.#hash, u32(0), u32(request.commandCode), answerParameters);
        const expected = this.#hmac(key, rpHash, answer.nonce, nonceCaller, answer.attributes);
        if (!equalHmac(expected, answer.hmac))
          throw new ToolError('tpm.response-forged', {
            expected: 'an HMAC under the session key',
            actual: `another one in the answer to ${commandName(request.commandCode)}`,
          });
        this.#nonceTpm = answer.nonce.slice();
        if (encryption.response !== true) return answerParameters;
        return inFirstParameter(
          answerParameters,
          parameterCipher(this.#hash, key, answer.nonce, nonceCaller).decrypt,
        );
      },
    };
  }

  #hmac(
    key: Uint8Array,
    parameterHash: Uint8Array,
    nonceNewer: Uint8Array,
    nonceOlder: Uint8Array,
    attributes: number,
  ): Bytes {
    return tpmHmac(
      this.#hash,
      key,
      parameterHash,
      nonceNewer,
      nonceOlder,
      new Uint8Array([attributes]),
    );
  }
}

/** The session key of a salted session that is bound to nothing (Part 1, 19.6.8). */
export function sessionKeyOf(
  hashAlgorithm: number,
  salt: Uint8Array,
  nonceTpm: Uint8Array,
  nonceCaller: Uint8Array,
): Bytes {
  const bits = tpmHash(hashAlgorithm).length * 8;
  return kdfA(hashAlgorithm, salt, 'ATH', nonceTpm, nonceCaller, bits);
}

/**
 * Applies a cipher to the contents of the TPM2B that stands first in the parameters; its size
 * stays readable (Part 1, 21).
 */
export function inFirstParameter(
  parameters: Uint8Array,
  cipher: (data: Uint8Array) => Uint8Array,
): Bytes {
  const { first, rest } = readStructure(
    parameters,
    'parameters',
    (reader) => ({
      first: reader.sized16('first parameter'),
      rest: reader.take(reader.left, 'rest'),
    }),
    'tpm.response-malformed',
  );
  return concatBytes(
    written((writer) => writer.sized16(cipher(first))),
    rest,
  );
}

function u32(value: number): Bytes {
  return written((writer) => writer.u32(value));
}
