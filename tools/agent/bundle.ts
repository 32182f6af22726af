import { encodeBase64, encodeHex } from 'tee-verify/bytes';
import type { Quote } from './tpm/commands/keys.js';
import { type EccPublic, encodePublic } from './tpm/tpmt-public.js';
import { type EcdsaSignature, ecdsaToDer, leftPad } from './tpm/tpmt-signature.js';

/** Evidence of one attestation as JSON (docs/bundle.md). Byte strings are lower-case hex. */
export interface AttestationBundle {
  readonly version: 1;
  readonly pcrs: { readonly sha384: Readonly<Record<string, string>> };
  readonly signing_key_public_keys: {
    readonly ecc_p256: {
      readonly x: string;
      readonly y: string;
      /** TPMT_PUBLIC of the attestation key, without the size of a TPM2B. */
      readonly tpmt_public: string;
    };
  };
  readonly attestation: {
    readonly tpm: {
      readonly ecc_p256: {
        readonly nonce: string;
        /** TPMS_ATTEST, starting ff544347. */
        readonly attest_data: string;
        /** DER. */
        readonly signature: string;
      };
    };
    readonly nitro: {
      /** The attestation key as 04 || x || y. */
      readonly public_key: string;
      readonly nonce: string;
      /** COSE_Sign1. */
      readonly document: string;
    };
  };
  /** binary_bios_measurements, base64. */
  readonly event_log?: string;
}

/** The parts of a bundle as the TPM returned them. */
export interface BundleParts {
  readonly nonce: Uint8Array;
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly ak: EccPublic;
  readonly quote: Quote & { readonly signature: EcdsaSignature };
  readonly document: Uint8Array;
  readonly eventLog?: Uint8Array | undefined;
}

/** Puts the parts into the bundle's form. */
export function makeBundle({
  nonce,
  pcrs,
  ak,
  quote,
  document,
  eventLog,
}: BundleParts): AttestationBundle {
  return {
    version: 1,
    pcrs: {
      sha384: Object.fromEntries([...pcrs].map(([index, value]) => [`${index}`, encodeHex(value)])),
    },
    signing_key_public_keys: {
      ecc_p256: {
        x: encodeHex(leftPad(ak.x, 32)),
        y: encodeHex(leftPad(ak.y, 32)),
        tpmt_public: encodeHex(encodePublic(ak)),
      },
    },
    attestation: {
      tpm: {
        ecc_p256: {
          nonce: encodeHex(nonce),
          attest_data: encodeHex(quote.attest),
          signature: encodeHex(ecdsaToDer(quote.signature)),
        },
      },
      nitro: {
        public_key: encodeHex(akPoint(ak)),
        nonce: encodeHex(nonce),
        document: encodeHex(document),
      },
    },
    ...(eventLog === undefined ? {} : { event_log: encodeBase64(eventLog) }),
  };
}

/** The attestation key as an uncompressed SECG point: 65 bytes 04 || x || y. */
export function akPoint(ak: EccPublic): Uint8Array<ArrayBuffer> {
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(leftPad(ak.x, 32), 1);
  point.set(leftPad(ak.y, 32), 33);
  return point;
}
