import { createHash } from 'node:crypto';
import { ByteReader, encodeHex } from 'tee-verify/bytes';
import { ToolError } from '../../common/tool-error.js';
import type { TpmLogEntry } from './tpm-log.js';

// TPM 2.0 Library, Part 2, 6.3, 6.5.2, 6.9 and 7.4.
const SHA384 = 0x000c;
const DIGEST_BYTES: Readonly<Record<number, number>> = {
  4: 20,
  11: 32,
  [SHA384]: 48,
  13: 64,
  18: 32,
  39: 32,
  40: 48,
  41: 64,
};
const SESSIONS = 0x8002;
const NULL_HANDLE = 0x40000007;
const COMMANDS = {
  pcrEvent: 0x13c,
  pcrReset: 0x13d,
  startup: 0x144,
  pcrExtend: 0x182,
  eventSequenceComplete: 0x185,
} as const;
const CODES: readonly number[] = Object.values(COMMANDS);

/** Of swtpm's control channel (swtpm_ioctls(3)): those that leave PCRs as they are, and INIT. */
const CONTROL_INIT = 0x02;
const CONTROL_SET_LOCALITY = 0x05;
const CONTROL_HARMLESS: ReadonlySet<number> = new Set([
  ...[0x01, 0x03, 0x04, 0x09, 0x0a, 0x0b, 0x0c, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13],
]);

const PCR_COUNT = 24;
/** Those start with ones: locality 4 begins a dynamic launch by setting them to zeros. */
const isDynamic = (pcr: number): boolean => pcr >= 17 && pcr <= 22;

/** What EDK2 measures into PCR5 once boot services are gone, in ASCII. */
const HANDED_OVER = createHash('sha384')
  .update('Exit Boot Services Returned with Success')
  .digest('hex');

/**
 * Follows the PCRs of the SHA-384 bank from the commands that a TPM was given and how it answered:
 * their values are known outside without asking the guest or its TPM. Throws `boot.tpm-log` for
 * anything that it could not follow.
 */
export class PcrReplay {
  #pcrs: Buffer[] | undefined;
  #command: Uint8Array | undefined;
  #locality = 0;
  #changes = 0;
  #atHandOver: ReadonlyMap<number, string> | undefined;

  /** Takes the next entry of the log. */
  follow({ kind, bytes }: TpmLogEntry): void {
    try {
      if (kind === 'control-command') this.#control(bytes);
      else if (kind === 'command') this.#command = bytes;
      else if (kind === 'response') {
        const command = this.#command ?? fail('a command before its response', 'none');
        this.#command = undefined;
        this.#exchange(command, bytes);
      }
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'AttestationError') throw error;
      const { expected, actual } = error as { expected?: string; actual?: string };
      fail(expected ?? 'a whole structure', actual ?? 'a cut one');
    }
  }

  /** PCR index → lower-case hex; empty before the TPM was started. */
  get pcrs(): ReadonlyMap<number, string> {
    return new Map((this.#pcrs ?? []).map((value, pcr) => [pcr, encodeHex(value)]));
  }

  /** Counts what changed PCRs, for who waits until nothing does. */
  get changes(): number {
    return this.#changes;
  }

  /** The PCRs when the operating system took over from the firmware (ExitBootServices). */
  get atHandOver(): ReadonlyMap<number, string> | undefined {
    return this.#atHandOver;
  }

  #control(bytes: Uint8Array): void {
    const reader = open(bytes, 'control command');
    const code = reader.u32('code');
    if (code === CONTROL_INIT) {
      this.#pcrs = undefined;
      this.#atHandOver = undefined;
    } else if (code === CONTROL_SET_LOCALITY) this.#locality = reader.u8('locality');
    else if (!CONTROL_HARMLESS.has(code))
      fail('control commands that leave PCRs alone', `0x${code.toString(16)}`);
  }

  #exchange(command: Uint8Array, response: Uint8Array): void {
    const request = open(command, 'command');
    const tag = request.u16('tag');
    const size = request.u32('size');
    const code = request.u32('code');
    if (size !== command.length) fail(`a command of ${size} bytes`, `${command.length} bytes`);
    const answer = open(response, 'response');
    const answerTag = answer.u16('tag');
    if (answer.u32('size') !== response.length)
      fail('a whole response', `${response.length} bytes`);
    if (answer.u32('code') !== 0 || !CODES.includes(code)) return;
    if (code === COMMANDS.startup) {
      this.#startup(request);
      return;
    }
    if (tag !== SESSIONS || answerTag !== SESSIONS) fail('a session', 'none');
    const handle = request.u32('handle');
    if (handle === NULL_HANDLE) return;
    const pcrs = this.#pcrs ?? fail('Startup first', 'none');
    if (handle >= PCR_COUNT) fail('a PCR', `handle ${handle}`);
    this.#changes++;
    if (code === COMMANDS.pcrReset) {
      pcrs[handle] = Buffer.alloc(48);
      return;
    }
    if (code === COMMANDS.pcrExtend) {
      request.take(request.u32('authorisation size'), 'authorisation');
      this.#extend(handle, readDigests(request));
    } else {
      // The TPM hashed the data itself and says what it extended.
      answer.u32('parameterSize');
      this.#extend(handle, readDigests(answer));
    }
  }

  #startup(request: ByteReader): void {
    const type = request.u16('startupType');
    if (type !== 0 || this.#locality !== 0)
      fail('Startup(CLEAR) at locality 0', `type ${type} at locality ${this.#locality}`);
    this.#pcrs = Array.from({ length: PCR_COUNT }, (_, pcr) =>
      Buffer.alloc(48, isDynamic(pcr) ? 0xff : 0),
    );
  }

  #extend(pcr: number, digest: Uint8Array | undefined): void {
    const pcrs = this.#pcrs;
    const old = pcrs?.[pcr];
    if (pcrs === undefined || old === undefined || digest === undefined) return;
    pcrs[pcr] = createHash('sha384').update(old).update(digest).digest();
    if (pcr === 5 && encodeHex(digest) === HANDED_OVER) this.#atHandOver = this.pcrs;
  }
}

/** The SHA-384 digest of a TPML_DIGEST_VALUES; a bank that is not named is not extended. */
function readDigests(reader: ByteReader): Uint8Array | undefined {
  const count = reader.u32('digest count');
  if (count > 16) fail('at most 16 digests', `${count}`);
  let found: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    const algorithm = reader.u16('hashAlg');
    const size = DIGEST_BYTES[algorithm] ?? fail('a hash algorithm', `0x${algorithm.toString(16)}`);
    const digest = reader.take(size, 'digest');
    if (algorithm === SHA384) found = digest;
  }
  return found;
}

function open(bytes: Uint8Array, what: string): ByteReader {
  // The reader needs codes of tee-verify's table; follow() replaces them.
  return new ByteReader(bytes, what, { truncated: 'quote.malformed', trailing: 'quote.malformed' });
}

function fail(expected: string, actual: string): never {
  throw new ToolError('boot.tpm-log', { expected, actual });
}
