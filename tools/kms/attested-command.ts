import type { KMSClient } from '@aws-sdk/client-kms';
import { decode } from 'cbor-x/decode-no-eval';
import type { Command } from 'commander';
import { encodeHex, isFilledWith } from 'tee-verify/bytes';
import { endNow } from '../agent/end-process.js';
import { onInterrupt, ProgressLine, reportError } from '../common/command-line.js';
import { ToolError } from '../common/tool-error.js';
import { attestWithNitroTpm } from './attest-with-nitrotpm.js';
import type { AttestedCallOptions } from './attested-calls.js';
import type { Attester } from './create-recipient.js';
import { limitAnswers } from './limit-answers.js';

/** What every command that calls the key service takes. */
export interface AttestedCallFlags {
  readonly tpm?: string;
  readonly region?: string;
  readonly endpoint?: string;
  readonly timeout: number;
}

/** Adds the options that every attested call has. */
export function withCallOptions(command: Command): Command {
  return command
    .option(
      '--tpm <address>',
      'a device, tcp:host:port or unix:path (default: /dev/tpmrm0, else /dev/tpm0)',
    )
    .option('--region <name>', "the key's region (default: of the ARN, else of the environment)")
    .option('--endpoint <url>', 'another address of the key service, e.g. a VPC endpoint')
    .option(
      '--timeout <seconds>',
      'how long the key service may take, with what is tried again',
      parseSeconds,
      30,
    );
}

/** Bash's rules for what is an option's number: whole, and not nothing. */
function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d{1,4}$/.test(text) && seconds > 0) return seconds;
  throw new ToolError('usage.option-invalid', {
    expected: '--timeout of 1 to 9999 seconds',
    actual: JSON.stringify(text.slice(0, 32)),
  });
}

/**
 * Runs an attested call with the NitroTPM of this machine, until a signal. When the key service
 * denies access, the PCRs that a policy compares are shown beside the error.
 */
export async function runAttestedCall<T>(
  keyId: string | undefined,
  flags: AttestedCallFlags,
  call: (client: KMSClient, attest: Attester, options: AttestedCallOptions) => Promise<T>,
): Promise<T | undefined> {
  const progress = new ProgressLine();
  const controller = new AbortController();
  const stopListening = onInterrupt(() => controller.abort(), endNow);
  // The SDK's own limits end when an answer has begun.
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const attest = attestWithNitroTpm({
    tpm: flags.tpm,
    signal: controller.signal,
    onProgress: (doing) => progress.show(doing),
  });
  let document: Uint8Array | undefined;
  const client = await openClient(keyId, flags);
  try {
    return await call(
      client,
      async (publicKey) => {
        document = await attest(publicKey);
        progress.show('asking the key service');
        timer = setTimeout(() => late.abort(), flags.timeout * 1000);
        return document;
      },
      { signal: AbortSignal.any([controller.signal, late.signal]) },
    );
  } catch (error) {
    progress.clear();
    if (late.signal.aborted)
      throw new ToolError('kms.unreachable', {
        expected: `an answer within ${flags.timeout} s`,
        actual: 'none',
        cause: error,
      });
    if (!(error instanceof ToolError && error.code === 'kms.access-denied')) throw error;
    process.exitCode = reportError('tee-kms', error);
    process.stderr.write(describeMachine(document));
    return undefined;
  } finally {
    clearTimeout(timer);
    progress.clear();
    stopListening();
    client.destroy();
  }
}

async function openClient(
  keyId: string | undefined,
  { region, endpoint, timeout }: AttestedCallFlags,
): Promise<KMSClient> {
  const usedRegion = region ?? /^arn:[^:]+:kms:([^:]+):/.exec(keyId ?? '')?.[1];
  if (endpoint !== undefined && !/^https?:\/\/[^/\s]/.test(endpoint))
    throw new ToolError('usage.option-invalid', {
      expected: '--endpoint as https://… or http://…',
      actual: JSON.stringify(endpoint.slice(0, 80)),
    });
  const { KMSClient: Client } = await import('@aws-sdk/client-kms');
  const client = new Client({
    ...(usedRegion !== undefined && { region: usedRegion }),
    ...(endpoint !== undefined && { endpoint }),
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: Math.min(timeout, 10) * 1000,
      requestTimeout: timeout * 1000,
      throwOnRequestTimeout: true,
    },
  });
  limitAnswers(client);
  return client;
}

/** PCR4, PCR7 and PCR12 of our own document, to hold against the policy. */
function describeMachine(document: Uint8Array | undefined): string {
  const pcrs = document && readPcrs(document);
  if (pcrs === undefined) return '';
  const lines = [4, 7, 12].map((index) => {
    const value = pcrs.get(index);
    const zero = value !== undefined && isFilledWith(value, 0) ? '  (zero)' : '';
    return `  PCR${index}`.padEnd(8) + (value === undefined ? 'none' : encodeHex(value)) + zero;
  });
  return `PCRs of this machine, as attested:\n${lines.join('\n')}\n`;
}

/** For a person to read: nothing is decided by them. */
function readPcrs(document: Uint8Array): ReadonlyMap<number, Uint8Array> | undefined {
  try {
    const envelope = decode(document) as readonly unknown[];
    const payload = decode(envelope[2] as Uint8Array) as Record<string, unknown>;
    const pcrs = payload.nitrotpm_pcrs as Record<string, Uint8Array>;
    return new Map(Object.entries(pcrs).map(([index, value]) => [Number(index), value]));
  } catch {
    return undefined;
  }
}
