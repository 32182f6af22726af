import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type JsonWebKeyInput,
  sign,
} from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { createSigner, type Signer } from 'tee-verify/manifest';
import { readInput } from './command-line.js';
import { ToolError } from './tool-error.js';

const MAX_KEY_BYTES = 65_536;

/** Where the private key is, and what goes into the header beside it. */
export interface SigningKeyOptions {
  /** `kid`; default the key's own, else its thumbprint. */
  readonly keyId?: string | undefined;
  /** PEM with the certificates of the key, leaf first. */
  readonly certificates?: string | undefined;
}

/**
 * A signer from a key file (`-`: standard input): PEM of any kind (PKCS#8, SEC1), DER, or a JWK, on
 * P-256, P-384 or Ed25519, not encrypted. Throws `file.*` and `key.unusable`.
 */
export async function readSigningKey(
  path: string,
  options: SigningKeyOptions = {},
): Promise<Signer> {
  const bytes = await readInput(path, MAX_KEY_BYTES);
  try {
    const jwk = readPrivateJwk(bytes);
    const signer = await createSigner(jwk, known(options));
    const key = createPrivateKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput);
    const hash = HASHES[signer.algorithm];
    return {
      ...signer,
      // At once: for so small a task, going through the thread pool costs more than the signature.
      sign: async (message) =>
        new Uint8Array(sign(hash, message, { key, dsaEncoding: 'ieee-p1363' })),
    };
  } catch (cause) {
    throw new ToolError('key.unusable', {
      actual: path === '-' ? 'standard input' : path,
      cause,
    });
  }
}

const HASHES = { ES256: 'sha256', ES384: 'sha384', EdDSA: null } as const;

function readPrivateJwk(bytes: Uint8Array): JWK {
  const text = new TextDecoder().decode(bytes).trim();
  if (text.startsWith('{')) return JSON.parse(text) as JWK;
  const key = text.startsWith('-----BEGIN')
    ? createPrivateKey(text)
    : createPrivateKey({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' });
  return key.export({ format: 'jwk' }) as JWK;
}

/**
 * A signer whose private key stays in AWS KMS (asymmetric, SIGN_VERIFY, ECC_NIST_P256 or
 * ECC_NIST_P384). Region and credentials come from the environment, as for every AWS SDK. Throws
 * `key.unusable` and `key.service-failed`.
 */
export async function createKmsSigner(
  kmsKeyId: string,
  options: SigningKeyOptions = {},
): Promise<Signer> {
  // The SDK's warning about future versions of Node is for those who choose the versions.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { KMSClient, GetPublicKeyCommand, SignCommand } = await import('@aws-sdk/client-kms');
  const client = new KMSClient({ maxAttempts: 3 });
  const failed = (cause: unknown): ToolError =>
    new ToolError('key.service-failed', {
      actual: cause instanceof Error ? `${cause.name}: ${cause.message}` : 'no answer',
      cause,
    });
  const answer = await client
    .send(new GetPublicKeyCommand({ KeyId: kmsKeyId }))
    .catch((cause: unknown) => {
      throw failed(cause);
    });
  const { jwk, algorithm } = readPublicKey(answer.PublicKey, kmsKeyId);
  const keyId = options.keyId ?? (await calculateJwkThumbprint(jwk));
  const certificates =
    options.certificates === undefined ? undefined : readPem(options.certificates);
  const [hash, name, coordinateBytes] =
    algorithm === 'ES256'
      ? (['sha256', 'ECDSA_SHA_256', 32] as const)
      : (['sha384', 'ECDSA_SHA_384', 48] as const);
  return {
    algorithm,
    keyId,
    publicJwk: { ...jwk, kid: keyId, alg: algorithm, use: 'sig' },
    ...(certificates !== undefined && { certificates }),
    async sign(message) {
      const { Signature } = await client
        .send(
          new SignCommand({
            KeyId: kmsKeyId,
            // KMS takes 4096 bytes of message, but any digest.
            Message: createHash(hash).update(message).digest(),
            MessageType: 'DIGEST',
            SigningAlgorithm: name,
          }),
        )
        .catch((cause: unknown) => {
          throw failed(cause);
        });
      const raw = Signature && rawSignature(Signature, coordinateBytes);
      if (raw === undefined) throw failed(new TypeError('a signature that is no ECDSA signature'));
      return raw;
    },
  };
}

function readPublicKey(
  der: Uint8Array | undefined,
  kmsKeyId: string,
): { jwk: JWK; algorithm: 'ES256' | 'ES384' } {
  try {
    const key = createPublicKey({ key: Buffer.from(der ?? []), format: 'der', type: 'spki' });
    const jwk = key.export({ format: 'jwk' }) as JWK;
    if (jwk.crv === 'P-256') return { jwk, algorithm: 'ES256' };
    if (jwk.crv === 'P-384') return { jwk, algorithm: 'ES384' };
    throw new TypeError(`a key on ${jwk.crv ?? jwk.kty}`);
  } catch (cause) {
    throw new ToolError('key.unusable', { actual: `KMS key ${kmsKeyId}`, cause });
  }
}

/** r || s of a DER ECDSA signature: SEQUENCE { INTEGER r, INTEGER s } (RFC 3279, 2.2.3). */
export function rawSignature(der: Uint8Array, coordinateBytes: number): Uint8Array | undefined {
  const body = element(der, 0, 0x30);
  if (body === undefined || body.end !== der.length) return undefined;
  const r = element(der, body.start, 0x02);
  const s = r && element(der, r.end, 0x02);
  if (r === undefined || s === undefined || s.end !== body.end) return undefined;
  const raw = new Uint8Array(2 * coordinateBytes);
  for (const [index, { start, end }] of [r, s].entries()) {
    const from = der[start] === 0 ? start + 1 : start;
    if (end - from > coordinateBytes || end === from) return undefined;
    raw.set(der.subarray(from, end), (index + 1) * coordinateBytes - (end - from));
  }
  return raw;
}

/** Short lengths only: an ECDSA signature has at most 104 bytes. */
function element(
  der: Uint8Array,
  at: number,
  tag: number,
): { readonly start: number; readonly end: number } | undefined {
  const length = der[at + 1] ?? 0x80;
  const end = at + 2 + length;
  if (der[at] !== tag || length >= 0x80 || end > der.length) return undefined;
  return { start: at + 2, end };
}

function readPem(text: string): readonly string[] {
  const found = [
    ...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----/g),
  ].map(([, body]) => (body as string).replace(/\s/g, ''));
  if (found.length === 0)
    throw new ToolError('key.unusable', { expected: 'PEM with CERTIFICATE blocks' });
  return found;
}

function known({ keyId, certificates }: SigningKeyOptions): {
  keyId?: string;
  certificates?: string;
} {
  return {
    ...(keyId !== undefined && { keyId }),
    ...(certificates !== undefined && { certificates }),
  };
}
