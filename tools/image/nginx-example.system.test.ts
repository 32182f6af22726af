import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY, skipLoudly } from './test-support/nix-workspace.js';

const EXAMPLE = join(REPOSITORY, 'nix/examples/nginx-kms');
const folder = mkdtempSync(join(tmpdir(), 'nginx-kms-'));
const at = (...names: string[]): string => join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stands in for a program: notes its arguments, and answers what the first rule that fits says. */
const standIn = (rules: string): string => `#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >> "${at('log')}"
case "$*" in
${rules}
esac
`;

const run = (script: string, ...args: string[]) =>
  spawnSync('bash', [at('example/scripts', script), ...args], {
    encoding: 'utf8',
    env: { PATH: `${at('bin')}:${process.env.PATH}`, HOME: folder },
  });
const log = (): string => readFileSync(at('log'), 'utf8');

beforeAll(() => {
  cpSync(EXAMPLE, at('example'), { recursive: true });
  mkdirSync(at('example/result'));
  mkdirSync(at('bin'));
  writeFileSync(at('example/result/manifest.json'), '{}');
  const programs: Record<string, string> = {
    aws: `*create-key*|*describe-key*) echo 1234 ;;
*"kms encrypt"*) echo c2VhbGVk ;;
*get-key-policy*) echo '{"old":1}' ;;
*put-key-policy*) cp "$(printf '%s\\n' "$@" | sed -n 's|^file://||p')" "${at('put.json')}" ;;
*run-instances*) echo i-1 ;;`,
    nix: `*) cp /dev/null "${at('built')}" ;;`,
    'tee-image': `*) ;;`,
    'tee-kms': `"policy check"*) [ -e "${at('unreadable')}" ] && exit 2; exit 1 ;;
policy*) cat "$6"; echo merged ;;`,
    'tee-ami': `*) echo '{"imageId":"ami-0123"}' ;;`,
  };
  for (const [name, rules] of Object.entries(programs)) {
    writeFileSync(at('bin', name), standIn(rules));
    chmodSync(at('bin', name), 0o755);
  }
});

describe('the scripts of examples/nginx-kms', () => {
  const isMissing = skipLoudly(
    'shellcheck of the example',
    spawnSync('shellcheck', ['--version']).status === 0 ? undefined : 'shellcheck',
  );

  it.skipIf(isMissing)('please shellcheck', () => {
    const scripts = readdirSync(join(EXAMPLE, 'scripts')).filter((name) => name.endsWith('.sh'));
    expect(scripts.length).toBe(7);
    const checked = spawnSync('shellcheck', ['-x', ...scripts], {
      cwd: join(EXAMPLE, 'scripts'),
      encoding: 'utf8',
    });
    expect(checked).toMatchObject({ stdout: '', status: 0 });
  });

  it('make the KMS key and its alias', () => {
    expect(run('1-create-key.sh')).toMatchObject({ status: 0, stdout: '1234 (alias/nginx-kms)\n' });
    expect(log()).toContain('create-alias --alias-name alias/nginx-kms --target-key-id 1234');
  });

  it('make the payload key, secret for clients and encrypted for the image', () => {
    expect(run('2-encrypt-key.sh')).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(at('example/secrets/payload-key.enc'), 'utf8')).toBe('sealed');
    const key = statSync(at('example/payload-key.bin'));
    expect([key.size, key.mode & 0o777]).toEqual([32, 0o600]);
    expect(statSync(at('example/secrets/payload-key.enc')).mode & 0o777).toBe(0o644);
  });

  it('build only where Nix does not copy the payload key into its store', () => {
    writeFileSync(at('example/result/tpm_pcr.json'), '{}');
    expect(run('3-build.sh')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('payload-key.bin'),
    });
    expect(existsSync(at('built'))).toBe(false);
    spawnSync('git', ['init', '--quiet', at('example')]);
    expect(run('3-build.sh')).toMatchObject({ status: 0, stdout: '{}' });
    expect(existsSync(at('built'))).toBe(true);
    // What is there of OpenSSH is allowed, not what starts it.
    expect(log()).not.toContain('--allow ssh-server');
  });

  it('set no policy that could not be checked', () => {
    writeFileSync(at('unreadable'), '');
    expect(run('4-set-policy.sh', 'arn:aws:iam::1:role/x').status).toBe(2);
    expect(existsSync(at('put.json'))).toBe(false);
    rmSync(at('unreadable'));
  });

  it('put the merged policy into place, and say what is left in it', () => {
    const { status, stderr } = run('4-set-policy.sh', 'arn:aws:iam::1:role/x');
    expect(status).toBe(0);
    expect(stderr).toContain('administrators');
    expect(log()).toMatch(
      /tee-kms policy \S+manifest.json --principal arn:aws:iam::1:role\/x --merge/,
    );
    expect(readFileSync(at('put.json'), 'utf8')).toBe('{"old":1}\nmerged\n');
    expect(run('4-set-policy.sh').status).toBe(2);
  });

  it('launch the AMI that was made', () => {
    const { status, stdout } = run('5-launch.sh', 'profile', 'subnet-1', 'sg-1');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'i-1\n' });
    expect(log()).toMatch(/run-instances --image-id ami-0123 .*HttpTokens=required/);
    expect(run('5-launch.sh', 'profile').status).toBe(2);
  });

  it('stop when a program fails', () => {
    writeFileSync(at('bin/tee-ami'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    expect(run('5-launch.sh', 'profile', 'subnet-1', 'sg-1').status).not.toBe(0);
  });
});

