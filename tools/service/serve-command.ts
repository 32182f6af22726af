import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { AttestationError, type ManifestKeys, verifyAttestation } from 'tee-verify';
import { decodeHex } from 'tee-verify/bytes';
import { isSignedManifest, type Signer } from 'tee-verify/manifest';
import { createVerifierPool, type VerifierPool } from 'tee-verify/node';
import {
  type ChallengeStore,
  createChallenges,
  createMemoryChallengeStore,
} from 'tee-verify/result';
import { EXIT, onInterrupt, readInput } from '../common/command-line.js';
import { createKmsSigner, readSigningKey } from '../common/signing-key.js';
import { ToolError } from '../common/tool-error.js';
import { wholeNumber } from '../common/whole-number.js';
import { listen } from './node-server.js';
import type { RedisChallengeStore } from './redis-challenge-store.js';
import { createVerifierHandler } from './verifier-handler.js';
import type { VerifierPolicy } from './verifier-options.js';

const MAX_FILE_BYTES = 1_048_576;
const PROVIDERS = ['wasm', 'node:crypto', 'webcrypto', 'noble'] as const;

const HELP = `
The service issues challenges, verifies the evidence that answers them, and signs attestation
results (EAR) that other services verify with its public keys:
  GET  /v1/challenge?audience=…   a nonce, good for one answer
  POST /v1/results                {"nonce": …, "evidence": …} in, {"token": …} out
  GET  /.well-known/jwks.json  /healthz  /readyz  /metrics  /openapi.json

It speaks HTTP: put TLS in front. Several machines share --challenge-key, --signing-key (or
--kms-key) and --redis; without --redis, used challenges are remembered by this process alone.
Logs are one JSON object a line on standard output, without anything of the evidence.

Examples:
  openssl ecparam -name prime256v1 -genkey -noout -out result-key.pem
  openssl rand -hex 32 > challenge-key.txt
  tee-verifier serve --policy https://payments.example=payments.manifest.json \\
    --signing-key result-key.pem --challenge-key challenge-key.txt
  tee-verifier serve --policy payments=signed.jws --manifest-keys publisher.pem \\
    --kms-key alias/results --challenge-key challenge-key.txt --redis redis://127.0.0.1:6379

Exit status: 0 stopped by SIGTERM or SIGINT after finishing what was under way, 1 a failure or
requests that had to be cut off, 2 wrong usage or an unreadable file.`;

interface Flags {
  readonly listen: { readonly host: string; readonly port: number };
  readonly policy: readonly { readonly audience: string; readonly path: string }[];
  readonly manifestKeys?: string;
  readonly trustAnchor?: readonly string[];
  readonly requireQuote?: true;
  readonly signingKey?: string;
  readonly kmsKey?: string;
  readonly keyId?: string;
  readonly challengeKey?: string;
  readonly redis?: string;
  readonly issuer?: string;
  readonly resultLifetime: number;
  readonly challengeLifetime: number;
  readonly threads: number;
  readonly provider: (typeof PROVIDERS)[number];
  readonly maxConcurrent: number;
  readonly grace: number;
}

