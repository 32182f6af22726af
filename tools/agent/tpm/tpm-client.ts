import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../common/tool-error.js';
import type { TpmTransport } from '../transport/tpm-transport.js';
import { commandName } from './constants.js';
import { decodeResponse, encodeCommand, type TpmResponse } from './message.js';
import type { ParameterEncryption, TpmSession } from './session.js';
import { isRetryCode, TpmResponseError } from './tpm-response-error.js';

/** Options of `TpmClient`. */
export interface TpmClientOptions {
  /** Limit of one exchange with the TPM. Default 30,000; creating an RSA key can take seconds. */
  readonly timeoutMs?: number;
  /** How often a command is sent again when the TPM asks for it. Default 20. */
  readonly maxRetries?: number;
  /** Wait before the first repetition; doubles each time up to 250. Default 5. */
  readonly retryDelayMs?: number;
  /** Ends the work before the next command with `attest.interrupted`. */
  readonly signal?: AbortSignal;
}

/** How a handle of a command is authorised. */
export interface Authorisation {
  readonly session: TpmSession;
  /** Authorisation value of the handle; empty for hierarchies without a password. */
  readonly authValue?: Uint8Array;
  readonly encryption?: ParameterEncryption;
}

/** A command, not yet marshalled. */
export interface TpmCommand {
  readonly code: number;
  readonly handles?: readonly number[];
  /** Names of the handles; needed with an HMAC session. */
  readonly names?: readonly Uint8Array[];
  /** Authorises the first handle. */
  readonly authorisation?: Authorisation;
  readonly parameters?: Uint8Array;
  /** Whether the response starts with a handle. */
  readonly returnsHandle?: boolean;
}

/** What a command returned. */
export interface TpmResult {
  readonly handle: number;
  readonly parameters: Uint8Array;
}

/** Sends commands to a TPM and takes its answers apart; one command at a time. */
export class TpmClient {
  #transport: TpmTransport;
  #broken = false;
  #timeoutMs: number;
  readonly #maxRetries: number;
  readonly #retryDelayMs: number;
  #signal: AbortSignal | undefined;

  constructor(transport: TpmTransport, options: TpmClientOptions = {}) {
    this.#transport = transport;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#maxRetries = options.maxRetries ?? 20;
    this.#retryDelayMs = options.retryDelayMs ?? 5;
    this.#signal = options.signal;
  }

  /** For messages. */
  get description(): string {
    return this.#transport.description;
  }

  /** Whether an exchange failed, so that an answer may be lost and the connection is closed. */
  get broken(): boolean {
    return this.#broken;
  }

  /**
   * Sends one command.
   * @throws ToolError `transport.*`, `tpm.*`; a refusal by the TPM is a `TpmResponseError`
   */
  async execute(command: TpmCommand): Promise<TpmResult> {
    const { code, handles = [], names = [], authorisation, returnsHandle = false } = command;
    const parameters = command.parameters ?? new Uint8Array(0);
    const authorised = authorisation?.session.authorise(
      { commandCode: code, names, parameters },
      authorisation.authValue ?? new Uint8Array(0),
      authorisation.encryption ?? {},
    );
    const bytes = encodeCommand(
      code,
      handles,
      authorised === undefined ? [] : [authorised.auth],
      authorised?.parameters ?? parameters,
    );
    const response = await this.#exchange(code, bytes, {
      hasHandle: returnsHandle,
      authCount: authorised === undefined ? 0 : 1,
    });
    const answer = response.auths[0];
    try {
      return {
        handle: response.handle ?? 0,
        parameters:
          authorised === undefined || answer === undefined
            ? response.parameters
            : authorised.accept(answer, response.parameters),
      };
    } catch (error) {
      this.#broken = true;
      throw error;
    }
  }

  /** Sends a command that returns nothing but its success. */
  async executeSilently(command: TpmCommand): Promise<void> {
    const { parameters } = await this.execute(command);
    if (parameters.length === 0) return;
    this.#broken = true;
    throw new ToolError('tpm.response-malformed', {
      expected: `no parameters in the answer to ${commandName(command.code)}`,
      actual: `${parameters.length} bytes`,
    });
  }

  async #exchange(
    code: number,
    bytes: Uint8Array,
    shape: { hasHandle: boolean; authCount: number },
  ): Promise<TpmResponse> {
    for (let attempt = 0; ; attempt++) {
      if (this.#signal?.aborted === true) throw new ToolError('attest.interrupted');
      const response = await this.#once(bytes, shape);
      if (response.responseCode === 0) return response;
      if (!isRetryCode(response.responseCode) || attempt >= this.#maxRetries)
        throw new TpmResponseError(code, response.responseCode);
      await sleep(Math.min(250, this.#retryDelayMs * 2 ** Math.min(attempt, 10)));
    }
  }

  async #once(
    bytes: Uint8Array,
    shape: { hasHandle: boolean; authCount: number },
  ): Promise<TpmResponse> {
    try {
      const response = await this.#transport.exchange(bytes, { timeoutMs: this.#timeoutMs });
      return decodeResponse(response, shape);
    } catch (error) {
      this.#broken = true;
      throw error;
    }
  }

  /** Marks an answer as lost: it came, but could not be used. */
  markBroken(): void {
    this.#broken = true;
  }

  /** Connects anew, so that things can be removed after a failed exchange. */
  async reconnect(): Promise<void> {
    this.#transport = await this.#transport.reopen({ timeoutMs: this.#timeoutMs });
    this.#broken = false;
  }

  /** From here on no signal stops the work, and it gets no more than `timeoutMs` per exchange. */
  startCleanup(timeoutMs: number): void {
    this.#signal = undefined;
    this.#timeoutMs = Math.min(this.#timeoutMs, timeoutMs);
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}
