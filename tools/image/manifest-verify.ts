import { createHash } from 'node:crypto';
import { Command } from 'commander';
import { verifySignedManifest } from 'tee-verify/manifest';
import { printable } from 'tee-verify/measure';
import { readInput, writeOutput } from '../common/command-line.js';
import { readManifestKeys } from '../common/manifest-keys.js';
import { ToolError } from '../common/tool-error.js';
import { parseTime, parseWhole } from './manifest-options.js';

const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;
const MAX_KEYS_BYTES = 262_144;

interface Flags {
  readonly keys?: readonly string[];
  readonly anchor?: readonly string[];
  readonly threshold: number;
  readonly minVersion?: number;
  readonly at?: Date;
  readonly json?: true;
  readonly extract?: string;
}

/** `tee-image manifest verify`: who signed it, and is that enough? */
export function manifestVerifyCommand(): Command {
  return new Command('verify')
    .description('verify a signed manifest: who signed it, and is that enough?')
    .argument('<signed manifest>', 'a JWS in any form; - reads standard input')
    .option('--keys <file...>', 'public keys: JWK, JWK set or PEM')
    .option('--anchor <pem...>', 'root certificates of signers that send their certificates along')
    .option('--threshold <n>', 'how many different signers are needed', parseWhole, 1)
    .option('--min-version <n>', 'lowest acceptable version', parseWhole)
    .option('--at <time>', 'judge at this RFC 3339 time instead of now', parseTime)
    .option('--extract <file>', 'write the manifest itself here; - is standard output')
    .option('--json', 'write JSON')
    .addHelpText(
      'after',
      `
Examples:
  tee-image manifest verify manifest.jws --keys release.pub.pem
  tee-image manifest verify manifest.jws --keys team.jwks --threshold 2 --min-version 7
  tee-image manifest verify manifest.jws --anchor release-ca.pem --extract manifest.json

Exit status: 0 signed as demanded, 1 not, 2 usage or unreadable file.`,
    )
    .action(runVerify);
}

async function runVerify(path: string, flags: Flags): Promise<void> {
  const { keys: files = [], anchor: anchorFiles = [], threshold, minVersion, at } = flags;
  if (files.length === 0 && anchorFiles.length === 0)
    throw new ToolError('usage.option-conflict', {
      expected: '--keys or --anchor',
      actual: 'neither',
    });
  if ([path, ...files, ...anchorFiles].filter((one) => one === '-').length > 1)
    throw new ToolError('usage.option-conflict', { actual: '- more than once' });
  const keys = (await Promise.all(files.map((file) => readManifestKeys(file)))).flat();
  const anchors = await Promise.all(anchorFiles.map((file) => readText(file)));
  const input = await readText(path, MAX_MANIFEST_BYTES);
  const nowMs = (at ?? new Date()).getTime();
  const verified = await verifySignedManifest(
    input,
    {
      ...(keys.length > 0 && { keys }),
      ...(anchors.length > 0 && { anchors }),
      threshold,
      ...(minVersion !== undefined && { minVersion }),
    },
    {
      nowMs,
      source: at === undefined ? 'clock' : 'given',
      clockToleranceSeconds: 60,
      documentMs: nowMs,
    },
  ).catch((cause: unknown) => {
    if (!(cause instanceof TypeError)) throw cause;
    throw new ToolError('usage.option-invalid', { actual: cause.message, cause });
  });
  const { manifest, payload } = verified;
  if (flags.extract !== undefined) await writeOutput(flags.extract, payload);
  const { trust } = manifest;
  if (trust.source !== 'signature') return;
  const sha256 = createHash('sha256').update(payload).digest('hex');
  const facts = { sha256, ...trust, name: manifest.name, imageVersion: manifest.imageVersion };
  if (flags.extract === '-') return;
  await writeOutput(
    undefined,
    flags.json
      ? `${JSON.stringify(facts, null, 2)}\n`
      : [
          `signed by  ${trust.keyIds.map((id) => printable(id)).join(', ')}`,
          ...(trust.version === undefined ? [] : [`version    ${trust.version}`]),
          ...(trust.notBeforeMs === undefined ? [] : [`not before ${iso(trust.notBeforeMs)}`]),
          ...(trust.notAfterMs === undefined ? [] : [`not after  ${iso(trust.notAfterMs)}`]),
          ...(manifest.name === undefined ? [] : [`name       ${printable(manifest.name)}`]),
          `SHA-256    ${sha256}`,
          '',
        ].join('\n'),
  );
}

async function readText(path: string, maxBytes: number = MAX_KEYS_BYTES): Promise<string> {
  return new TextDecoder().decode(await readInput(path, maxBytes));
}

/** A signer may name an end that no calendar has. */
function iso(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds / 1000} s since 1970` : date.toISOString();
}
