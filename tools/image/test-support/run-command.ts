import { spawnSync } from 'node:child_process';

/** Runs a program to its end; throws with what it printed when it fails. For tests. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: Uint8Array } = {},
): Uint8Array {
  const run = spawnSync(program, args, {
    ...options,
    maxBuffer: 256 * 1024 * 1024,
    timeout: 120_000,
    env: { ...process.env, LC_ALL: 'C', SOURCE_DATE_EPOCH: '0', MTOOLS_SKIP_CHECK: '1' },
  });
  if (run.error !== undefined) throw run.error;
  if (run.status !== 0)
    throw new Error(
      `${program} ${args.join(' ')} failed (${run.status}): ${run.stderr}${run.stdout}`,
    );
  return run.stdout;
}
