import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspectAttestation } from 'tee-verify';
import { describe, expect, it } from 'vitest';
import { listen } from '../simulator/socket-server.js';
import { createSimulator } from '../simulator/tpm-simulator.js';

const ROOT = join(import.meta.dirname, '../..');
const built = existsSync(join(ROOT, 'tools/dist/tee-attest.js'));
if (!built) {
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: single executable, because tools/dist is missing (npm run build)');
}
const NONCE = 'c0ffee00c0ffee00';

describe.skipIf(!built || process.platform !== 'linux')('the single executable', () => {
  it('attests in an empty folder, without node_modules', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tee-attest-sea-'));
    const executable = join(folder, 'tee-attest');
    try {
      const build = spawnSync(process.execPath, ['scripts/build-sea.mjs', '--out', executable], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      expect(build.stderr).toBe('');
      expect(build.status).toBe(0);
      expect(readdirSync(folder)).toEqual(['tee-attest']);

      const simulator = await createSimulator();
      const { address, close } = await listen(simulator, { host: '127.0.0.1', port: 0 });
      try {
        const bundle = await run(executable, folder, ['--nonce', NONCE, '--tpm', address]);
        const report = await inspectAttestation(bundle, undefined, {
          nonce: NONCE,
          trustAnchors: [simulator.rootPem],
        });
        expect(report.code).toBeUndefined();
        expect(report.verdict).toBe('unappraised');
        const doctor = await run(executable, folder, ['doctor', '--tpm', address]);
        expect(doctor).toContain('This machine can attest.');
      } finally {
        await close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 180_000);
});

/** With nothing in its environment that could lead it to modules. */
function run(file: string, cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: { PATH: '/nonexistent' } });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`status ${status}: ${errors}`));
    });
  });
}
