import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { createVerifierPool as CreateVerifierPool, VerifierPool } from './index.js';

// Workers run the built file, so the pool is tested as it ships.
const { createVerifierPool } = (await import(new URL('../dist/node.js', import.meta.url).href)) as {
  createVerifierPool: typeof CreateVerifierPool;
};

const vector = JSON.parse(
  readFileSync(new URL('../test-vectors/cases/valid-bundle-seed.json', import.meta.url), 'utf8'),
);
const options = {
  ...vector.options,
  now: new Date(vector.nowMs),
  trustAnchors: vector.trustAnchorsPem,
};
const evidence = JSON.stringify(vector.input.value);

let pool: VerifierPool | undefined;
afterEach(() => pool?.close());

describe('createVerifierPool', () => {
  it('verifies side by side, over WebAssembly by default', async () => {
    pool = createVerifierPool({ threads: 2 });
    const { inspect } = pool;
    const reports = await Promise.all(
      Array.from({ length: 40 }, () => inspect.call(pool, evidence, vector.manifest, options)),
    );
    expect(new Set(reports.map(({ verdict }) => verdict))).toEqual(new Set(['verified']));
    expect(reports[0]?.provider).toBe('wasm');
    expect(pool.queued).toBe(0);
  });

  it('gives the report of a rejection', async () => {
    pool = createVerifierPool({ threads: 1, provider: 'node:crypto' });
    const report = await pool.inspect(evidence, vector.manifest, { ...options, nonce: '00' });
    expect(report).toMatchObject({ verdict: 'rejected', code: 'freshness.nonce-mismatch' });
  });

  it('pushes back when too many wait, and recovers', async () => {
    pool = createVerifierPool({ threads: 1, maxQueued: 2 });
    const started = [1, 2, 3].map(() => pool?.inspect(evidence, vector.manifest, options));
    await expect(pool.inspect(evidence, vector.manifest, options)).rejects.toMatchObject({
      code: 'pool.overloaded',
    });
    await Promise.all(started);
    expect((await pool.inspect(evidence, vector.manifest, options)).verdict).toBe('verified');
  });

  it('finishes what it accepted when it closes, and accepts nothing after that', async () => {
    pool = createVerifierPool({ threads: 1 });
    const accepted = [1, 2, 3, 4].map(() => pool?.inspect(evidence, vector.manifest, options));
    const closed = pool.close();
    await expect(pool.inspect(evidence, vector.manifest, options)).rejects.toMatchObject({
      code: 'pool.closed',
    });
    await closed;
    expect((await Promise.all(accepted)).map((report) => report?.verdict)).toEqual(
      Array(4).fill('verified'),
    );
  });

  it('says TypeError for mistakes of the caller, in the options and in what cannot be cloned', async () => {
    pool = createVerifierPool({ threads: 1 });
    await expect(
      pool.inspect(evidence, vector.manifest, { ...options, maxAgeSeconds: -1 }),
    ).rejects.toBeInstanceOf(TypeError);
    expect(() => createVerifierPool({ threads: 0 })).toThrow(TypeError);
  });

  it('works in a program that was given as text', () => {
    const program = `
      const { createVerifierPool } = await import(${JSON.stringify(new URL('../dist/node.js', import.meta.url).href)});
      const pool = createVerifierPool({ threads: 1 });
      const { verdict } = await pool.inspect('{}');
      await pool.close();
      console.log(verdict);`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('rejected\n');
  });

  it('refuses rules of signers that sending them to a worker would lose', async () => {
    pool = createVerifierPool({ threads: 1 });
    const manifestKeys = Object.create(
      { threshold: 2 },
      { keys: { value: 'x', enumerable: true } },
    );
    await expect(
      pool.inspect(evidence, vector.manifest, { ...options, manifestKeys }),
    ).rejects.toBeInstanceOf(TypeError);
  });

  it('does not keep the bytes of the caller: later changes reach nobody', async () => {
    pool = createVerifierPool({ threads: 1 });
    const bytes = new TextEncoder().encode(evidence);
    const first = pool.inspect(evidence, vector.manifest, options); // keeps the only worker busy
    const second = pool.inspect(bytes, vector.manifest, options);
    bytes.fill(0);
    expect([(await first).verdict, (await second).verdict]).toEqual(['verified', 'verified']);
  });

  it('fails and does not hang when its workers cannot start', async () => {
    pool = createVerifierPool({ threads: 1, provider: 'nonsense' as 'wasm' });
    await expect(pool.inspect(evidence, vector.manifest, options)).rejects.toMatchObject({
      code: 'pool.worker-failed',
    });
    await expect(pool.inspect(evidence, vector.manifest, options)).rejects.toMatchObject({
      code: 'pool.worker-failed',
    });
  });
});
