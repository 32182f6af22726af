import 'reflect-metadata';
import { randomBytes, randomUUID, webcrypto } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import * as x509 from '@peculiar/x509';
import { EXIT, onInterrupt } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';
import { writing } from '../build/output-folder.js';
import { encodeSignatureList } from './encode-signature-list.js';

/** What a new identity is called. */
export interface NewIdentity {
  /** GUID as text that stands beside each certificate. Default: a new one. */
  readonly ownerGuid?: string;
  /** Begins the common names of the certificates. Default: `tee-image`. */
  readonly name?: string;
}

// What firmware must know (UEFI 2.10, 32.6.1: EFI_CERT_X509 with RSA-2048 and SHA-256 is common).
const ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;
const SERIAL_BYTES = 16;
/** Firmware has no clock that it trusts and looks at no dates; people and other tools do. */
const YEARS = 30;

const TITLES = {
  PK: 'Secure Boot platform key',
  KEK: 'Secure Boot key exchange key',
  db: 'Secure Boot image signer',
} as const;

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
// A common name has at most 64 characters (RFC 5280, A.1); our titles take the rest.
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,28}[A-Za-z0-9._-])?$/;

/**
 * Makes a Secure Boot identity in a new folder that only its owner may enter: owner-guid.txt, and
 * for PK, KEK and db a private key (.key, PKCS#8), a self-signed certificate (.pem and .crt, DER)
 * and its EFI signature list (.esl); dbx.esl is empty. Gives the owner's GUID.
 *
 * Never replaces anything. Throws `identity.exists`, `usage.option-invalid`, `file.unwritable`.
 */
export async function createIdentity(path: string, options: NewIdentity = {}): Promise<string> {
  const owner = (options.ownerGuid ?? randomUUID()).toLowerCase();
  if (!GUID.test(owner))
    throw new ToolError('usage.option-invalid', {
      expected: 'a GUID such as 8be4df61-93ca-11d2-aa0d-00e098032b8c',
      actual: JSON.stringify(owner.slice(0, 64)),
    });
  const name = options.name ?? 'tee-image';
  if (!NAME.test(name))
    throw new ToolError('usage.option-invalid', {
      expected: 'a name of 1 to 30 letters, digits, spaces, dots, dashes',
      actual: JSON.stringify(name.slice(0, 64)),
    });
  await createFolder(path, async (folder) => {
    const write = (file: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> =>
      writeNew(join(folder, file), bytes, mode);
    await write('owner-guid.txt', `${owner}\n`);
    for (const [variable, title] of Object.entries(TITLES)) {
      const { key, certificate } = await makeCertificate(`${name} ${title}`);
      const der = new Uint8Array(certificate.rawData);
      await write(`${variable}.key`, key, 0o600);
      await write(`${variable}.pem`, `${certificate.toString('pem')}\n`);
      await write(`${variable}.crt`, der);
      await write(`${variable}.esl`, encodeSignatureList(owner, der));
    }
    await write('dbx.esl', new Uint8Array());
  });
  return owner;
}

async function makeCertificate(
  commonName: string,
): Promise<{ key: string; certificate: x509.X509Certificate }> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as never;
  const { privateKey, publicKey } = keys as webcrypto.CryptoKeyPair;
  const serial = randomBytes(SERIAL_BYTES);
  // Positive and without leading zeros (RFC 5280, 4.1.2.2).
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + YEARS);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial.toString('hex'),
      name: [{ CN: [commonName] }],
      notBefore,
      notAfter,
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey as never),
      ],
    },
    webcrypto as never,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  const lines = pkcs8.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return { key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`, certificate };
}

/** The folder appears whole or not at all; what is there already stays. */
async function createFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const temporary = await writing(path, () =>
    mkdtemp(join(dirname(target), `.${basename(target)}.`)),
  );
  const remove = (): void => rmSync(temporary, { recursive: true, force: true });
  const stop = onInterrupt(() => {
    remove();
    process.exit(EXIT.interrupted);
  });
  try {
    await writing(path, () => fill(temporary));
    // Takes the place of an empty folder only.
    await writing(path, () => rename(temporary, target).catch(refuseExisting));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    stop();
  }

  function refuseExisting(error: NodeJS.ErrnoException): never {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(error.code ?? ''))
      throw new ToolError('identity.exists', { actual: path, cause: error });
    throw error;
  }
}

/** Modes as said, whatever the umask; on the disk before the folder appears. */
async function writeNew(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}
