import {
  type KeyEncryptionAlgorithmIdentifier as AlgorithmIdentifier,
  EnvelopedData as CmsEnvelopedData,
  ContentInfo,
  type EncryptedContentInfo,
  type KeyTransRecipientInfo,
} from '@peculiar/asn1-cms';
import { AsnConvert, type IAsnParseOptions, OctetString } from '@peculiar/asn1-schema';
import { concatBytes, encodeHex } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { guardBer, MAX_BER_DEPTH, MAX_BER_ELEMENTS } from './guard-ber.js';

/** What an envelope of the key service holds (RFC 5652, 6.1). */
export interface EnvelopedData {
  /** SHA-256 of the recipient's SubjectPublicKeyInfo. */
  readonly recipientKeyId: Uint8Array;
  /** The content key, encrypted with RSAES-OAEP (SHA-256, MGF1 with SHA-256, no label). */
  readonly encryptedKey: Uint8Array;
  /** Of AES-256-CBC. */
  readonly iv: Uint8Array;
  /** Whole blocks, with PKCS#7 padding inside. */
  readonly encryptedContent: Uint8Array;
}

/** KMS documents at most 6144 bytes; a data key of 32 bytes takes 493. */
const MAX_ENVELOPE_BYTES = 16_384;

const OID = {
  data: '1.2.840.113549.1.7.1',
  envelopedData: '1.2.840.113549.1.7.3',
  rsaesOaep: '1.2.840.113549.1.1.7',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

/** DER of a few bytes, in hex. */
const der = (tag: string, ...parts: readonly string[]): string =>
  `${tag}${(parts.join('').length / 2).toString(16).padStart(2, '0')}${parts.join('')}`;

/** AlgorithmIdentifier of SHA-256, with NULL as parameters or none (RFC 8017, A.2.1). */
const SHA_256 = ['0500', ''].map((none) => der('30', der('06', '608648016503040201'), none));
const MGF1 = der('06', '2a864886f70d010108');
const NO_LABEL = der('a2', der('30', der('06', '2a864886f70d010109'), der('04')));

/**
 * RSAES-OAEP-params (RFC 8017, A.2.1) of SHA-256, MGF1 with SHA-256 and the empty label, in all
 * right forms. The library's schema of them has a wrong default for the label.
 */
const OAEP_SHA_256: readonly string[] = SHA_256.flatMap((hash) =>
  SHA_256.flatMap((maskHash) =>
    ['', NO_LABEL].map((label) =>
      der('30', der('a0', hash), der('a1', der('30', MGF1, maskHash)), label),
    ),
  ),
);

/**
 * Reads a `CiphertextForRecipient`: CMS EnvelopedData in BER, and of CMS only what AWS KMS writes.
 * The library reads; the guard in front of it bounds what it gets to read, and at the end both must
 * have seen as many elements: nothing that was not checked stands between what was.
 * @throws ToolError `cms.too-large`, `cms.malformed`, `cms.unsupported`
 */
export function parseEnvelopedData(bytes: Uint8Array): EnvelopedData {
  if (bytes.length > MAX_ENVELOPE_BYTES)
    throw new ToolError('cms.too-large', {
      expected: `at most ${MAX_ENVELOPE_BYTES} bytes`,
      actual: `${bytes.length}`,
    });
  const elements = guardBer(bytes);
  const outer = read(bytes, ContentInfo, 'ContentInfo');
  demand(outer.contentType, OID.envelopedData, 'contentType');
  const enveloped = read(outer.content, CmsEnvelopedData, 'EnvelopedData');
  demand(enveloped.version, 2, 'version of EnvelopedData');
  demand(enveloped.originatorInfo, undefined, 'originatorInfo');
  demand(enveloped.unprotectedAttrs, undefined, 'unprotectedAttrs');
  demand(enveloped.recipientInfos.length, 1, 'number of recipients');
  const { ktri } = enveloped.recipientInfos[0] ?? {};
  if (ktri === undefined) throw unsupported('a KeyTransRecipientInfo', 'another');
  const recipient = readRecipient(ktri);
  const content = readContent(enveloped.encryptedContentInfo);
  // ContentInfo, its type, [0], EnvelopedData, its version, the SET; what is in it; the content
  demand(elements, 6 + recipient.elements + content.elements, 'number of elements');
  return { ...recipient.fields, ...content.fields };
}

/** Some fields, and of how many elements of BER they and all around them consist. */
interface Read<K extends keyof EnvelopedData> {
  readonly fields: Pick<EnvelopedData, K>;
  readonly elements: number;
}

/** KeyTransRecipientInfo (6.2.1): version 2 names the recipient by subjectKeyIdentifier. */
function readRecipient(info: KeyTransRecipientInfo): Read<'recipientKeyId' | 'encryptedKey'> {
  demand(info.version, 2, 'version of KeyTransRecipientInfo');
  const { subjectKeyIdentifier } = info.rid;
  demand(subjectKeyIdentifier?.byteLength, 32, 'bytes of the subjectKeyIdentifier');
  const algorithmElements = demandOaepSha256(info.keyEncryptionAlgorithm);
  const fields = {
    recipientKeyId: new Uint8Array(subjectKeyIdentifier?.buffer as ArrayBuffer),
    encryptedKey: new Uint8Array(info.encryptedKey.buffer),
  };
  return { fields, elements: 4 + algorithmElements };
}

/** Demands RSAES-OAEP with SHA-256. Returns the number of elements that say so. */
function demandOaepSha256(algorithm: AlgorithmIdentifier): number {
  demand(algorithm.algorithm, OID.rsaesOaep, 'keyEncryptionAlgorithm');
  const parameters = new Uint8Array(parametersOf(algorithm, 'keyEncryptionAlgorithm'));
  if (!OAEP_SHA_256.includes(encodeHex(parameters)))
    throw unsupported(
      'RSAES-OAEP with SHA-256, MGF1 with SHA-256 and no label',
      'other parameters',
    );
  return 2 + guardBer(parameters);
}

/** EncryptedContentInfo (RFC 5652, 6.1): [0] IMPLICIT, primitive or of chunks (X.690, 8.7). */
function readContent(info: EncryptedContentInfo): Read<'iv' | 'encryptedContent'> {
  demand(info.contentType, OID.data, 'type of the content');
  const { contentEncryptionAlgorithm: algorithm, encryptedContent: content } = info;
  demand(algorithm.algorithm, OID.aes256Cbc, 'contentEncryptionAlgorithm');
  const iv = read(parametersOf(algorithm, 'contentEncryptionAlgorithm'), OctetString, 'IV');
  demand(iv.byteLength, 16, 'bytes of the IV');
  const chunks = content?.constructedValue;
  // A chunk of another type than OCTET STRING reads as empty.
  if (chunks?.some(({ byteLength }) => byteLength === 0))
    throw unsupported('chunks that are octet strings, none empty', 'another');
  const parts = chunks ?? [content?.value ?? new OctetString()];
  const encryptedContent = concatBytes(...parts.map(({ buffer }) => new Uint8Array(buffer)));
  if (encryptedContent.length === 0 || encryptedContent.length % 16 !== 0)
    throw new ToolError('cms.malformed', {
      expected: 'encrypted content in blocks of 16 bytes',
      actual: `${encryptedContent.length} bytes`,
    });
  const fields = { iv: new Uint8Array(iv.buffer), encryptedContent };
  return { fields, elements: 6 + (chunks?.length ?? 0) };
}

/** The guard's bounds once more, and no reading of what octet strings hold: ciphertext. */
const LIMITS: IAsnParseOptions = {
  berOptions: { maxDepth: MAX_BER_DEPTH + 1, maxNodes: MAX_BER_ELEMENTS, parseEmbedded: false },
};

/** Reads with the library. It has no class of errors of its own. */
function read<T>(bytes: Uint8Array | ArrayBuffer, type: new () => T, name: string): T {
  try {
    return AsnConvert.parse(bytes, type, LIMITS);
  } catch (error) {
    throw new ToolError('cms.unsupported', {
      expected: `${name} as AWS KMS writes it`,
      actual: error instanceof Error ? error.message : 'another structure',
      cause: error,
    });
  }
}

function parametersOf({ parameters }: AlgorithmIdentifier, where: string): ArrayBuffer {
  if (parameters === undefined || parameters === null)
    throw unsupported(`parameters of the ${where}`, 'none');
  return parameters;
}

/** What cannot be read is refused as what is different: an algorithm may read as "". */
function demand(actual: unknown, wanted: string | number | undefined, what: string): void {
  if (actual !== wanted)
    throw unsupported(`${what} ${wanted ?? 'absent'}`, `${JSON.stringify(actual)}`.slice(0, 80));
}

function unsupported(expected: string, actual: string): ToolError {
  return new ToolError('cms.unsupported', { expected, actual });
}
