import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/**
 * A certificate authority shaped like AWS Nitro's, and a signer of attestation documents, for
 * tests, demos and the simulator. Nothing here is signed by AWS: its root says so in its subject.
 *
 * It shares no code with the verifier, so that the two can be tested against each other.
 * Profile: observed in real documents (root 30 years, regional 20 days, zonal 6 days, instance
 * 24 hours, leaf 3 hours; P-384 with ecdsa-with-SHA384 throughout).
 */
export interface NitroPki {
  /** DER of the self-signed root: the trust anchor to pass to the verifier. */
  readonly rootDer: Uint8Array;
  /** The same as PEM. */
  readonly rootPem: string;
  /** The CA certificates of the default instance at the PKI's `now`, root first, as DER. */
  readonly chain: readonly Uint8Array[];
  /** The CAs (root first) and the leaf with their keys, for a module at a time. */
  issuePath(moduleId: string, timestampMs: number): Promise<NitroPath>;
  /** A signed attestation document (COSE_Sign1, untagged), as the NSM returns it. */
  issueDocument(fields: NitroDocumentFields): Promise<Uint8Array>;
}

/** What to create. */
export interface NitroPkiOptions {
  /** When the PKI comes into being; certificates are valid around it. Default: the clock. */
  readonly now?: Date;
  /** Stands in the names of the certificates. Default: `us-east-1`. */
  readonly region?: string;
  /** EC2 instance of `chain`. Default: `i-0123456789abcdef0`. */
  readonly instanceId?: string;
}

/** The fields of an attestation document that its producer or its instance determine. */
export interface NitroDocumentFields {
  /** Decides the key of the PCRs: `nitrotpm_pcrs` or `pcrs`. */
  readonly platform: 'nitrotpm' | 'enclave';
  /** e.g. `i-0123456789abcdef0-tpm0000000000000000`. */
  readonly moduleId: string;
  /** UTC, milliseconds since the epoch. */
  readonly timestampMs: number;
  /** PCR index → 48 bytes. */
  readonly pcrs: ReadonlyMap<number, Uint8Array> | Readonly<Record<number, Uint8Array>>;
  readonly publicKey?: Uint8Array | undefined;
  readonly userData?: Uint8Array | undefined;
  readonly nonce?: Uint8Array | undefined;
}

