/** TPM 2.0 Library, Part 2, and the TCG Algorithm Registry: what a quote and its key are made of. */
export const TPM = {
  /** TPM_GENERATED_VALUE (6.2): a restricted key signs nothing else that starts like this. */
  GENERATED: 0xff544347,
  /** TPM_ST_ATTEST_QUOTE (6.9). */
  ST_ATTEST_QUOTE: 0x8018,
  ALG_NULL: 0x0010,
  ALG_SHA256: 0x000b,
  ALG_SHA384: 0x000c,
  ALG_ECDSA: 0x0018,
  ALG_ECC: 0x0023,
  ECC_NIST_P256: 0x0003,
} as const;

/** Names of TPM_ST_ATTEST values (6.9), for messages. */
export const ATTEST_NAMES: ReadonlyMap<number, string> = new Map([
  [0x8014, 'TPM2_NV_Certify'],
  [0x8015, 'TPM2_GetCommandAuditDigest'],
  [0x8016, 'TPM2_GetSessionAuditDigest'],
  [0x8017, 'TPM2_Certify'],
  [0x8018, 'TPM2_Quote'],
  [0x8019, 'TPM2_GetTime'],
  [0x801a, 'TPM2_CertifyCreation'],
]);

/** TPMA_OBJECT bits (8.3.2). */
export const OBJECT_ATTRIBUTES = {
  fixedTPM: 0x0000_0002,
  fixedParent: 0x0000_0010,
  sensitiveDataOrigin: 0x0000_0020,
  restricted: 0x0001_0000,
  decrypt: 0x0002_0000,
  sign: 0x0004_0000,
} as const;
