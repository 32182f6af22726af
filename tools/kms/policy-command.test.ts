import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner, signManifest } from 'tee-verify/manifest';
import { afterAll, describe, expect, it } from 'vitest';
import { parseKeyPolicy } from './policy-document.js';
import {
  expectError,
  type Outcome,
  type RunOptions,
  runTeeKms,
  textOf,
} from './testing/run-tee-kms.js';

const folder = mkdtempSync(join(tmpdir(), 'tee-kms-policy-'));
const at = (name: string): string => join(folder, name);
const APP = 'arn:aws:iam::111122223333:role/app';
const MANIFEST = JSON.stringify({
  version: 1,
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'v1', pcrs: { 4: 'a4'.repeat(48), 12: '00'.repeat(48) } }],
});
writeFileSync(at('manifest.json'), MANIFEST);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (args: readonly string[], options?: RunOptions): Promise<Outcome> =>
  runTeeKms(folder, args, options);

describe('tee-kms policy', () => {
  const root = {
    Sid: 'Admin',
    Effect: 'Allow',
    Principal: { AWS: 'arn:aws:iam::111122223333:root' },
    Action: 'kms:*',
    Resource: '*',
  };
  const policy = (...more: string[]): string[] => [
    'policy',
    'manifest.json',
    '--principal',
    APP,
    ...more,
  ];

  it('goes into an existing policy, again and again', async () => {
    writeFileSync(
      at('policy.json'),
      JSON.stringify({ Version: '2012-10-17', Id: 'x', Statement: [root] }),
    );
    const merge = policy('--merge', 'policy.json', '--out', 'policy.json');
    expect(await run(merge)).toMatchObject({ status: 0, stderr: '' });
    const first = readFileSync(at('policy.json'), 'utf8');
    await run(merge);
    expect(readFileSync(at('policy.json'), 'utf8')).toBe(first);
    expect(parseKeyPolicy(first)).toMatchObject({
      Id: 'x',
      Statement: [root, { Sid: 'AttestedUse' }],
    });
  });

  it('is checked: 1 for findings, 0 for none or accepted ones', async () => {
    const check = ['policy', 'check', 'policy.json', '--manifest', 'manifest.json'];
    const found = await run(check);
    expect(found).toMatchObject({ status: 1, stderr: '' });
    expect(textOf(found)).toContain('policy.root-delegates  statement 0 (Admin)');
    expect((await run([...check, '--accept', 'policy.root-delegates'])).status).toBe(0);
    const json = await run([...check, '--json']);
    expect(json.status).toBe(1);
    expect(JSON.parse(textOf(json))).toMatchObject({
      ok: false,
      findings: [
        { code: 'policy.root-delegates', severity: 'warning', statement: 0, sid: 'Admin' },
      ],
    });
    const made = await run(policy());
    const piped = await run(['policy', 'check', '-', '--manifest', 'manifest.json'], {
      input: made.stdout,
    });
    expect(piped).toMatchObject({ status: 0, stderr: '' });
  });

  it('takes signed manifests with their keys only', async () => {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, [
      'sign',
      'verify',
    ]);
    const signer = await createSigner(await crypto.subtle.exportKey('jwk', keys.privateKey));
    writeFileSync(at('manifest.jws'), await signManifest(MANIFEST, signer));
    writeFileSync(at('keys.json'), JSON.stringify({ keys: [signer.publicJwk] }));
    const signed = ['policy', 'manifest.jws', '--principal', APP];
    expectError(await run(signed), 'usage.option-conflict', 2);
    expectError(await run(policy('--manifest-keys', 'keys.json')), 'usage.option-conflict', 2);
    const made = await run([...signed, '--manifest-keys', 'keys.json']);
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(textOf(made)).toBe(textOf(await run(policy())));
    const other = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, [
      'sign',
      'verify',
    ]);
    const { publicJwk } = await createSigner(
      await crypto.subtle.exportKey('jwk', other.privateKey),
    );
    writeFileSync(at('others.json'), JSON.stringify({ keys: [publicJwk] }));
    expectError(
      await run([...signed, '--manifest-keys', 'others.json']),
      'manifest.signature-invalid',
    );
  });

  it('says what is wrong in one line', async () => {
    writeFileSync(at('broken.json'), '{"Statement":[{}]}');
    writeFileSync(at('deep.json'), `{"Statement":[${'['.repeat(60_000)}${']'.repeat(60_000)}]}`);
    writeFileSync(at('unclear.json'), JSON.stringify({ PCR4: 'a4'.repeat(48) }));
    const sets = `{"pcrs":{"4":"${'a4'.repeat(48)}","4":"${'a5'.repeat(48)}"}}`;
    writeFileSync(
      at('twice.json'),
      `{"version":1,"platform":"nitrotpm","hashAlgorithm":"SHA384","measurementSets":[${sets}]}`,
    );
    const rows: readonly (readonly [string[], string, number])[] = [
      [['policy', 'manifest.json'], 'usage.option-invalid', 2],
      [['policy', 'nothing.json', '--principal', APP], 'file.unreadable', 2],
      [['policy', 'unclear.json', '--principal', APP], 'policy.platform-unclear', 1],
      [policy('--merge', 'broken.json'), 'policy.malformed', 1],
      [policy('--pcrs', '4'), 'manifest.incomplete', 1],
      [policy('--actions', 'kms:*'), 'usage.option-invalid', 2],
      [['policy', '-', '--merge', '-', '--principal', APP], 'usage.option-conflict', 2],
      [['policy', 'check', 'broken.json', '--manifest', 'manifest.json'], 'policy.malformed', 1],
      [['policy', 'twice.json', '--principal', APP], 'manifest.malformed', 1],
      [['policy', 'check', 'deep.json', '--manifest', 'manifest.json'], 'policy.malformed', 1],
      [['policy', 'check', '-', '--manifest', '-'], 'usage.option-conflict', 2],
      [
        ['policy', 'check', 'policy.json', '--manifest', 'manifest.json', '--accept', 'all'],
        'usage.option-invalid',
        2,
      ],
    ];
    for (const [args, code, status] of rows) expectError(await run(args), code, status);
  });

  it('has help for everything', async () => {
    for (const args of [
      [],
      ['decrypt'],
      ['generate-data-key'],
      ['generate-random'],
      ['policy'],
      ['policy', 'check'],
    ]) {
      const { status, stderr, ...outcome } = await run([...args, '--help']);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(textOf({ status, stderr, ...outcome })).toMatch(/Usage: tee-kms/);
    }
    // The lists of options would take what comes behind them.
    const help = textOf(await run(['policy', '--help']));
    expect(help).toContain('Usage: tee-kms policy <manifest> --principal <arn...> [options]');
    expect((await run(['decrypt'])).status).toBe(2);
    expect((await run(['nonsense'])).status).toBe(2);
  });
});
