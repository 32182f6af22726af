import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { asciiBytes, concatBytes } from '../../bytes/bytes.js';
import { authenticodeDigests } from '../authenticode.js';
import { bytesSource } from '../byte-source.js';
import { der, makePe, type PePlan, type SectionPlan } from './make-pe.js';

/** A key with a certificate. */
export interface TestSigner {
  readonly certificate: Uint8Array;
  readonly name: Uint8Array;
  readonly issuerName: Uint8Array;
  readonly serial: number;
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}

/** What differs from a usual certificate. */
export interface SignerPlan {
  /** Default: itself. */
  readonly issuer?: TestSigner;
  readonly keys?: TestSigner['keys'];
  readonly kind?: 'rsa' | 'ec';
  readonly isAuthority?: boolean;
  /** A signature of somebody else\u2019s. */
  readonly forged?: boolean;
  /** Written in upper case where the certificate names its issuer. */
  readonly issuerInCapitals?: boolean;
}

const NULL = der(0x05);
const oid = (hex: string): Uint8Array => der(0x06, Uint8Array.from(Buffer.from(hex, 'hex')));
const SHA256 = der(0x30, oid('608648016503040201'), NULL);
const nameOf = (text: string): Uint8Array =>
  der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, asciiBytes(text)))));
const algorithmOf = (key: KeyObject): Uint8Array =>
  key.asymmetricKeyType === 'ec'
    ? der(0x30, oid('2a8648ce3d040302'))
    : der(0x30, oid('2a864886f70d01010b'), NULL);

let serials = 0;

/** A certificate, RSA (short, so that tests are quick) unless the plan says otherwise. */
export function makeSigner(commonName: string, plan: SignerPlan = {}): TestSigner {
  const keys =
    plan.keys ??
    (plan.kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 1024 }));
  const serial = ++serials;
  const name = nameOf(commonName);
  const { issuer, isAuthority = true } = plan;
  const issuerKey = (issuer?.keys ?? keys).privateKey;
  const capitals = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i >= 13 && byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte));
  const plainName = issuer?.name ?? name;
  const issuerName = plan.issuerInCapitals ? capitals(plainName) : plainName;
  const constraints = der(
    0x30,
    der(
      0x30,
      oid('551d13'),
      der(0x04, isAuthority ? der(0x30, der(0x01, Uint8Array.of(255))) : der(0x30)),
    ),
  );
  const tbs = der(
    0x30,
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, Uint8Array.of(serial)),
    algorithmOf(issuerKey),
    issuerName,
    der(0x30, der(0x17, asciiBytes('200101000000Z')), der(0x17, asciiBytes('400101000000Z'))),
    name,
    Uint8Array.from(keys.publicKey.export({ type: 'spki', format: 'der' })),
    der(0xa3, constraints),
  );
  const signature = Uint8Array.from(sign('sha256', tbs, issuerKey));
  if (plan.forged) signature[9] = (signature[9] as number) ^ 1;
  const certificate = der(
    0x30,
    tbs,
    algorithmOf(issuerKey),
    der(0x03, concatBytes(Uint8Array.of(0), signature)),
  );
  return { certificate, name, issuerName, serial, keys };
}

/** Deliberate faults of a signature. */
export interface SignaturePlan {
  readonly signer: TestSigner;
  /** Default: the signer\u2019s certificate. */
  readonly carried?: readonly Uint8Array[];
  readonly imageDigest?: Uint8Array;
  readonly messageDigest?: Uint8Array;
  readonly forged?: boolean;
}

/** A PE image with these Authenticode signatures (SHA-256). */
export async function signPe(
  sections: readonly SectionPlan[],
  signatures: readonly SignaturePlan[],
  plan: PePlan = {},
): Promise<Uint8Array> {
  const unsigned = makePe(sections, plan);
  const [digest = new Uint8Array()] = await authenticodeDigests(bytesSource(unsigned), ['SHA-256']);
  const certificates = concatBytes(...signatures.map((one) => signatureEntry(digest, one)));
  return makePe(sections, { ...plan, certificates });
}

function signatureEntry(digest: Uint8Array, plan: SignaturePlan): Uint8Array {
  const { signer, carried = [signer.certificate] } = plan;
  const spc = der(
    0x30,
    der(0x30, oid('2b06010401823702010f'), der(0x30)),
    der(0x30, SHA256, der(0x04, plan.imageDigest ?? digest)),
  );
  const contents = spc.subarray(spc[1] === 0x81 ? 3 : 2);
  const messageDigest = plan.messageDigest ?? createHash('sha256').update(contents).digest();
  const attributes = [
    der(0x30, oid('2a864886f70d010903'), der(0x31, oid('2b060104018237020104'))),
    der(0x30, oid('2a864886f70d010904'), der(0x31, der(0x04, messageDigest))),
  ];
  const signature = Uint8Array.from(
    sign('sha256', der(0x31, ...attributes), signer.keys.privateKey),
  );
  if (plan.forged) signature[9] = (signature[9] as number) ^ 1;
  const isRsa = signer.keys.privateKey.asymmetricKeyType === 'rsa';
  const signerInfo = der(
    0x30,
    der(0x02, Uint8Array.of(1)),
    der(0x30, signer.issuerName, der(0x02, Uint8Array.of(signer.serial))),
    SHA256,
    der(0xa0, ...attributes),
    isRsa ? der(0x30, oid('2a864886f70d010101'), NULL) : algorithmOf(signer.keys.privateKey),
    der(0x04, signature),
  );
  const signed = der(
    0x30,
    der(0x02, Uint8Array.of(1)),
    der(0x31, SHA256),
    der(0x30, oid('2b060104018237020104'), der(0xa0, spc)),
    der(0xa0, ...carried),
    der(0x31, signerInfo),
  );
  const blob = der(0x30, oid('2a864886f70d010702'), der(0xa0, signed));
  const entry = new Uint8Array(Math.ceil((8 + blob.length) / 8) * 8);
  const view = new DataView(entry.buffer);
  view.setUint32(0, 8 + blob.length, true);
  view.setUint16(4, 0x0200, true);
  view.setUint16(6, 0x0002, true);
  entry.set(blob, 8);
  return entry;
}
