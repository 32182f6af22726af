import { decodeBase64 } from '../src/bytes/base64.js';
import { encodeBase64Url } from '../src/bytes/base64-encode.js';
import { type Bytes, concatBytes, copyBytes, equalBytes } from '../src/bytes/bytes.js';
import { decodeHex } from '../src/bytes/hex.js';
import { chooseProvider } from '../src/crypto/choose-provider.js';
import { isPointOnCurve } from '../src/crypto/curve.js';
import { AttestationError } from '../src/result/attestation-error.js';
import { BINDING_CODES } from '../src/result/binding-codes.js';
import { DER, DerReader } from '../src/x509/der.js';

/** A public key in the forms that protocols ask for. */
export interface AttestedKey {
  readonly type: 'P-256' | 'P-384' | 'X25519' | 'Ed25519' | 'RSA';
  /** SubjectPublicKeyInfo, DER (RFC 5280, 4.1.2.7): what `crypto.subtle.importKey('spki', …)` takes. */
  readonly spki: Bytes;
  /** RFC 7517; neither `alg` nor `use`, which the attestation does not say. */
  readonly jwk: JsonWebKey;
  /**
   * The recipient's key as HPKE serializes it (RFC 9180, 7.1.1): the uncompressed point, or the 32
   * bytes of X25519. Undefined for keys that only sign, and for RSA.
   */
  readonly hpkePublicKey: Bytes | undefined;
  /** SHA-256 of `spki`, 32 bytes: as keys are pinned (RFC 7469, 2.4) or put into `user_data`. */
  readonly spkiSha256: Bytes;
}

/** A key before its hash is computed. */
type BareKey = Omit<AttestedKey, 'spkiSha256'>;

/** SPKI of each kind up to the key itself (RFC 5480, 2; RFC 8410, 4), and the key's size. */
const KINDS = [
  ['P-256', 65, '3059301306072a8648ce3d020106082a8648ce3d030107034200'],
  ['P-384', 97, '3076301006072a8648ce3d020106052b81040022036200'],
  ['X25519', 32, '302a300506032b656e032100'],
  ['Ed25519', 32, '302a300506032b6570032100'],
] as const;
type RawType = (typeof KINDS)[number][0];

/** SEQUENCE { rsaEncryption, NULL } (RFC 8017, A.1). */
const RSA_ALGORITHM = decodeHex('300d06092a864886f70d0101010500') as Bytes;
const MIN_RSA_BYTES = 256;

/** What a place of the document holds, or may hold. */
export type Field = Bytes | undefined;

const SHA256_BYTES = 32;

/** As `readAttestedKey`, of the bytes that stand in the document. */
export async function readField(
  field: Field,
  place: string,
  rawAs: 'X25519' | 'Ed25519' | undefined,
): Promise<AttestedKey> {
  return readPublicKey(present(field, place), rawAs);
}

/** As `requireAttestedKey`, of the bytes that stand in the document. */
export async function requireField(
  field: Field,
  place: string,
  presented: Uint8Array | JsonWebKey | CryptoKey,
): Promise<AttestedKey> {
  const attested = present(field, place);
  const key = await readPresented(presented);
  const isSame =
    attested.length === SHA256_BYTES
      ? equalBytes(attested, key.spkiSha256)
      : equalBytes(readKey(attested).spki, key.spki);
  if (!isSame) throw new AttestationError(BINDING_CODES['binding.key-mismatch']);
  return key;
}

function present(field: Field, place: string): Bytes {
  if (place !== 'publicKey' && place !== 'userData')
    throw new TypeError("place must be 'publicKey' or 'userData'");
  if (field === undefined || field.length === 0)
    throw new AttestationError(BINDING_CODES['binding.key-missing'], { expected: place });
  return field;
}

async function readPresented(key: Uint8Array | JsonWebKey | CryptoKey): Promise<AttestedKey> {
  if (key instanceof Uint8Array) return readPublicKey(copyBytes(key), undefined);
  // A runtime without the class has no such keys either.
  if (typeof CryptoKey === 'function' && key instanceof CryptoKey)
    return readPublicKey(new Uint8Array(await crypto.subtle.exportKey('spki', key)), undefined);
  return withHash(fromJwk(key as JsonWebKey));
}

/** Reads a key that this module can tell: SPKI, a point, or a JWK as JSON text; `rawAs` for 32 bare bytes. */
function readPublicKey(
  bytes: Bytes,
  rawAs: 'X25519' | 'Ed25519' | undefined,
): Promise<AttestedKey> {
  return withHash(rawAs === undefined ? readKey(bytes) : fromRaw(rawAs, bytes));
}

async function withHash(key: BareKey): Promise<AttestedKey> {
  const digest = await chooseProvider().digest('SHA-256', key.spki);
  return { ...key, spkiSha256: new Uint8Array(digest) };
}

