import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { ByteWriter, concatBytes, decodeBase64, equalBytes } from 'tee-verify/bytes';
import {
  checkEifSignature,
  EIF_ALGORITHMS,
  type EifAlgorithm,
  eifSignedBytes,
  parseEifSignature,
  readSigningCertificate,
} from 'tee-verify/measure';
import { ToolError } from '../common/tool-error.js';

/** A private key with the certificate that belongs to it; makes signature sections. */
export interface EifSigner {
  readonly algorithm: EifAlgorithm;
  /** DER of the certificate: PCR8 comes from it. */
  readonly certificateDer: Uint8Array;
  /** The signature section for an image with this PCR0 (48 bytes). */
  sign(pcr0: Uint8Array): Uint8Array;
}

const CURVES = { 'P-256': p256, 'P-384': p384, 'P-521': p521 } as const;

/**
 * A signer from PEM: a private key (PKCS#8 or SEC 1, not encrypted) on P-256, P-384 or P-521, and
 * its certificate. Signatures are deterministic (RFC 6979), so that signed images can be
 * reproduced, too. Throws `signing.key-invalid`, `signing.key-mismatch`,
 * `eif.certificate-malformed`.
 */
export function createEifSigner(privateKeyPem: string, certificatePem: string): EifSigner {
  const certificate = readSigningCertificate(certificatePem);
  const key = readKey(privateKeyPem);
  const { crv, d } = key.export({ format: 'jwk' });
  const secret = decodeBase64(d ?? '');
  const algorithm = (Object.keys(EIF_ALGORITHMS) as EifAlgorithm[]).find(
    (name) => EIF_ALGORITHMS[name].curve === crv,
  );
  if (algorithm === undefined || secret === undefined)
    throw new ToolError('signing.key-invalid', {
      expected: 'a private key on P-256, P-384 or P-521',
      actual: crv ?? key.asymmetricKeyType ?? 'another key',
    });
  if (algorithm !== certificate.algorithm || !equalBytes(pointOf(key), certificate.publicKey))
    throw new ToolError('signing.key-mismatch', {
      expected: `the key of ${certificate.subject ?? 'the certificate'}`,
      actual: `another one (${algorithm})`,
    });
  // The certificate as given, which is what the reference implementation writes.
  const pem = new TextEncoder().encode(certificatePem);
  return {
    algorithm,
    certificateDer: certificate.der,
    sign(pcr0) {
      const section = encodeSection(pem, signSign1(algorithm, secret, pcr0));
      // What cannot be read back must not be shipped.
      checkEifSignature(parseEifSignature(section), pcr0);
      return section;
    },
  };
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new ToolError('signing.key-invalid', {
      expected: 'PEM with a private key that is not encrypted',
      actual: 'something else',
      cause,
    });
  }
}

/** 04 || x || y of the key's public half. */
function pointOf(key: KeyObject): Uint8Array {
  const { x = '', y = '' } = createPublicKey(key).export({ format: 'jwk' });
  const [left, right] = [decodeBase64(x), decodeBase64(y)];
  return concatBytes(Uint8Array.of(4), left ?? new Uint8Array(), right ?? new Uint8Array());
}

/** COSE_Sign1 (RFC 9052, 4.2), untagged, over {register_index: 0, register_value: PCR0}. */
function signSign1(algorithm: EifAlgorithm, secret: Uint8Array, pcr0: Uint8Array): Uint8Array {
  const { cose, curve } = EIF_ALGORITHMS[algorithm];
  const label = new ByteWriter().u8(0xa1).u8(0x01);
  // RFC 9053, 2.1: -7, -35, -36; CBOR stores -1 - n.
  const protectedBytes = (
    cose >= -24 ? label.u8(0x1f - cose) : label.u8(0x38).u8(-1 - cose)
  ).finish();
  const payload = new ByteWriter().u8(0xa2);
  text(payload, 'register_index').u8(0);
  integers(text(payload, 'register_value'), pcr0);
  const message = eifSignedBytes(protectedBytes, payload.finish());
  const options = { prehash: true, lowS: false, format: 'compact' } as const;
  const signature = CURVES[curve].sign(message, secret, options);
  const envelope = new ByteWriter().u8(0x84);
  bytes(envelope, protectedBytes).u8(0xa0);
  bytes(envelope, payload.finish());
  return bytes(envelope, signature).finish();
}

/** An array with one map, byte vectors as arrays of integers like the reference implementation. */
function encodeSection(certificatePem: Uint8Array, envelope: Uint8Array): Uint8Array {
  const writer = new ByteWriter().u8(0x81).u8(0xa2);
  integers(text(writer, 'signing_certificate'), certificatePem);
  return integers(text(writer, 'signature'), envelope).finish();
}

function text(writer: ByteWriter, value: string): ByteWriter {
  return head(writer, 0x60, value.length).bytes(new TextEncoder().encode(value));
}

function bytes(writer: ByteWriter, value: Uint8Array): ByteWriter {
  return head(writer, 0x40, value.length).bytes(value);
}

function integers(writer: ByteWriter, values: Uint8Array): ByteWriter {
  head(writer, 0x80, values.length);
  for (const value of values) head(writer, 0x00, value);
  return writer;
}

/** Major type and argument in the shortest form (RFC 8949, 4.2.1), up to 65535. */
function head(writer: ByteWriter, major: number, argument: number): ByteWriter {
  if (argument < 24) return writer.u8(major | argument);
  if (argument < 256) return writer.u8(major | 24).u8(argument);
  return writer.u8(major | 25).u16(argument);
}
