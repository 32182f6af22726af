import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { ToolError } from '../common/tool-error.js';

/** Locks of this process: its own number in a lock file may be an earlier process's. */
const HELD = new Set<string>();

/**
 * Takes `<path>.lock`, so that no two runs write one state file; gives the function that releases it.
 * A lock whose process has ended is taken over. Throws `ami.state-unusable`, `file.unwritable`.
 */
export function lockState(path: string): () => void {
  const lock = `${path}.lock`;
  if (HELD.has(lock)) throw taken(lock, 'this process');
  for (let attempt = 1; ; attempt++) {
    try {
      const file = openSync(lock, 'wx');
      writeSync(file, `${process.pid} ${startOf(process.pid)}\n`);
      closeSync(file);
      break;
    } catch (cause) {
      const { code = 'an error' } = cause as NodeJS.ErrnoException;
      if (code !== 'EEXIST') throw unwritable(lock, code, cause);
      const holder = holderOf(lock);
      if (holder !== undefined || attempt > 3) throw taken(lock, `process ${holder ?? 'unknown'}`);
      remove(lock);
    }
  }
  HELD.add(lock);
  return () => {
    if (HELD.delete(lock)) remove(lock);
  };
}

/** The process that holds a lock, if it still runs. */
function holderOf(lock: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(lock, 'latin1');
  } catch {
    return undefined;
  }
  const [, digits, start] = /^(\d{1,10}) (\S*)\n$/.exec(text) ?? [];
  const pid = Number(digits);
  if (digits === undefined || pid === process.pid || startOf(pid) !== start) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  return pid;
}

/** When a process began, since numbers are used again (proc_pid_stat(5), field 22); Linux alone. */
function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function remove(lock: string): void {
  try {
    unlinkSync(lock);
  } catch {
    // Somebody else removed it.
  }
}

function taken(lock: string, holder: string): ToolError {
  return new ToolError('ami.state-unusable', {
    expected: 'a state file that no other upload uses',
    actual: `${lock} of ${holder}`,
    hint: 'Wait for the other upload, or stop it. Another image needs another --state.',
  });
}

function unwritable(lock: string, code: string, cause: unknown): ToolError {
  return new ToolError('file.unwritable', {
    actual: `${code} at ${lock}`,
    hint: 'The state file stands beside the image; name another place with --state.',
    cause,
  });
}
