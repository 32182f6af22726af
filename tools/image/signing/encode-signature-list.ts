import { type Bytes, ByteWriter } from 'tee-verify/bytes';
import { guidBytes } from 'tee-verify/measure';

/** EFI_CERT_X509_GUID (UEFI 2.10, 32.4.1). */
const X509_GUID = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
/** SignatureType, SignatureListSize, SignatureHeaderSize, SignatureSize. */
const HEADER_BYTES = 28;
const OWNER_BYTES = 16;

/**
 * An EFI_SIGNATURE_LIST with one certificate, the contents of PK, KEK or db (UEFI 2.10, 32.4.1).
 * `owner` is a GUID as text; `parseSignatureList` of tee-verify/measure reads it back.
 */
export function encodeSignatureList(owner: string, certificate: Uint8Array): Bytes {
  const entryBytes = OWNER_BYTES + certificate.length;
  return new ByteWriter('little')
    .bytes(guidBytes(X509_GUID))
    .u32(HEADER_BYTES + entryBytes)
    .u32(0)
    .u32(entryBytes)
    .bytes(guidBytes(owner))
    .bytes(certificate)
    .finish();
}
