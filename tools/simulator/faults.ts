import { TPM_CC, type TpmCommandName } from '../agent/tpm/constants.js';
import { TPM_RC } from '../agent/tpm/response-code.js';
import { ToolError } from '../common/tool-error.js';
import { NSM_ERRORS, type NsmErrorName } from './simulated-nsm.js';

/** What can go wrong on demand. */
export type FaultKind =
  /** The answer comes `value` milliseconds late. */
  | 'late'
  /** Only the first `value` bytes of the answer come (default: half of it), then the connection ends. */
  | 'truncated'
  /** `value` more bytes come, and the header says so (default 5000). */
  | 'oversized'
  /** The byte at `value` is inverted; without a value every byte is changed. */
  | 'garbled'
  /** The connection ends without an answer. */
  | 'disconnect'
  /** The command is not run and response code `value` comes instead. */
  | 'rc'
  /** NV_DefineSpace finds no room. */
  | 'nv-full'
  /** The NSM answers with an error; `error` names it. */
  | 'nsm-error';

/** A fault that waits for its command. */
export interface Fault {
  readonly kind: FaultKind;
  readonly value?: number;
  readonly error?: NsmErrorName;
  /** Only this command; default: any. */
  readonly command?: TpmCommandName;
  /** The nth matching command since the fault was set; default 1. */
  readonly nth?: number;
  /** How many matching commands in a row; default 1. */
  readonly times?: number;
}

const KINDS: readonly FaultKind[] = [
  'late',
  'truncated',
  'oversized',
  'garbled',
  'disconnect',
  'rc',
  'nv-full',
  'nsm-error',
];
const FORM = /^([a-z-]+)(?:=([0-9A-Za-z]+))?(?:@([A-Za-z_]+))?(?:#(\d{1,6}))?(?:x(\d{1,6}))?$/;

/**
 * Understands `<kind>[=<value>][@<command>][#<n>][x<times>]`, e.g. `late=500@Quote`, `rc=0x922#3x2`.
 * @throws ToolError `simulator.fault-invalid`
 */
export function parseFault(text: string): Fault {
  const match = FORM.exec(text);
  const kind = KINDS.find((one) => one === match?.[1]);
  if (match === null || kind === undefined)
    return invalid(`one of ${KINDS.join(', ')} in the form below`, text);
  const [, , value, command, nth, times] = match;
  if (command !== undefined && !Object.hasOwn(TPM_CC, command))
    return invalid('a command like Quote or NV_Read', command);
  return checkFault({
    kind,
    ...(value === undefined
      ? {}
      : kind === 'nsm-error'
        ? { error: value as NsmErrorName }
        : { value: Number(value) }),
    ...(command === undefined ? {} : { command: command as TpmCommandName }),
    ...(nth === undefined ? {} : { nth: Number(nth) }),
    ...(times === undefined ? {} : { times: Number(times) }),
  });
}

/** The fault itself when it makes sense. @throws ToolError `simulator.fault-invalid` */
export function checkFault(fault: Fault): Fault {
  const { kind, value, error, nth = 1, times = 1 } = fault;
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 0 || value > 0xffffffff))
    return invalid('a number', String(value));
  if ((kind === 'late' || kind === 'rc') && value === undefined)
    return invalid(`${kind}=<value>`, kind);
  if (kind === 'rc' && value === 0) return invalid('a response code other than success', '0');
  if (error !== undefined && !NSM_ERRORS.includes(error))
    return invalid(`one of ${NSM_ERRORS.join(', ')}`, error);
  if (nth < 1 || times < 1) return invalid('counts from 1 on', `#${nth} x${times}`);
  return fault;
}

/** The faults that are set, and which of them strikes next. */
export class FaultPlan {
  readonly #armed: { readonly fault: Fault; seen: number }[] = [];

  add(fault: Fault): void {
    this.#armed.push({ fault: checkFault(fault), seen: 0 });
  }

  clear(): void {
    this.#armed.length = 0;
  }

  /** The faults that strike the command with this code, in the order in which they were set. */
  strike(code: number): Fault[] {
    return this.#armed
      .filter(({ fault }) => matches(fault, code))
      .filter((one) => {
        one.seen++;
        const { nth = 1, times = 1 } = one.fault;
        return one.seen >= nth && one.seen < nth + times;
      })
      .map(({ fault }) => fault);
  }
}

/** The response code that replaces a command, if a fault says so. */
export function forcedResponseCode(faults: readonly Fault[]): number | undefined {
  for (const { kind, value } of faults) {
    if (kind === 'rc') return value;
    if (kind === 'nv-full') return TPM_RC.NV_SPACE;
  }
  return undefined;
}

/** The answer as it travels: what a fault on the wire makes of it. */
export function damage(response: Uint8Array, faults: readonly Fault[]): Uint8Array {
  let bytes = response;
  for (const { kind, value } of faults) {
    if (kind === 'truncated') bytes = bytes.slice(0, value ?? bytes.length >> 1);
    else if (kind === 'garbled')
      bytes = bytes.map((byte, i) =>
        value === undefined || i === value % bytes.length ? byte ^ 0xff : byte,
      );
    else if (kind === 'oversized') {
      const larger = new Uint8Array(bytes.length + (value ?? 5000)).fill(0xa5);
      larger.set(bytes);
      new DataView(larger.buffer).setUint32(2, larger.length);
      bytes = larger;
    }
  }
  return bytes;
}

function matches(fault: Fault, code: number): boolean {
  if (fault.kind === 'nv-full') return code === TPM_CC.NV_DefineSpace;
  if (fault.kind === 'nsm-error') return code === TPM_CC.NSM_REQUEST;
  return fault.command === undefined || code === TPM_CC[fault.command];
}

function invalid(expected: string, actual: string): never {
  throw new ToolError('simulator.fault-invalid', { expected, actual: JSON.stringify(actual) });
}
