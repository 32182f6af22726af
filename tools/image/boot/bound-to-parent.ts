import { spawnSync } from 'node:child_process';
import { findTool } from '../build/host-tools.js';

const DEATH_SIGNAL = ['--pdeathsig', 'KILL', '--'] as const;
let found: string | undefined;
let isKnown = false;

/**
 * A command that the kernel ends with this process, also when that is killed and can clean up nothing:
 * a guest must not run on unseen. By setpriv of util-linux; where that is not, the command as it is.
 */
export function boundToParent(
  program: string,
  args: readonly string[],
): readonly [program: string, args: readonly string[]] {
  const setpriv = findSetpriv();
  return setpriv === undefined ? [program, args] : [setpriv, [...DEATH_SIGNAL, program, ...args]];
}

/** Busybox has one, too, without this option. */
function findSetpriv(): string | undefined {
  if (isKnown) return found;
  isKnown = true;
  const path = findTool('setpriv');
  if (path === undefined) return undefined;
  const probe = spawnSync(path, [...DEATH_SIGNAL, process.execPath, '--version'], {
    stdio: 'ignore',
  });
  if (probe.status === 0) found = path;
  return found;
}
