import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../common/tool-error.js';
import { requireTools } from '../build/host-tools.js';
import { readIdentity } from '../signing/secure-boot-identity.js';
import type { Accelerator } from './accelerator.js';
import { checkBootable } from './check-bootable.js';
import { findFirmware } from './firmware.js';
import { type Machine, startMachine } from './machine.js';

/** How to boot an image. */
export interface BootOptions {
  /** Folder with PK.esl, KEK.esl, db.esl and perhaps dbx.esl: enrolled, Secure Boot is on. */
  readonly identity?: string;
  /** Folder with OVMF; default: where distributions keep it. */
  readonly firmware?: string;
  readonly memoryMiB: number;
  /** Default: KVM when it works. */
  readonly accelerator?: Accelerator;
  /** Stop after so many seconds; default: never. */
  readonly timeoutSeconds?: number;
  /** Stop when this text came on the serial console. */
  readonly until?: string;
  /** Stop when the guest runs and no PCR changed for so many seconds. */
  readonly settleSeconds?: number;
  readonly interactive?: boolean;
  readonly signal?: AbortSignal;
  readonly onStart?: (accelerator: Accelerator) => void;
  readonly onSerial: (bytes: Uint8Array) => void;
}

/** Why a boot ended. */
export type BootEnd = 'powered-off' | 'until' | 'settled' | 'timeout' | 'interrupted';

/** What a boot came to. */
export interface BootOutcome {
  readonly end: BootEnd;
  readonly accelerator: Accelerator;
  /** SHA-384 PCRs at the end, by index, lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
  /** The same when the firmware had handed over; undefined when it never did. */
  readonly pcrsAtHandOver: ReadonlyMap<number, string> | undefined;
}

const POLL_MS = 100;
const MAX_UNTIL_CHARACTERS = 1000;

/**
 * Boots a raw image in QEMU with a fresh software TPM, without changing it. Throws
 * `host.tool-missing`, `boot.*`, `identity.malformed`, `file.unreadable`.
 */
export async function bootImage(image: string, options: BootOptions): Promise<BootOutcome> {
  requireTools(['qemu-system-x86_64', 'swtpm']);
  await checkBootable(image);
  const identity =
    options.identity === undefined ? undefined : await readIdentity(options.identity);
  const firmware = await findFirmware(options.firmware, identity);
  const console = watchConsole(options);
  const machine = await startMachine(
    {
      image,
      firmware,
      secureBoot: identity !== undefined,
      memoryMiB: options.memoryMiB,
      interactive: options.interactive ?? false,
      ...(options.accelerator === undefined ? {} : { accelerator: options.accelerator }),
    },
    console.onSerial,
  );
  try {
    options.onStart?.(machine.accelerator);
    const end = await waitForEnd(machine, options, console.found);
    const replay = await machine.followTpm();
    return {
      end,
      accelerator: machine.accelerator,
      pcrs: replay.pcrs,
      pcrsAtHandOver: replay.atHandOver,
    };
  } finally {
    await machine.stop();
  }
}

/** Looks for the text of `until` in what passes by. */
function watchConsole({ until, onSerial }: BootOptions): {
  onSerial: (bytes: Uint8Array) => void;
  found: () => boolean;
} {
  if (until !== undefined && (until === '' || until.length > MAX_UNTIL_CHARACTERS))
    throw new ToolError('usage.option-invalid', {
      expected: `a text of 1 to ${MAX_UNTIL_CHARACTERS} characters`,
      actual: `${until.length}`,
    });
  const wanted = until === undefined ? undefined : Buffer.from(until).toString('latin1');
  let tail = '';
  let found = false;
  return {
    onSerial: (bytes) => {
      onSerial(bytes);
      if (wanted === undefined || found) return;
      tail += Buffer.from(bytes).toString('latin1');
      found = tail.includes(wanted);
      tail = tail.slice(-wanted.length);
    },
    found: () => found,
  };
}

async function waitForEnd(
  machine: Machine,
  { timeoutSeconds = Number.POSITIVE_INFINITY, settleSeconds, signal }: BootOptions,
  foundText: () => boolean,
): Promise<BootEnd> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  let hasEnded = false;
  const ended = machine.ended.finally(() => {
    hasEnded = true;
  });
  let changes = -1;
  let lastChange = 0;
  for (;;) {
    await Promise.race([ended, sleep(POLL_MS)]);
    if (signal?.aborted === true) return 'interrupted';
    if (foundText()) return 'until';
    if (hasEnded) return 'powered-off';
    if (seconds() > timeoutSeconds) return 'timeout';
    if (settleSeconds === undefined) continue;
    const replay = await machine.followTpm();
    if (replay.changes !== changes || replay.atHandOver === undefined) {
      changes = replay.changes;
      lastChange = seconds();
    } else if (seconds() - lastChange >= settleSeconds) return 'settled';
  }
}
