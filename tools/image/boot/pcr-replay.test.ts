import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../common/tool-error.js';
import { PcrReplay } from './pcr-replay.js';
import type { TpmLogEntry } from './tpm-log.js';

const SHA256 = 0x0b;
const SHA384 = 0x0c;
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** A command or response with header; sessions when the tag says so. */
function message(tag: number, code: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  return Buffer.concat([u16(tag), u32(10 + body.length), u32(code), body]);
}
const command = (bytes: Uint8Array): TpmLogEntry => ({ kind: 'command', bytes });
const response = (bytes: Uint8Array): TpmLogEntry => ({ kind: 'response', bytes });
const control = (code: number, ...rest: readonly number[]): TpmLogEntry => ({
  kind: 'control-command',
  bytes: Buffer.concat([u32(code), Buffer.from(rest)]),
});
const OK = response(message(0x8001, 0));
const OK_SESSION = response(message(0x8002, 0, u32(0), Buffer.of(0, 0, 1, 0, 0)));
const STARTUP = [control(2, 0, 0, 0, 0), command(message(0x8001, 0x144, u16(0))), OK];
const PASSWORD = Buffer.concat([u32(9), u32(0x40000009), Buffer.alloc(5)]);

const digests = (...list: readonly (readonly [number, Uint8Array])[]): Buffer =>
  Buffer.concat([
    u32(list.length),
    ...list.flatMap(([algorithm, digest]) => [u16(algorithm), digest]),
  ]);
const extend = (pcr: number, ...list: readonly (readonly [number, Uint8Array])[]): TpmLogEntry =>
  command(message(0x8002, 0x182, u32(pcr), PASSWORD, digests(...list)));
const sha384 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function follow(...entries: readonly TpmLogEntry[]): PcrReplay {
  const replay = new PcrReplay();
  for (const one of [...STARTUP, ...entries]) replay.follow(one);
  return replay;
}
function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ToolError) return error.code;
    throw error;
  }
}

const zeros = Buffer.alloc(48);
const event = sha384('event');

