import { Command } from 'commander';
import { encodeHex } from 'tee-verify/bytes';
import type { EifInspection } from 'tee-verify/measure';
import { printable } from 'tee-verify/measure';
import { EXIT, writeOutput } from '../common/command-line.js';
import { inspectFile } from './inspect-file.js';

/** `tee-eif describe`: says what an image is, and what is wrong with it. */
export function describeCommand(): Command {
  return new Command('describe')
    .description('say what an image is: header, sections, metadata, PCRs, signature, checksum')
    .argument('<eif>', 'the image; - reads standard input')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  tee-eif describe payments.eif
  tee-eif describe payments.eif --json | jq .measurements

Exit status: 0 nothing is wrong with the image, 1 it is damaged or its signature does not verify (the
codes say why), 2 usage or unreadable file.`,
    )
    .action(async (path: string, { json = false }: { readonly json?: boolean }) => {
      const image = await inspectFile(path);
      await writeOutput(undefined, json ? formatJson(image) : formatText(image));
      if (image.problems.length > 0) process.exitCode = EXIT.failed;
    });
}

function formatJson(image: EifInspection): string {
  const { signature } = image;
  const json = {
    version: image.version,
    architecture: image.architecture,
    defaultMemoryBytes: image.defaultMemoryBytes,
    defaultCpus: image.defaultCpus,
    sizeBytes: image.sizeBytes,
    crc32: { stated: hex(image.statedCrc32), computed: hex(image.computedCrc32) },
    sections: image.sections,
    commandLine: image.commandLine,
    metadata: image.metadata ?? null,
    measurements: {
      HashAlgorithm: 'Sha384 { ... }',
      ...Object.fromEntries([...image.pcrs].map(([pcr, value]) => [`PCR${pcr}`, value])),
    },
    signature:
      signature === undefined
        ? null
        : {
            algorithm: signature.algorithm,
            verifies: image.pcrs.has(8),
            signedPcr0: encodeHex(signature.registerValue),
            certificate: {
              subject: signature.certificate.subject ?? null,
              notBefore: time(signature.certificate.notBeforeMs),
              notAfter: time(signature.certificate.notAfterMs),
              pem: signature.certificatePem,
            },
          },
    problems: image.problems.map(({ code, message, hint }) => ({ code, message, hint })),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function formatText(image: EifInspection): string {
  const { signature } = image;
  const memory = `${image.defaultMemoryBytes / 1024 ** 2} MiB`;
  const lines = [
    `EIF version ${image.version} for ${image.architecture}, ${image.sizeBytes} bytes`,
    `default memory ${memory}, default CPUs ${image.defaultCpus}`,
    `CRC-32 ${hex(image.statedCrc32)}${image.statedCrc32 === image.computedCrc32 ? '' : `, but the file has ${hex(image.computedCrc32)}`}`,
    '',
    'Sections',
    ...image.sections.map(
      ({ type, dataOffset, sizeBytes }) =>
        `  ${type.padEnd(10)}${String(sizeBytes).padStart(12)} bytes at ${dataOffset}`,
    ),
    '',
    `Command line  ${image.commandLine}`,
    '',
    'PCRs (SHA-384)',
    ...[...image.pcrs].map(([pcr, value]) => `  PCR${pcr}  ${value}`),
  ];
  if (image.metadata !== undefined)
    lines.push(
      ...['', 'Metadata (no PCR covers it)'],
      ...flatten(image.metadata).map((line) => `  ${line}`),
    );
  if (signature !== undefined) {
    const { subject, notBeforeMs, notAfterMs } = signature.certificate;
    lines.push(
      ...['', `Signature  ${signature.algorithm}, ${image.pcrs.has(8) ? 'verifies' : 'WRONG'}`],
      `  certificate of ${subject ?? 'nobody named'}`,
      `  valid ${time(notBeforeMs)} to ${time(notAfterMs)}`,
    );
  } else if (!image.sections.some(({ type }) => type === 'signature')) lines.push('', 'Not signed');
  for (const { message, hint } of image.problems)
    lines.push('', `WRONG  ${message}`, `  hint: ${hint}`);
  return `${lines.join('\n')}\n`;
}

/** `BuildMetadata.BuildTime  1970-…` */
function flatten(value: object, path = ''): string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const name = `${path}${printable(key, 100)}`;
    if (typeof inner === 'object' && inner !== null) return flatten(inner, `${name}.`);
    return [`${name}  ${printable(String(inner), 200)}`];
  });
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
