import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ScriptRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Programs that stand in for real ones: name → shell script. */
export type StandIns = Readonly<Record<string, string>>;

/**
 * Writes the stand-ins into a folder and returns a PATH of it and the system's programs, without
 * what npm adds to its own.
 */
export function standInPath(folder: string, standIns: StandIns): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, script] of Object.entries(standIns)) {
    writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return `${folder}:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** Runs a bash script file with arguments. */
export function runScript(
  script: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): ScriptRun {
  const { status, stdout, stderr } = spawnSync('bash', [script, ...args], {
    encoding: 'utf8',
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  return { status, stdout, stderr };
}