/** A certificate and the key it certifies. */
export interface NitroIdentity {
  readonly der: Uint8Array;
  readonly keys: CryptoKeyPair;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A whole path: what stands in a document's `cabundle` (root first) and its `certificate`. */
export interface NitroPath {
  readonly authorities: readonly NitroIdentity[];
  readonly leaf: NitroIdentity;
}

const P384 = { name: 'ECDSA', namedCurve: 'P-384' } as const;
const ES384 = { name: 'ECDSA', hash: 'SHA-384' } as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

interface IssueRequest {
  readonly subject: string;
  readonly issuer?: { readonly identity: NitroIdentity; readonly subject: string } | undefined;
  readonly notBeforeMs: number;
  readonly lifetimeMs: number;
  readonly serialNumber?: string;
  /** undefined for a leaf; null for a CA without pathLenConstraint. */
  readonly pathLength?: number | null;
}

/** Makes a new PKI with fresh keys. */
export async function createNitroPki(options: NitroPkiOptions = {}): Promise<NitroPki> {
  const nowMs = (options.now ?? new Date()).getTime();
  const region = options.region ?? 'us-east-1';
  const names = {
    root: 'CN=simulated.nitro-enclaves NOT AWS, OU=SIMULATED, O=NOT AWS, C=ZZ',
    regional: `CN=0123456789abcdef.${region}.simulated.nitro-enclaves, OU=SIMULATED, O=NOT AWS, C=ZZ`,
    zonal: `CN=fedcba9876543210.zonal.${region}.simulated.nitro-enclaves, OU=SIMULATED, O=NOT AWS, C=ZZ, ST=Simulated, L=Simulated`,
    instance: (id: string): string =>
      `C=ZZ, ST=Simulated, L=Simulated, O=NOT AWS, OU=SIMULATED, CN=${id}.${region}.simulated.nitro-enclaves`,
    leaf: (moduleId: string): string =>
      `C=ZZ, ST=Simulated, L=Simulated, O=NOT AWS, OU=SIMULATED, CN=${moduleId}.${region}.simulated`,
  };
  const root = await issue({
    subject: names.root,
    notBeforeMs: nowMs - 365 * DAY_MS,
    lifetimeMs: 30 * 365 * DAY_MS,
    pathLength: null,
  });

  // One current certificate for each subject; a new one when a document's time lies outside it.
  const current = new Map<string, { issuer: NitroIdentity; identity: Promise<NitroIdentity> }>();
  async function at(request: IssueRequest, timestampMs: number): Promise<NitroIdentity> {
    const issuer = request.issuer?.identity as NitroIdentity;
    const known = current.get(request.subject);
    if (known !== undefined && known.issuer === issuer) {
      const identity = await known.identity;
      if (identity.notBeforeMs <= timestampMs && timestampMs <= identity.notAfterMs)
        return identity;
    }
    const identity = issue(request);
    current.set(request.subject, { issuer, identity });
    return identity;
  }

  async function issueAuthorities(
    instanceId: string,
    timestampMs: number,
  ): Promise<NitroIdentity[]> {
    const regional = await at(
      {
        subject: names.regional,
        issuer: { identity: root, subject: names.root },
        notBeforeMs: timestampMs - 4 * DAY_MS,
        lifetimeMs: 20 * DAY_MS,
        pathLength: 2,
      },
      timestampMs,
    );
    const zonal = await at(
      {
        subject: names.zonal,
        issuer: { identity: regional, subject: names.regional },
        notBeforeMs: timestampMs - DAY_MS,
        lifetimeMs: 6 * DAY_MS,
        pathLength: 1,
      },
      timestampMs,
    );
    const instance = await at(
      {
        subject: names.instance(instanceId),
        issuer: { identity: zonal, subject: names.zonal },
        notBeforeMs: timestampMs - MINUTE_MS,
        lifetimeMs: DAY_MS,
        pathLength: 0,
      },
      timestampMs,
    );
    return [root, regional, zonal, instance];
  }

  async function issuePath(moduleId: string, timestampMs: number): Promise<NitroPath> {
    const instanceId = moduleId.replace(/-(tpm|enc)[0-9a-f]*$/, '');
    const authorities = await issueAuthorities(instanceId, timestampMs);
    const leaf = await at(
      {
        subject: names.leaf(moduleId),
        issuer: {
          identity: authorities.at(-1) as NitroIdentity,
          subject: names.instance(instanceId),
        },
        notBeforeMs: timestampMs - 3000,
        lifetimeMs: 3 * HOUR_MS + 3000,
        // Real leaves carry their time of issue as a 4-byte serial number.
        serialNumber: Math.floor(timestampMs / 1000)
          .toString(16)
          .padStart(8, '0'),
      },
      timestampMs,
    );
    return { authorities, leaf };
  }

  const chain = await issueAuthorities(options.instanceId ?? 'i-0123456789abcdef0', nowMs);
  return {
    rootDer: root.der,
    rootPem: new x509.X509Certificate(root.der as Uint8Array<ArrayBuffer>).toString('pem'),
    chain: chain.map((identity) => identity.der),
    issuePath,
    async issueDocument(fields) {
      const path = await issuePath(fields.moduleId, fields.timestampMs);
      const payload = encodeNitroPayload(
        fields,
        path.leaf.der,
        path.authorities.map((authority) => authority.der),
      );
      return signCoseSign1(payload, path.leaf.keys.privateKey);
    },
  };
}

async function issue(request: IssueRequest): Promise<NitroIdentity> {
  const keys = await crypto.subtle.generateKey(P384, true, ['sign', 'verify']);
  // Certificates carry whole seconds.
  const notBeforeMs = Math.floor(request.notBeforeMs / 1000) * 1000;
  const notAfterMs = Math.floor((request.notBeforeMs + request.lifetimeMs) / 1000) * 1000;
  const issuerKeys = request.issuer?.identity.keys ?? keys;
  const { KeyUsageFlags } = x509;
  const extensions: x509.Extension[] = [];
  if (request.pathLength === undefined) {
    extensions.push(
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation),
    );
  } else {
    extensions.push(
      new x509.BasicConstraintsExtension(true, request.pathLength ?? undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
        true,
      ),
    );
    if (request.issuer !== undefined)
      extensions.push(await x509.AuthorityKeyIdentifierExtension.create(issuerKeys.publicKey));
  }
  const certificate = await x509.X509CertificateGenerator.create({
    subject: request.subject,
    issuer: request.issuer?.subject ?? request.subject,
    serialNumber: request.serialNumber ?? randomSerial(),
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey: keys.publicKey,
    signingKey: issuerKeys.privateKey,
    signingAlgorithm: ES384,
    extensions,
  });
  return { der: new Uint8Array(certificate.rawData), keys, notBeforeMs, notAfterMs };
}

