import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readInput } from '../../common/command-line.js';
import { ToolError } from '../../common/tool-error.js';

/** Where the key of db is, and the certificate that belongs to it. */
export interface SignerOptions {
  /** A file, `-` for standard input, or a PKCS#11 URI (RFC 7512). Default: db.key of the identity. */
  readonly key?: string;
  /** PEM or DER. Default: db.pem of the identity. */
  readonly certificate?: string;
}

/** Who signs an image. A key that is at hand stays in memory. */
export interface ImageSigner {
  readonly key: { readonly pem: string } | { readonly pkcs11: string };
  readonly certificatePem: string;
}

const MAX_BYTES = 64 * 1024;
/** What firmware verifies: EDK2 takes RSA from 2048 bits on. */
const [MIN_BITS, MAX_BITS] = [2048, 4096];
const PKCS11 = /^pkcs11:/i;

/**
 * Reads the certificate and, unless it stays in a token, the key, and checks that they belong
 * together. Throws `file.unreadable`, `secure-boot.key-*`, `secure-boot.certificate-invalid`,
 * `usage.option-conflict`.
 */
export async function readImageSigner(
  identity: string,
  options: SignerOptions = {},
): Promise<ImageSigner> {
  const keyPath = options.key ?? join(identity, 'db.key');
  const certificatePath = options.certificate ?? join(identity, 'db.pem');
  if (certificatePath === '-')
    throw new ToolError('usage.option-conflict', {
      expected: 'a file with the certificate; standard input is for the key',
      actual: '--db-cert -',
    });
  const certificate = readCertificate(await readInput(certificatePath, MAX_BYTES), certificatePath);
  const certificatePem = certificate.toString();
  if (PKCS11.test(keyPath)) return { key: { pkcs11: checkUri(keyPath) }, certificatePem };
  const name = keyPath === '-' ? 'standard input' : keyPath;
  const key = readKey(await readInput(keyPath, MAX_BYTES), name);
  if (!certificate.checkPrivateKey(key))
    throw new ToolError('secure-boot.key-mismatch', {
      expected: `the key of ${certificatePath}`,
      actual: `another one in ${name}`,
    });
  return {
    key: { pem: key.export({ type: 'pkcs8', format: 'pem' }).toString() },
    certificatePem,
  };
}

function readCertificate(bytes: Uint8Array, path: string): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(bytes);
  } catch (cause) {
    throw new ToolError('secure-boot.certificate-invalid', { actual: `none in ${path}`, cause });
  }
  checkRsa(certificate.publicKey, 'secure-boot.certificate-invalid', path);
  return certificate;
}

function readKey(bytes: Uint8Array, name: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(Buffer.from(bytes));
  } catch (cause) {
    // OpenSSL's words; they name no part of the key.
    const actual = `${name}: ${cause instanceof Error ? cause.message : 'something else'}`;
    throw new ToolError('secure-boot.key-invalid', { actual, cause });
  }
  checkRsa(key, 'secure-boot.key-invalid', name);
  return key;
}

function checkRsa(
  key: KeyObject,
  code: 'secure-boot.key-invalid' | 'secure-boot.certificate-invalid',
  name: string,
): void {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < MIN_BITS || bits > MAX_BITS)
    throw new ToolError(code, {
      expected: `RSA of ${MIN_BITS} to ${MAX_BITS} bits`,
      actual: `${key.asymmetricKeyType} ${bits === 0 ? '' : `of ${bits} bits `}in ${name}`,
    });
}

/** One line of printable ASCII, as RFC 7512 has it. */
function checkUri(uri: string): string {
  if (!/^[\x21-\x7e]{8,2000}$/.test(uri))
    throw new ToolError('secure-boot.key-invalid', {
      expected: 'a PKCS#11 URI such as pkcs11:token=signing;object=db',
      actual: 'other characters, or too many',
    });
  return uri;
}