function readKey(bytes: Bytes): BareKey {
  if (bytes[0] === 0x7b) return fromJwk(parseJson(bytes));
  for (const [type, size, prefix] of KINDS) {
    const head = decodeHex(prefix) as Bytes;
    if (bytes.length === head.length + size && equalBytes(bytes.subarray(0, head.length), head))
      return fromRaw(type, bytes.slice(head.length));
    if (bytes.length === size && bytes[0] === 4 && size > 32) return fromRaw(type, bytes);
  }
  return bytes[0] === DER.SEQUENCE ? readRsa(bytes) : unsupported(`${bytes.length} bytes`);
}

function fromRaw(type: RawType, raw: Bytes): BareKey {
  const [, size, prefix] = KINDS.find(([name]) => name === type) as (typeof KINDS)[number];
  const isCurve = type === 'P-256' || type === 'P-384';
  if (raw.length !== size || (isCurve && !isPointOnCurve(type, raw)))
    unsupported(`no ${type} key in ${raw.length} bytes`);
  const middle = (size + 1) / 2;
  return {
    type,
    spki: concatBytes(decodeHex(prefix) as Bytes, raw),
    jwk: isCurve
      ? {
          kty: 'EC',
          crv: type,
          x: encodeBase64Url(raw.subarray(1, middle)),
          y: encodeBase64Url(raw.subarray(middle)),
        }
      : { kty: 'OKP', crv: type, x: encodeBase64Url(raw) },
    hpkePublicKey: type === 'Ed25519' ? undefined : raw,
  };
}

function fromJwk(jwk: JsonWebKey): BareKey {
  const { kty, crv, x, y, n, e } = jwk;
  if (Object.hasOwn(jwk, 'd')) unsupported('a private key');
  if (kty === 'RSA') return fromRsa(base64Url(n), base64Url(e));
  const kind = KINDS.find(([type]) => type === crv);
  if (kind === undefined || kty !== (kind[1] > 32 ? 'EC' : 'OKP'))
    return unsupported(`kty ${kty}, crv ${crv}`);
  if (kty === 'OKP') return fromRaw(kind[0], base64Url(x));
  return fromRaw(kind[0], concatBytes(Uint8Array.of(4), base64Url(x), base64Url(y)));
}

/** SEQUENCE { algorithm, BIT STRING { SEQUENCE { n, e } } } (RFC 8017, A.1.1). */
function readRsa(bytes: Bytes): BareKey {
  const reader = (der: Uint8Array): DerReader =>
    new DerReader(der, 'public key', BINDING_CODES['binding.key-unsupported']);
  const outer = reader(bytes);
  const info = reader(outer.any('SPKI').contents);
  const algorithm = info.any('algorithm').encoded;
  const bits = info.any('key');
  if (!outer.done || !info.done || !equalBytes(algorithm, RSA_ALGORITHM) || bits.contents[0] !== 0)
    unsupported('SPKI of another algorithm');
  const key = reader(reader(bits.contents.subarray(1)).any('RSA key').contents);
  const rsa = fromRsa(key.any('modulus').contents, key.any('exponent').contents);
  // Only one encoding of a key is accepted: comparing and hashing SPKI relies on it.
  return equalBytes(rsa.spki, bytes) ? rsa : unsupported('SPKI that is not DER of an RSA key');
}

function fromRsa(modulus: Uint8Array, exponent: Uint8Array): BareKey {
  const [n, e] = [unsigned(modulus), unsigned(exponent)];
  if (n.length < MIN_RSA_BYTES || n.length > 1024 || e.length === 0 || e.length > 8)
    unsupported(`RSA of ${8 * n.length} bits`);
  const key = der(DER.SEQUENCE, integer(n), integer(e));
  return {
    type: 'RSA',
    spki: der(DER.SEQUENCE, RSA_ALGORITHM, der(DER.BIT_STRING, Uint8Array.of(0), key)),
    jwk: { kty: 'RSA', n: encodeBase64Url(n), e: encodeBase64Url(e) },
    hpkePublicKey: undefined,
  };
}

function unsigned(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? new Uint8Array() : bytes.subarray(first);
}

function integer(value: Uint8Array): Bytes {
  const isHigh = (value[0] as number) >= 0x80;
  return der(DER.INTEGER, isHigh ? Uint8Array.of(0) : new Uint8Array(), value);
}

function der(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const contents = concatBytes(...parts);
  const { length } = contents;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...head), contents);
}

function base64Url(text: unknown): Bytes {
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined;
  return bytes ?? unsupported('a JWK with a part that is not base64url');
}

function parseJson(bytes: Bytes): JsonWebKey {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return unsupported('text that is not JSON');
  }
}

function unsupported(actual: string): never {
  throw new AttestationError(BINDING_CODES['binding.key-unsupported'], { actual });
}