/** `tee-verifier serve`: the handler on Node, with a pool of workers and perhaps Redis. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('verify evidence over HTTP and issue attestation results')
    .requiredOption(
      '--policy <audience=manifest>',
      'results for this audience are about this manifest; repeatable',
      addPolicy,
    )
    .option('--manifest-keys <file>', 'manifests must be signed: JWK set, PEM, or rules in JSON')
    .option('--trust-anchor <pem...>', 'trust these roots instead of the AWS Nitro root')
    .option('--require-quote', 'refuse evidence without a TPM quote')
    .option(
      '--signing-key <file>',
      'private key that signs results: PEM or JWK; - reads standard input',
    )
    .option('--kms-key <id>', 'or an AWS KMS key: id, ARN or alias')
    .option('--key-id <kid>', 'name of the key in the results (default: its thumbprint)')
    .option('--challenge-key <file>', '32 bytes or more, as hex; default: random, for one machine')
    .option('--redis <url>', 'remember used challenges here, for several machines')
    .option('--issuer <name>', 'name of this verifier in the results')
    .addOption(
      new Option('--listen <host:port>', 'where to listen; port 0 is any')
        .argParser(parseAddress)
        .default({ host: '127.0.0.1', port: 8080 }, '127.0.0.1:8080'),
    )
    .option('--result-lifetime <seconds>', 'how long results count', wholeNumber(1, 86_400), 300)
    .option('--challenge-lifetime <seconds>', 'how long challenges wait', wholeNumber(1, 3600), 120)
    .option('--threads <n>', 'worker threads', wholeNumber(1, 256), availableParallelism())
    .addOption(
      new Option('--provider <name>', 'cryptography to use').choices(PROVIDERS).default('wasm'),
    )
    .option('--max-concurrent <n>', 'verifications under way at once', wholeNumber(1, 65_536), 256)
    .option('--grace <seconds>', 'how long to finish after SIGTERM', wholeNumber(0, 600), 10)
    .addHelpText('after', HELP)
    .action(serve);
}

async function serve(flags: Flags): Promise<void> {
  checkStandardInput(flags);
  const signer = await readSigner(flags);
  const manifestKeys =
    flags.manifestKeys === undefined ? undefined : await readManifestKeys(flags.manifestKeys);
  const trustAnchors =
    flags.trustAnchor === undefined
      ? undefined
      : await Promise.all(flags.trustAnchor.map(readText));
  const policies = await Promise.all(
    flags.policy.map(({ audience, path }) =>
      readPolicy(audience, path, { manifestKeys, trustAnchors }, flags.requireQuote === true),
    ),
  );
  if (new Set(policies.map(({ audience }) => audience)).size !== policies.length)
    throw new ToolError('usage.option-conflict', { actual: 'two policies for one audience' });
  const key = await readChallengeKey(flags);

  const store: ChallengeStore & Partial<Pick<RedisChallengeStore, 'close'>> =
    flags.redis === undefined ? createMemoryChallengeStore() : await openRedis(flags.redis);
  const pool: VerifierPool = createVerifierPool({
    threads: flags.threads,
    provider: flags.provider,
  });
  const handler = createVerifierHandler({
    policies,
    signer,
    challenges: createChallenges({ key, store, lifetimeSeconds: flags.challengeLifetime }),
    resultLifetimeSeconds: flags.resultLifetime,
    maxConcurrent: flags.maxConcurrent,
    ...(flags.issuer !== undefined && { issuer: flags.issuer }),
    verifyOptions: { ...(trustAnchors !== undefined && { trustAnchors }) },
    inspect: (evidence, manifest, options) => pool.inspect(evidence, manifest, options),
    log: (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`),
  });
  try {
    const server = await listen(handler, flags.listen.host, flags.listen.port);
    note('listening', { address: `${server.host}:${server.port}`, threads: flags.threads });
    await new Promise<void>((resolve) => {
      onInterrupt(resolve);
    });
    handler.drain();
    note('stopping', { graceSeconds: flags.grace });
    const cut = await server.close(flags.grace * 1000);
    note('stopped', { cutOff: cut });
    process.exitCode = cut === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await pool.close();
    await store.close?.();
  }
}

/** Standard input can be read once. */
function checkStandardInput(flags: Flags): void {
  const { signingKey, challengeKey, manifestKeys, policy, trustAnchor = [] } = flags;
  const files = [signingKey, challengeKey, manifestKeys, ...policy.map(({ path }) => path)];
  if ([...files, ...trustAnchor].filter((path) => path === '-').length > 1)
    throw new ToolError('usage.option-conflict', { actual: '- more than once' });
}

async function openRedis(url: string): Promise<RedisChallengeStore> {
  const { createRedisChallengeStore } = await import('./redis-challenge-store.js');
  try {
    return createRedisChallengeStore({ url });
  } catch (cause) {
    throw new ToolError('usage.option-invalid', {
      actual: '--redis that is no redis:// URL',
      cause,
    });
  }
}

