import { derToRaw, twin } from '../mint/ecdsa.js';
import { readCbor } from './mutate-cbor.js';

/** Everything in evidence that carries trust: what was signed, and the signatures. Hex. */
export interface SignedParts {
  readonly protectedHeader: string;
  readonly payload: string;
  readonly signature: string;
  readonly attestData: string | undefined;
  readonly quoteSignature: string | undefined;
}

interface Decoded {
  readonly document: Uint8Array;
  readonly bundle: object | undefined;
  signed(): SignedParts;
}

/** Reads evidence in any accepted form, without the verifier's code. */
export function decodeEvidence(evidence: string | Uint8Array | object): Decoded {
  const isBundle = typeof evidence === 'object' && !(evidence instanceof Uint8Array);
  const text =
    evidence instanceof Uint8Array
      ? Buffer.from(evidence).toString('latin1')
      : typeof evidence === 'string'
        ? evidence
        : '';
  const json = text.replace(/^(\xef\xbb\xbf|\ufeff)/, '').trimStart();
  const bundle = isBundle ? evidence : json.startsWith('{') ? JSON.parse(json) : undefined;
  const document =
    bundle !== undefined
      ? Buffer.from(bundle.attestation.nitro.document, 'hex')
      : evidence instanceof Uint8Array && (evidence[0] as number) >= 0x80
        ? evidence
        : decodeText(text);
  return { document, bundle, signed: () => signedParts(document, bundle) };
}

function decodeText(text: string): Uint8Array {
  const compact = text.replace(/\s/g, '');
  if (/^([0-9a-f]{2})+$/i.test(compact)) return Buffer.from(compact, 'hex');
  return Buffer.from(compact, 'base64'); // also reads base64url
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of unknown shape
function signedParts(document: Uint8Array, bundle: any): SignedParts {
  const item = readCbor(document);
  const envelope = item.major === 6 ? item.items[0] : item;
  const [protectedHeader, , payload, signature] = (envelope?.items ?? []).map(({ bytes }) => bytes);
  const quote = bundle?.attestation.tpm.ecc_p256;
  return {
    protectedHeader: hex(protectedHeader as Uint8Array),
    payload: hex(payload as Uint8Array),
    signature: hex(signature as Uint8Array),
    attestData: quote?.attest_data.toLowerCase(),
    quoteSignature: quote?.signature.toLowerCase(),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Whether two pieces of evidence say the same with signatures that are equal or twins. */
export function isSameStatement(a: SignedParts, b: SignedParts): boolean {
  return (
    a.protectedHeader === b.protectedHeader &&
    a.payload === b.payload &&
    isSameOrTwin(Buffer.from(a.signature, 'hex'), Buffer.from(b.signature, 'hex'), 'P-384') &&
    a.attestData === b.attestData &&
    (a.quoteSignature === b.quoteSignature ||
      (a.quoteSignature !== undefined &&
        b.quoteSignature !== undefined &&
        isSameOrTwin(rawOf(a.quoteSignature), rawOf(b.quoteSignature), 'P-256')))
  );
}

const rawOf = (der: string): Uint8Array => derToRaw(Buffer.from(der, 'hex'), 'P-256');

const isSameOrTwin = (a: Uint8Array, b: Uint8Array, curve: 'P-256' | 'P-384'): boolean =>
  hex(a) === hex(b) || hex(a) === hex(twin(b, curve));
