import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const COMMAND = fileURLToPath(new URL('../bin/tee-kms.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/tee-kms.js', import.meta.url));
if (!existsSync(BUILT)) throw new Error('tee-kms is not built: run npm run build first');

/** How a run of the command ended. */
export interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** What a run gets besides its arguments. */
export interface RunOptions {
  readonly input?: Uint8Array | string;
  readonly env?: NodeJS.ProcessEnv;
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs the command while the servers of this process answer it. */
export function runTeeKms(
  cwd: string,
  args: readonly string[],
  { input, env = {}, onStart }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      cwd,
      env: { PATH: process.env.PATH, AWS_ACCESS_KEY_ID: 'app', AWS_SECRET_ACCESS_KEY: 'x', ...env },
    });
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => out.push(data));
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve({ status, signal, stdout: new Uint8Array(Buffer.concat(out)), stderr }),
    );
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    onStart?.(child);
  });
}

/** Standard output as text. */
export const textOf = ({ stdout }: Outcome): string => new TextDecoder().decode(stdout);

/** One line with the code and the hint, and nothing on standard output. */
export function expectError(outcome: Outcome, code: string, status = 1, lines = 1): void {
  expect(outcome.stderr).toMatch(
    new RegExp(`^tee-kms: ${code.replace('.', '\\.')}: .+ Hint: .+\n`),
  );
  expect(outcome.stderr.trim().split('\n')).toHaveLength(lines);
  expect(outcome.stdout).toHaveLength(0);
  expect(outcome.status).toBe(status);
}
