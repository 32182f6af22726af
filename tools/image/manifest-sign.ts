import { X509Certificate } from 'node:crypto';
import { Command } from 'commander';
import { type Signer, signManifest } from 'tee-verify/manifest';
import { readInput, writeOutput } from '../common/command-line.js';
import { createKmsSigner, readSigningKey } from '../common/signing-key.js';
import { ToolError } from '../common/tool-error.js';
import { parseTime, parseWhole } from './manifest-options.js';

const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;
const MAX_PEM_BYTES = 65_536;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----/g;

interface Flags {
  readonly key?: string;
  readonly kmsKey?: string;
  readonly keyId?: string;
  readonly certificates?: string;
  readonly manifestVersion?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly json?: true;
  readonly output?: string;
}

/** `tee-image manifest sign`: signs a manifest, or adds a signature to a signed one. */
export function manifestSignCommand(): Command {
  return new Command('sign')
    .description('sign a manifest, or add a signature to a signed one')
    .argument('<manifest>', 'a manifest, signed or not; - reads standard input')
    .option(
      '--key <file>',
      'private key: PEM or JWK, P-256, P-384 or Ed25519; - reads standard input',
    )
    .option('--kms-key <id>', 'or an AWS KMS key for SIGN_VERIFY: id, ARN or alias')
    .option('--key-id <kid>', 'name of the key in the signature (default: its thumbprint)')
    .option('--certificates <pem>', 'certificates of the key (P-384), leaf first, to send along')
    .option(
      '--manifest-version <n>',
      'grows with every manifest, so that old ones can be refused',
      parseWhole,
    )
    .option('--not-before <time>', 'the signature counts from then on', parseTime)
    .option('--not-after <time>', 'the signature counts until then', parseTime)
    .option(
      '--json',
      'JSON form, which takes further signatures (a signed manifest always gets it)',
    )
    .option('-o, --output <file>', 'where to write (default: standard output)')
    .addHelpText(
      'after',
      `
The payload is the manifest byte for byte: its SHA-256 stays what it was. KMS needs kms:GetPublicKey
and kms:Sign; region and credentials come from the environment.

Examples:
  openssl ecparam -name prime256v1 -genkey -noout -out release.pem
  tee-image manifest sign manifest.json --key release.pem --manifest-version 7 -o manifest.jws
  tee-image manifest sign manifest.jws --key second.pem --manifest-version 7 -o manifest.jws
  tee-image manifest sign manifest.json --kms-key alias/release --not-after 2026-12-31T00:00:00Z

Exit status: 0 signed, 1 a manifest or key that cannot be used, 2 usage or unreadable file.`,
    )
    .action(runSign);
}

async function runSign(path: string, flags: Flags): Promise<void> {
  if ([path, flags.key, flags.certificates].filter((one) => one === '-').length > 1)
    throw new ToolError('usage.option-conflict', { actual: '- more than once' });
  if (flags.notBefore && flags.notAfter && flags.notBefore >= flags.notAfter)
    throw new ToolError('usage.option-conflict', { actual: '--not-before after --not-after' });
  const signer = await readSigner(flags);
  const manifest = await readInput(path, MAX_MANIFEST_BYTES);
  const { manifestVersion, notBefore, notAfter, json } = flags;
  const signed = await signManifest(manifest, signer, {
    ...(manifestVersion !== undefined && { version: manifestVersion }),
    ...(notBefore !== undefined && { notBefore }),
    ...(notAfter !== undefined && { notAfter }),
    ...(json && { form: 'json' }),
  });
  await writeOutput(flags.output, `${signed}\n`);
}

async function readSigner({ key, kmsKey, keyId, certificates: path }: Flags): Promise<Signer> {
  if ((key === undefined) === (kmsKey === undefined))
    throw new ToolError('usage.option-conflict', {
      expected: 'one of --key and --kms-key',
      actual: key === undefined ? 'neither' : 'both',
    });
  const certificates =
    path === undefined ? undefined : new TextDecoder().decode(await readInput(path, MAX_PEM_BYTES));
  const signer =
    key !== undefined
      ? await readSigningKey(key, { keyId })
      : await createKmsSigner(kmsKey as string, { keyId });
  return certificates === undefined
    ? signer
    : { ...signer, certificates: readCertificates(certificates, signer) };
}

/** Base64 of DER, leaf first. Nobody could verify with certificates of another key. */
function readCertificates(pem: string, { publicJwk }: Signer): readonly string[] {
  const unusable = (actual: string, cause?: unknown): ToolError =>
    new ToolError('usage.option-invalid', {
      expected: 'as --certificates, PEM with the certificate of the P-384 key first',
      actual,
      cause,
    });
  const blocks = pem.match(CERTIFICATE);
  if (blocks === null) throw unusable('no CERTIFICATE block');
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    const key = certificates[0]?.publicKey.export({ format: 'jwk' });
    if (key?.crv !== 'P-384') throw unusable(`a key on ${key?.crv ?? key?.kty}`);
    if (key.x !== publicJwk?.x || key.y !== publicJwk?.y)
      throw unusable('a certificate of another key first');
    return certificates.map(({ raw }) => raw.toString('base64'));
  } catch (cause) {
    throw cause instanceof ToolError ? cause : unusable('a certificate that cannot be read', cause);
  }
}