async function readSigner({ signingKey, kmsKey, keyId }: Flags): Promise<Signer> {
  if ((signingKey === undefined) === (kmsKey === undefined))
    throw new ToolError('usage.option-conflict', {
      expected: 'one of --signing-key and --kms-key',
      actual: signingKey === undefined ? 'neither' : 'both',
    });
  return signingKey !== undefined
    ? readSigningKey(signingKey, { keyId })
    : createKmsSigner(kmsKey as string, { keyId });
}

interface Trust {
  readonly manifestKeys: ManifestKeys | undefined;
  readonly trustAnchors: readonly string[] | undefined;
}

/** The first byte of a document: as evidence it gets as far as the manifest, and no further. */
const NO_DOCUMENT = [0x84] as const;

/**
 * Reads a manifest and tries it as every request will, so that one that is no good (unreadable,
 * badly signed, incomplete) stops the start.
 */
async function readPolicy(
  audience: string,
  path: string,
  { manifestKeys, trustAnchors }: Trust,
  requireQuote: boolean,
): Promise<VerifierPolicy> {
  const manifest = await readText(path);
  if (manifestKeys === undefined && isSignedManifest(manifest))
    throw new ToolError('usage.option-conflict', {
      expected: '--manifest-keys for a signed manifest',
      actual: path,
    });
  await verifyAttestation(Uint8Array.from(NO_DOCUMENT), manifest, {
    ...(manifestKeys !== undefined && { manifestKeys }),
    ...(trustAnchors !== undefined && { trustAnchors }),
  }).catch((cause: unknown) => {
    if (cause instanceof TypeError)
      throw new ToolError('usage.option-invalid', { actual: cause.message, cause });
    if (!(cause instanceof AttestationError) || cause.step === 'manifest') throw cause;
  });
  return {
    audience,
    manifest,
    requireQuote,
    ...(manifestKeys !== undefined && { manifestKeys }),
  };
}

async function readManifestKeys(path: string): Promise<ManifestKeys> {
  const text = await readText(path);
  // PEM only by how it starts: rules in JSON may hold PEM, and their threshold must not be lost.
  if (!/^\s*[[{]/.test(text) && text.includes('-----BEGIN PUBLIC KEY-----')) return text;
  try {
    const json: unknown = JSON.parse(text);
    const isKey = typeof json === 'object' && json !== null && 'kty' in json;
    return (isKey ? [json] : json) as ManifestKeys;
  } catch (cause) {
    throw new ToolError('usage.option-invalid', {
      expected: 'a JWK set, rules in JSON, or PEM',
      actual: path,
      cause,
    });
  }
}

/** Hex text of 32 bytes or more. Random only where nobody else must know it. */
async function readChallengeKey({ challengeKey, redis }: Flags): Promise<Uint8Array> {
  if (challengeKey === undefined) {
    if (redis !== undefined)
      throw new ToolError('usage.option-conflict', {
        expected: '--challenge-key, the same on every machine, with --redis',
        actual: 'none',
      });
    return new Uint8Array(randomBytes(32));
  }
  const key = decodeHex((await readText(challengeKey)).trim());
  if (key === undefined || key.length < 32)
    throw new ToolError('key.unusable', {
      expected: 'at least 64 hex digits as --challenge-key',
      actual:
        challengeKey === '-' ? 'something else on standard input' : `those of ${challengeKey}`,
      hint: 'Make one: openssl rand -hex 32 > challenge-key.txt.',
    });
  return key;
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readInput(path, MAX_FILE_BYTES));
}

function note(event: string, details: object): void {
  process.stdout.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: 'info', event, ...details })}\n`,
  );
}

function addPolicy(text: string, before: Flags['policy'] = []): Flags['policy'] {
  const at = text.lastIndexOf('=');
  if (at < 1 || at > 1024 || at === text.length - 1)
    throw new InvalidArgumentError(
      'Expected <audience>=<manifest file>, the audience with 1024 characters at most.',
    );
  return [...before, { audience: text.slice(0, at), path: text.slice(at + 1) }];
}

function parseAddress(text: string): Flags['listen'] {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError('Expected host:port, e.g. 127.0.0.1:8080 or [::]:8080.');
  return { host: (match[1] ?? match[2]) as string, port };
}
