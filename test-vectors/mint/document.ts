import type { NitroPath } from '../../tools/simulator/nitro-pki.js';
import { signRaw } from './ecdsa.js';
import { enclavePcrs, nitroTpmPcrs, type Pcrs } from './pcrs.js';
import { type MintPki, MODULE_ID } from './pki.js';
import {
  array,
  bstr,
  head,
  indefinite,
  int,
  map,
  NULL,
  type RawCbor,
  type RawEntry,
  tag,
  tstr,
} from './raw-cbor.js';

/** The parts of the envelope, each as its whole CBOR item. */
export interface EnvelopeItems {
  readonly protectedHeader: Uint8Array;
  readonly unprotectedHeader: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** What to make, and at most one thing to break. */
export interface DocumentOverrides {
  readonly platform?: 'nitrotpm' | 'enclave';
  readonly moduleId?: string;
  readonly timestampMs?: number;
  readonly pcrs?: Pcrs;
  readonly publicKey?: Uint8Array | undefined;
  readonly userData?: Uint8Array | undefined;
  readonly nonce?: Uint8Array | undefined;
  /** Raw CBOR instead of a field's value; undefined leaves the field out. */
  readonly fields?: Readonly<Record<string, Uint8Array | undefined>>;
  /** More entries at the end of the payload map. */
  readonly extra?: readonly RawEntry[];
  /** How the payload map is written. Real ones are indefinite since July 2025. */
  readonly mapForm?: 'indefinite' | 'definite';
  /** Changes the order of the entries. */
  readonly order?: (entries: RawEntry[]) => RawEntry[];
  /** Changes the payload before it is signed. */
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  /** Certificates and keys; default: those of the PKI at the document's time. */
  readonly path?: NitroPath;
  readonly certificate?: Uint8Array;
  readonly cabundle?: readonly Uint8Array[];
  /** Signs with this key instead of the leaf's. */
  readonly signWith?: CryptoKey;
  /** Contents of the protected header that are signed. */
  readonly protectedHeader?: Uint8Array;
  /** First text of the Sig_structure. Default `Signature1`. */
  readonly context?: string;
  readonly externalAad?: Uint8Array;
  /** Signs again until this holds for r || s. */
  readonly until?: (signature: Uint8Array) => boolean;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** Writes the envelope from its items; default: a definite array of 4, untagged. */
  readonly envelope?: (items: EnvelopeItems) => Uint8Array;
  /** CBOR tag in front. */
  readonly tag?: number;
  /** Changes the finished document. */
  readonly document?: (document: Uint8Array) => Uint8Array;
}

export const ES384_HEADER: Uint8Array = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);

/** A map PCR index → value as CBOR. */
export const pcrMap = (pcrs: Pcrs): RawCbor =>
  map(...[...pcrs].map(([index, value]) => [int(index), bstr(value)] as const));

/** The entries of the payload map in AWS's order. */
export function payloadEntries(
  pki: MintPki,
  path: NitroPath,
  overrides: DocumentOverrides,
): RawEntry[] {
  const platform = overrides.platform ?? 'nitrotpm';
  const optional = (value: Uint8Array | undefined): Uint8Array =>
    value === undefined ? NULL : bstr(value);
  const bundle = overrides.cabundle ?? path.authorities.map(({ der }) => der);
  const values: Record<string, Uint8Array | undefined> = {
    module_id: tstr(overrides.moduleId ?? MODULE_ID[platform]),
    digest: tstr('SHA384'),
    timestamp: int(overrides.timestampMs ?? pki.nowMs),
    [platform === 'nitrotpm' ? 'nitrotpm_pcrs' : 'pcrs']: pcrMap(
      overrides.pcrs ?? (platform === 'nitrotpm' ? nitroTpmPcrs() : enclavePcrs()),
    ),
    certificate: bstr(overrides.certificate ?? path.leaf.der),
    cabundle: array(...bundle.map((der) => bstr(der))),
    public_key: optional(overrides.publicKey),
    user_data: optional(overrides.userData),
    nonce: optional(overrides.nonce),
    ...overrides.fields,
  };
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [[tstr(key), value] as const],
  );
}

/** A signed document with the given differences from a good one. */
export async function mintDocument(
  pki: MintPki,
  overrides: DocumentOverrides = {},
): Promise<Uint8Array> {
  const moduleId = overrides.moduleId ?? MODULE_ID[overrides.platform ?? 'nitrotpm'];
  const path =
    overrides.path ?? (await pki.issuePath(moduleId, overrides.timestampMs ?? pki.nowMs));
  const entries = [...payloadEntries(pki, path, overrides), ...(overrides.extra ?? [])];
  const ordered = overrides.order?.(entries) ?? entries;
  const written =
    overrides.mapForm === 'definite' ? map(...ordered) : indefinite(5, ...ordered.flat());
  const payload = overrides.payload?.(written) ?? written;
  return mintEnvelope(payload, overrides.signWith ?? path.leaf.keys.privateKey, overrides);
}

/** COSE_Sign1 around any payload. */
export async function mintEnvelope(
  payload: Uint8Array,
  key: CryptoKey,
  overrides: DocumentOverrides = {},
): Promise<Uint8Array> {
  const protectedHeader = overrides.protectedHeader ?? ES384_HEADER;
  const signed = array(
    tstr(overrides.context ?? 'Signature1'),
    bstr(protectedHeader),
    bstr(overrides.externalAad ?? new Uint8Array(0)),
    bstr(payload),
  );
  let signature: Uint8Array;
  do signature = await signRaw(key, signed, 'SHA-384');
  while (overrides.until !== undefined && !overrides.until(signature));
  const items: EnvelopeItems = {
    protectedHeader: bstr(protectedHeader),
    unprotectedHeader: head(5, 0),
    payload: bstr(payload),
    signature: bstr(overrides.signature?.(signature) ?? signature),
  };
  let document: Uint8Array = (overrides.envelope ?? defaultEnvelope)(items);
  if (overrides.tag !== undefined) document = tag(overrides.tag, document);
  return overrides.document?.(document) ?? document;
}

export const defaultEnvelope = (items: EnvelopeItems): Uint8Array =>
  array(items.protectedHeader, items.unprotectedHeader, items.payload, items.signature);