describe('the firewall of the example', () => {
  it('rejects what is not the user of payload-key.service, also packets without a user', () => {
    const text = readFileSync(join(EXAMPLE, 'configuration.nix'), 'utf8');
    const rules = /policy accept;\n([^}]*\}[^}]*)\}/.exec(text)?.[1]?.split('\n');
    expect(rules?.map((rule) => rule.trim()).filter((rule) => /^[^#]/.test(rule))).toEqual([
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Nix's.
      'meta skuid ${toString uid} accept',
      'ip daddr 169.254.169.254 reject',
      'ip6 daddr fd00:ec2::254 reject',
    ]);
  });
});

describe('decrypt.js', () => {
  interface Request {
    method: string;
    requestText: string;
    readonly variables: { readonly key_file: string };
    readonly headersOut: Record<string, string>;
    return(status: number, body?: Uint8Array): void;
  }
  const ask = async (requestText: string, method = 'POST') => {
    const { default: server } = (await import(pathToFileURL(join(EXAMPLE, 'decrypt.js')).href)) as {
      default: { handle(request: Request): Promise<void> };
    };
    let answer: readonly [number, string] | undefined;
    await server.handle({
      method,
      requestText,
      variables: { key_file: at('key') },
      headersOut: {},
      return(status, body) {
        answer = [status, Buffer.from(body ?? []).toString()];
      },
    });
    return answer;
  };
  const seal = (message: string): string =>
    spawnSync(process.execPath, [join(EXAMPLE, 'scripts/seal.mjs'), at('key'), message], {
      encoding: 'utf8',
    }).stdout;

  it('answers what seal.mjs sealed, and nothing else', async () => {
    writeFileSync(at('key'), Buffer.alloc(32, 7));
    const sealed = seal('grüezi');
    expect(await ask(sealed)).toEqual([200, 'grüezi']);
    expect(await ask(sealed, 'GET')).toEqual([405, '']);
    const bytes = Buffer.from(sealed, 'base64');
    bytes[14] = (bytes[14] as number) ^ 1;
    expect(await ask(bytes.toString('base64'))).toEqual([400, '']);
    for (const text of ['', 'AAAA', '%']) expect(await ask(text)).toEqual([400, '']);
  });
});
