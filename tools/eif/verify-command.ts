import { Command } from 'commander';
import { AttestationError } from 'tee-verify';
import {
  isSignedManifest,
  type ManifestKeys,
  parseManifest,
  type ReferenceManifest,
  verifySignedManifest,
} from 'tee-verify/manifest';
import { writeOutput } from '../common/command-line.js';
import { readSmallFile } from '../common/file-source.js';
import { ToolError } from '../common/tool-error.js';
import { measureFile } from './inspect-file.js';
import { verifyEif } from './verify-eif.js';

interface VerifyFlags {
  readonly manifest: string;
  readonly manifestKeys?: string;
  readonly json?: boolean;
}

const MAX_MANIFEST_BYTES = 1024 * 1024;

/** `tee-eif verify`: is this the image that a manifest describes? */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check that an image is the one a manifest describes, before it runs')
    .argument('<eif>', 'the image; - reads standard input')
    .requiredOption('--manifest <file>', "a reference manifest, or a build's pcr.json")
    .option('--manifest-keys <file>', 'its signers: PEM public keys, a JWK or a JWK set')
    .option('--json', 'say the result as JSON')
    .addHelpText(
      'after',
      `
Compared are PCR0, PCR1, PCR2 and PCR8. What a manifest says of the parent (PCR3, PCR4) only a running
enclave shows: tee-verify compares it.

Examples:
  tee-eif verify payments.eif --manifest pcr.json
  tee-eif verify payments.eif --manifest payments.jws --manifest-keys release.pem

Exit status: 0 it is that image, 1 it is not, or the image or the manifest is damaged (the code says
why), 2 usage or unreadable file.`,
    )
    .action(runVerify);
}

async function runVerify(path: string, flags: VerifyFlags): Promise<void> {
  if (path === '-' && flags.manifest === '-')
    throw new ToolError('usage.option-conflict', { actual: 'standard input twice' });
  const manifest = await readManifest(flags);
  const pcrs = await measureFile(path);
  const match = verifyEif(pcrs, manifest, Date.now());
  if (flags.json === true) {
    const result = { verdict: 'verified', ...match };
    return writeOutput(undefined, `${JSON.stringify(result, null, 2)}\n`);
  }
  const names = (indices: readonly number[]): string =>
    indices.map((index) => `PCR${index}`).join(', ');
  const left =
    match.notCompared.length === 0
      ? ''
      : `\nnot compared, a running enclave shows them: ${names(match.notCompared)}`;
  return writeOutput(
    undefined,
    `verified: ${names(match.compared)} as in ${JSON.stringify(match.label)}${left}\n`,
  );
}

async function readManifest({ manifest, manifestKeys }: VerifyFlags): Promise<ReferenceManifest> {
  const text = await readText(manifest);
  const isSigned = isSignedManifest(text);
  if (isSigned && manifestKeys === undefined) throw new AttestationError('manifest.keys-missing');
  if (!isSigned && manifestKeys !== undefined)
    throw new AttestationError('manifest.signature-required');
  if (manifestKeys === undefined) return parseManifest(text);
  try {
    return (await verifySignedManifest(text, await readKeys(manifestKeys))).manifest;
  } catch (error) {
    // Keys that cannot be used are the caller's mistake.
    if (!(error instanceof TypeError)) throw error;
    throw new ToolError('usage.option-invalid', {
      expected: '--manifest-keys with usable keys',
      actual: error.message,
      cause: error,
    });
  }
}

async function readKeys(path: string): Promise<ManifestKeys> {
  const text = await readText(path);
  if (text.includes('-----BEGIN PUBLIC KEY-----')) return text;
  try {
    const json = JSON.parse(text) as object;
    return ('kty' in json ? [json] : json) as ManifestKeys;
  } catch {
    throw new ToolError('usage.option-invalid', {
      expected: `--manifest-keys ${path}: PEM public keys, a JWK or a JWK set`,
      actual: 'something else',
    });
  }
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readSmallFile(path, MAX_MANIFEST_BYTES));
}
