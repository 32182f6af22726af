/** One certificate of the chain that was verified. */
export interface CertificateClaims {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What a verified quote says. */
export interface QuoteClaims {
  /** The attestation key: 04 || x || y, hex. */
  readonly attestationKey: string;
  /** `claimed`: the sender included a TPMT_PUBLIC with the right attributes; `unknown`: it did not. */
  readonly attestationKeyAttributes: 'claimed' | 'unknown';
  readonly pcrs: readonly number[];
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds the TPM has been powered since its last clear, as decimal text (64 bits). */
  readonly clockMs: string;
  readonly clockSafe: boolean;
  /** Firmware version of the TPM, hex (64 bits). */
  readonly firmwareVersion: string;
}

/** What is proven by AWS's signature (and, for `quote`, by the attestation key). Bytes are hex. */
export interface Claims {
  readonly platform: 'nitrotpm' | 'enclave';
  readonly moduleId: string;
  /** The EC2 instance, when module_id has the usual form: `i-…`. */
  readonly instanceId?: string;
  /** When the document was made, milliseconds since the epoch. */
  readonly timestampMs: number;
  /** SHA-384 PCR values by index, 96 hex digits each. */
  readonly pcrs: Readonly<Record<string, string>>;
  readonly publicKey?: string;
  readonly userData?: string;
  readonly nonce?: string;
  /** Whether an enclave runs in debug mode (only ever true when the caller allowed it). */
  readonly debugMode: boolean;
  /**
   * Enclaves only: whether PCR4, SHA-384(48 zero bytes || instance ID), is that of the instance in
   * module_id. `absent`: PCR4 is missing or all zero, or module_id names no instance. A report, no
   * check: pin PCR4 to demand a parent.
   */
  readonly parentInstance?: 'matches' | 'differs' | 'absent';
  /** Keys of the payload that are not in the specification. */
  readonly unknownKeys: readonly string[];
  /** Anchor first, leaf last. */
  readonly certificates: readonly CertificateClaims[];
  readonly quote?: QuoteClaims;
}
