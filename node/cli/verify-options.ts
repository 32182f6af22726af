import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseRfc3339 } from '../../src/bytes/rfc-3339.js';
import type { ManifestKeys, TrustAnchor, VerifyOptions } from '../../src/index.js';
import { PROVIDER_NAMES, type ProviderName } from '../named-provider.js';
import { UsageError } from './exit.js';
import { readInput } from './read-input.js';

/** What commander makes of the options that `verify` and `batch` share. */
export interface VerifyFlags {
  readonly manifest?: string;
  readonly at?: Date | 'document';
  readonly trustAnchor?: readonly string[];
  readonly manifestKeys?: string;
  readonly clockTolerance?: number;
  readonly maxAge?: number;
  readonly requireQuote?: true;
  readonly allowPartialManifest?: true;
  readonly allowDebug?: true;
  readonly provider?: ProviderName;
}

/** Adds the shared options to a command. */
export function addVerifyOptions(command: Command): Command {
  return command
    .option(
      '-m, --manifest <file>',
      'required: reference manifest: ours, AWS\u2019s {"Measurements": …}, flat {"PCR4": …}, or a JWS of one',
    )
    .option(
      '--at <time>',
      'judge at this RFC 3339 time, or at the "document"\u2019s own timestamp, instead of now',
      parseTime,
    )
    .option(
      '--trust-anchor <pem>',
      'trust this root (PEM file) instead of the AWS Nitro root; may be repeated',
      (path: string, before: readonly string[] = []) => [...before, path],
    )
    .option(
      '--manifest-keys <file>',
      'the manifest must be signed by one of these keys: JWK set, PEM, or rules in JSON (docs/manifest.md)',
    )
    .option(
      '--max-age <seconds>',
      'oldest acceptable document (default: 300 without a nonce)',
      parseSeconds,
    )
    .option(
      '--clock-tolerance <seconds>',
      'how far clocks may be apart (default: 60)',
      parseSeconds,
    )
    .option('--require-quote', 'refuse evidence without a TPM quote')
    .option('--allow-partial-manifest', 'accept a manifest that does not pin what makes an image')
    .addOption(new Option('--provider <name>', 'cryptography to use').choices(PROVIDER_NAMES))
    .addOption(new Option('--allow-debug', 'accept enclaves in debug mode (never for secrets)'));
}

/** The manifest's path. Asked for here, so that a misspelled option is named first. */
export function demandManifest({ manifest }: VerifyFlags): string {
  if (manifest === undefined)
    throw new UsageError(
      'missing --manifest <file>: the reference values to compare with (to look at evidence without one: tee-verify inspect)',
    );
  return manifest;
}

/** The library's options for these flags. Throws `UsageError` for files that can't be used. */
export async function toVerifyOptions(flags: VerifyFlags): Promise<VerifyOptions> {
  return {
    ...(flags.at !== undefined && { now: flags.at }),
    ...(flags.trustAnchor !== undefined && {
      trustAnchors: await Promise.all(flags.trustAnchor.map(readAnchor)),
    }),
    ...(flags.manifestKeys !== undefined && { manifestKeys: await readKeys(flags.manifestKeys) }),
    ...(flags.maxAge !== undefined && { maxAgeSeconds: flags.maxAge }),
    ...(flags.clockTolerance !== undefined && { clockToleranceSeconds: flags.clockTolerance }),
    ...(flags.requireQuote && { requireQuote: true }),
    ...(flags.allowPartialManifest && { allowPartialManifest: true }),
    ...(flags.allowDebug && { allowDebug: true }),
  };
}

/** `--nonce`: hex text of 1 to 1024 bytes. */
export function parseNonce(text: string): string {
  if (!/^([0-9a-fA-F]{2}){1,1024}$/.test(text))
    throw new InvalidArgumentError('Expected hex text of 1 to 1024 bytes.');
  return text;
}

function parseTime(text: string): Date | 'document' {
  if (text === 'document') return 'document';
  const milliseconds = parseRfc3339(text);
  if (milliseconds === undefined)
    throw new InvalidArgumentError('Expected "document" or a time such as 2026-02-03T10:12:02Z.');
  return new Date(milliseconds);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 1e9)
    throw new InvalidArgumentError('Expected a number of seconds.');
  return seconds;
}

async function readAnchor(path: string): Promise<TrustAnchor> {
  const bytes = await readText(path);
  if (!bytes.includes('-----BEGIN CERTIFICATE-----'))
    throw new UsageError(`${path} is not a PEM file with a certificate`);
  return bytes;
}

async function readKeys(path: string): Promise<ManifestKeys> {
  const text = await readText(path);
  if (text.includes('-----BEGIN PUBLIC KEY-----')) return text;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UsageError(`${path} is not a JWK, a JWK set, rules in JSON, or a PEM public key`);
  }
  const isKey = typeof json === 'object' && json !== null && 'kty' in json;
  return (isKey ? [json] : json) as ManifestKeys;
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readInput(path));
}