/** 16 bytes, positive and minimal: the first lies in 40..7f. */
function randomSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = 0x40 | ((bytes[0] as number) & 0x3f);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * The payload of a document as the NSM has written it since July 2025: an indefinite-length map,
 * keys in the order of AWS's text, absent optionals null.
 */
export function encodeNitroPayload(
  fields: NitroDocumentFields,
  certificate: Uint8Array,
  cabundle: readonly Uint8Array[],
): Uint8Array {
  const { pcrs } = fields;
  const entries = (
    pcrs instanceof Map
      ? [...(pcrs as Map<number, Uint8Array>)]
      : Object.entries(pcrs as Record<number, Uint8Array>).map(
          ([index, value]) => [Number(index), value] as const,
        )
  ).sort(([a], [b]) => a - b);
  const optional = (value: Uint8Array | undefined): Uint8Array =>
    value === undefined ? Uint8Array.of(0xf6) : bstr(value);
  return join(
    Uint8Array.of(0xbf),
    tstr('module_id'),
    tstr(fields.moduleId),
    tstr('digest'),
    tstr('SHA384'),
    tstr('timestamp'),
    head(0, fields.timestampMs),
    tstr(fields.platform === 'nitrotpm' ? 'nitrotpm_pcrs' : 'pcrs'),
    head(5, entries.length),
    ...entries.flatMap(([index, value]) => [head(0, index), bstr(value)]),
    tstr('certificate'),
    bstr(certificate),
    tstr('cabundle'),
    head(4, cabundle.length),
    ...cabundle.map(bstr),
    tstr('public_key'),
    optional(fields.publicKey),
    tstr('user_data'),
    optional(fields.userData),
    tstr('nonce'),
    optional(fields.nonce),
    Uint8Array.of(0xff),
  );
}

/** Signs a payload with ES384 into an untagged COSE_Sign1 (RFC 9052, 4.2 and 4.4). */
export async function signCoseSign1(payload: Uint8Array, key: CryptoKey): Promise<Uint8Array> {
  const protectedHeader = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);
  const signed = join(
    head(4, 4),
    tstr('Signature1'),
    bstr(protectedHeader),
    bstr(new Uint8Array(0)),
    bstr(payload),
  );
  const signature = new Uint8Array(await crypto.subtle.sign(ES384, key, signed));
  return join(head(4, 4), bstr(protectedHeader), head(5, 0), bstr(payload), bstr(signature));
}

/** Head of a CBOR item in its shortest form (RFC 8949, 3 and 4.2.1). */
function head(majorType: number, argument: number): Uint8Array<ArrayBuffer> {
  const type = majorType << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  if (argument < 0x100) return Uint8Array.of(type | 24, argument);
  if (argument < 0x10000) return Uint8Array.of(type | 25, argument >> 8, argument & 0xff);
  const wide = argument > 0xffffffff;
  const bytes = new Uint8Array(wide ? 9 : 5);
  bytes[0] = type | (wide ? 27 : 26);
  const view = new DataView(bytes.buffer);
  if (wide) view.setBigUint64(1, BigInt(argument));
  else view.setUint32(1, argument);
  return bytes;
}

function bstr(value: Uint8Array): Uint8Array<ArrayBuffer> {
  return join(head(2, value.length), value);
}

function tstr(value: string): Uint8Array<ArrayBuffer> {
  const utf8 = new TextEncoder().encode(value);
  return join(head(3, utf8.length), utf8);
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
