import { createHash } from 'node:crypto';
import { Command } from 'commander';
import { describeSignedManifest, isSignedManifest, parseManifest } from 'tee-verify/manifest';
import { printable } from 'tee-verify/measure';
import { readInput, writeOutput } from '../common/command-line.js';

const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;

/** `tee-image manifest show`: what a manifest says, and its SHA-256; nothing is verified. */
export function manifestShowCommand(): Command {
  return new Command('show')
    .description('show what a manifest and its signatures say, without verifying anything')
    .argument('<manifest>', 'a manifest, signed or not; - reads standard input')
    .addHelpText(
      'after',
      `
The SHA-256 is the one that reports and attestation results name.

Example:
  tee-image manifest show manifest.jws

Exit status: 0 shown, 1 no manifest, 2 usage or unreadable file.`,
    )
    .action(runShow);
}

async function runShow(path: string): Promise<void> {
  const bytes = await readInput(path, MAX_MANIFEST_BYTES);
  const text = new TextDecoder().decode(bytes);
  const described = isSignedManifest(text)
    ? describeSignedManifest(text)
    : { payload: bytes, signatures: undefined };
  const { name, imageVersion, platform, sets } = parseManifest(described.payload);
  const lines = [
    ...(name === undefined ? [] : [`name       ${printable(name)}`]),
    ...(imageVersion === undefined ? [] : [`image      ${printable(imageVersion)}`]),
    `platform   ${platform ?? 'not named'}`,
    `SHA-256    ${createHash('sha256').update(described.payload).digest('hex')}`,
    ...sets.map(
      ({ label, pcrs, revokedReason }) =>
        `set        ${printable(label)}: PCR ${[...pcrs.keys()].join(', ')}${
          revokedReason === undefined ? '' : ` (revoked: ${printable(revokedReason)})`
        }`,
    ),
    ...(described.signatures === undefined
      ? ['signatures none']
      : described.signatures.map((header) => `signature  ${describe(header)}   NOT VERIFIED`)),
    '',
  ];
  await writeOutput(undefined, lines.join('\n'));
}

/** The header without its certificates, fit for a terminal. */
function describe(header: Readonly<Record<string, unknown>>): string {
  const { x5c, crit: _, typ: __, ...rest } = header;
  const parts = Object.entries(rest).map(([key, value]) => `${key} ${describeValue(key, value)}`);
  if (Array.isArray(x5c)) parts.push(`${x5c.length} certificates`);
  return printable(parts.join(', ').slice(0, 400));
}

function describeValue(key: string, value: unknown): string {
  const isTime = (key === 'exp' || key === 'nbf') && Number.isSafeInteger(value);
  const date = isTime ? new Date((value as number) * 1000) : undefined;
  return date !== undefined && !Number.isNaN(date.getTime())
    ? date.toISOString()
    : (JSON.stringify(value) ?? 'nothing').slice(0, 100);
}