describe('PCRs from what a TPM was told', () => {
  it('begin as TPM2_Startup leaves them', () => {
    const { pcrs, changes, atHandOver } = follow();
    expect(pcrs.size).toBe(24);
    for (const [pcr, value] of pcrs)
      expect(value).toBe((pcr >= 17 && pcr <= 22 ? 'ff' : '00').repeat(48));
    expect(changes).toBe(0);
    expect(atHandOver).toBeUndefined();
    expect(new PcrReplay().pcrs.size).toBe(0);
  });

  it('take the SHA-384 digest of PCR_Extend, among those of other banks', () => {
    const replay = follow(
      extend(4, [SHA256, Buffer.alloc(32, 1)], [SHA384, event]),
      OK_SESSION,
      extend(4, [SHA384, event]),
      OK_SESSION,
    );
    expect(replay.pcrs.get(4)).toBe(sha384(sha384(zeros, event), event).toString('hex'));
    expect(replay.pcrs.get(3)).toBe(zeros.toString('hex'));
    expect(replay.changes).toBe(2);
  });

  it('stay when another bank is extended, when the TPM refuses, and for the null handle', () => {
    const refused = response(message(0x8001, 0x907));
    const { pcrs } = follow(
      ...[extend(4, [SHA256, Buffer.alloc(32, 1)]), OK_SESSION],
      ...[extend(4, [SHA384, event]), refused],
      ...[extend(0x40000007, [SHA384, event]), OK_SESSION],
    );
    expect(pcrs.get(4)).toBe(zeros.toString('hex'));
  });

  it.each([
    ['PCR_Event', 0x13c, [u32(11)]],
    ['EventSequenceComplete', 0x185, [u32(11), u32(0x80000000)]],
  ])('take what the TPM answers to %s', (_, code, handles) => {
    const parameters = digests([SHA256, Buffer.alloc(32)], [SHA384, event]);
    const { pcrs } = follow(
      command(message(0x8002, code, ...handles, PASSWORD, u16(2), Buffer.from('hi'))),
      response(message(0x8002, 0, u32(parameters.length), parameters, Buffer.alloc(5))),
    );
    expect(pcrs.get(11)).toBe(sha384(zeros, event).toString('hex'));
  });

  it('are zeros after PCR_Reset, and after the machine is reset', () => {
    const extended = [extend(16, [SHA384, event]), OK_SESSION];
    const reset = [command(message(0x8002, 0x13d, u32(16), PASSWORD)), OK_SESSION];
    expect(follow(...extended).pcrs.get(16)).not.toBe(zeros.toString('hex'));
    expect(follow(...extended, ...reset).pcrs.get(16)).toBe(zeros.toString('hex'));
    expect(follow(...extended, ...STARTUP).pcrs.get(16)).toBe(zeros.toString('hex'));
    expect(follow(...extended, control(2, 0, 0, 0, 0)).pcrs.size).toBe(0);
  });

  it('are remembered as they were when the firmware handed over', () => {
    const exit = sha384('Exit Boot Services Returned with Success');
    const replay = follow(
      ...[extend(11, [SHA384, event]), OK_SESSION],
      ...[extend(5, [SHA384, exit]), OK_SESSION],
      ...[extend(11, [SHA384, event]), OK_SESSION],
    );
    expect(replay.atHandOver?.get(11)).toBe(sha384(zeros, event).toString('hex'));
    expect(replay.pcrs.get(11)).not.toBe(replay.atHandOver?.get(11));
    // In another PCR the same event means nothing: a guest may extend whatever it likes.
    expect(follow(extend(8, [SHA384, exit]), OK_SESSION).atHandOver).toBeUndefined();
  });

  const cut = (entry: TpmLogEntry, by: number): TpmLogEntry => {
    const bytes = entry.bytes.slice(0, -by);
    new DataView(bytes.buffer).setUint32(2, bytes.length);
    return { kind: entry.kind, bytes };
  };
  it.each<[string, readonly TpmLogEntry[]]>([
    ['a response without a command', [OK]],
    ['a cut command', [command(Buffer.of(0x80, 1, 0)), OK]],
    ['a command of another size', [command(message(0x8001, 0x144, u16(0)).slice(0, -1)), OK]],
    ['a response of another size', [extend(4, [SHA384, event]), response(OK.bytes.slice(0, 9))]],
    ['Startup(STATE)', [control(2), command(message(0x8001, 0x144, u16(1))), OK]],
    [
      'Startup at locality 3',
      [control(2), control(5, 3, 0, 0, 0), command(message(0x8001, 0x144, u16(0))), OK],
    ],
    ['a dynamic launch', [control(6)]],
    ['an unknown control command', [control(0x55)]],
    ['no Startup', [control(2), extend(4, [SHA384, event]), OK_SESSION]],
    ['a PCR that there is not', [extend(24, [SHA384, event]), OK_SESSION]],
    ['an unknown hash algorithm', [extend(4, [0x99, event]), OK_SESSION]],
    ['a cut digest', [cut(extend(4, [SHA384, event]), 1), OK_SESSION]],
    [
      'more digests than banks exist',
      [command(message(0x8002, 0x182, u32(4), PASSWORD, u32(17))), OK_SESSION],
    ],
    [
      'an authorisation that is too long',
      [command(message(0x8002, 0x182, u32(4), u32(99), digests())), OK_SESSION],
    ],
    ['no session', [command(message(0x8001, 0x182, u32(4), digests())), OK]],
  ])('are not followed over %s', (_, entries) => {
    expect(codeOf(() => follow(...entries))).toBe('boot.tpm-log');
  });

  it('meet anything with an error of their own', () => {
    const kind = fc.constantFrom<TpmLogEntry['kind']>('command', 'response', 'control-command');
    const code = fc.constantFrom(0x13c, 0x13d, 0x144, 0x182, 0x185, 0);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .tuple(code, fc.uint8Array({ maxLength: 80 }))
        .map(([cc, rest]) => message(0x8002, cc, rest)),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ kind, bytes }), { maxLength: 6 }), (entries) => {
        expect(codeOf(() => follow(...entries)) ?? 'boot.tpm-log').toBe('boot.tpm-log');
      }),
    );
  });
});
