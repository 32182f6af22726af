/**
 * Numbers of the TPM 2.0 Library Specification, Part 2 ("Structures"), as far as the client and
 * the simulator use them. Section numbers are those of revision 1.59.
 */

/** Structure tags (Part 2, 6.9). */
export const TPM_ST = {
  RSP_COMMAND: 0x00c4,
  NULL: 0x8000,
  NO_SESSIONS: 0x8001,
  SESSIONS: 0x8002,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
  CREATION: 0x8021,
  HASHCHECK: 0x8024,
} as const;

/** Algorithm identifiers (Part 2, 6.3). */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  HMAC: 0x0005,
  AES: 0x0006,
  KEYEDHASH: 0x0008,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  SM3_256: 0x0012,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  KDF1_SP800_56A: 0x0020,
  KDF1_SP800_108: 0x0022,
  ECC: 0x0023,
  SYMCIPHER: 0x0025,
  CFB: 0x0043,
} as const;

/** Elliptic curves (Part 2, 6.4). */
export const TPM_ECC = { NIST_P256: 0x0003, NIST_P384: 0x0004 } as const;

/** Permanent handles (Part 2, 7.4). */
export const TPM_RH = {
  OWNER: 0x40000001,
  NULL: 0x40000007,
  RS_PW: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
  PLATFORM: 0x4000000c,
} as const;

/** The first byte of a handle says what it is (Part 2, 7.2). */
export const TPM_HT = {
  PCR: 0x00,
  NV_INDEX: 0x01,
  LOADED_SESSION: 0x02,
  SAVED_SESSION: 0x03,
  PERMANENT: 0x40,
  TRANSIENT: 0x80,
  PERSISTENT: 0x81,
} as const;

/** What GetCapability can list (Part 2, 6.12). */
export const TPM_CAP = {
  ALGS: 0,
  HANDLES: 1,
  COMMANDS: 2,
  PP_COMMANDS: 3,
  AUDIT_COMMANDS: 4,
  PCRS: 5,
  TPM_PROPERTIES: 6,
  PCR_PROPERTIES: 7,
  ECC_CURVES: 8,
} as const;

/** Properties of a TPM (Part 2, 6.13). */
export const TPM_PT = {
  FAMILY_INDICATOR: 0x100,
  LEVEL: 0x101,
  REVISION: 0x102,
  DAY_OF_YEAR: 0x103,
  YEAR: 0x104,
  MANUFACTURER: 0x105,
  VENDOR_STRING_1: 0x106,
  VENDOR_STRING_2: 0x107,
  VENDOR_STRING_3: 0x108,
  VENDOR_STRING_4: 0x109,
  VENDOR_TPM_TYPE: 0x10a,
  FIRMWARE_VERSION_1: 0x10b,
  FIRMWARE_VERSION_2: 0x10c,
  INPUT_BUFFER: 0x10d,
  HR_TRANSIENT_MIN: 0x10e,
  HR_PERSISTENT_MIN: 0x10f,
  HR_LOADED_MIN: 0x110,
  ACTIVE_SESSIONS_MAX: 0x111,
  PCR_COUNT: 0x112,
  PCR_SELECT_MIN: 0x113,
  CONTEXT_GAP_MAX: 0x114,
  NV_COUNTERS_MAX: 0x116,
  NV_INDEX_MAX: 0x117,
  MEMORY: 0x118,
  CLOCK_UPDATE: 0x119,
  CONTEXT_HASH: 0x11a,
  CONTEXT_SYM: 0x11b,
  CONTEXT_SYM_SIZE: 0x11c,
  ORDERLY_COUNT: 0x11d,
  MAX_COMMAND_SIZE: 0x11e,
  MAX_RESPONSE_SIZE: 0x11f,
  MAX_DIGEST: 0x120,
  MAX_OBJECT_CONTEXT: 0x121,
  MAX_SESSION_CONTEXT: 0x122,
  TOTAL_COMMANDS: 0x129,
  LIBRARY_COMMANDS: 0x12a,
  VENDOR_COMMANDS: 0x12b,
  NV_BUFFER_MAX: 0x12c,
  MODES: 0x12d,
  MAX_CAP_BUFFER: 0x12e,
  PERMANENT: 0x200,
  STARTUP_CLEAR: 0x201,
  HR_NV_INDEX: 0x202,
  HR_LOADED: 0x203,
  HR_LOADED_AVAIL: 0x204,
  HR_ACTIVE: 0x205,
  HR_ACTIVE_AVAIL: 0x206,
  HR_TRANSIENT_AVAIL: 0x207,
  HR_PERSISTENT: 0x208,
  HR_PERSISTENT_AVAIL: 0x209,
  LOCKOUT_COUNTER: 0x20e,
  MAX_AUTH_FAIL: 0x20f,
  LOCKOUT_INTERVAL: 0x210,
  LOCKOUT_RECOVERY: 0x211,
} as const;

/** Commands (Part 2, 6.5.2). NSM_REQUEST is the vendor command of AWS NitroTPM. */
export const TPM_CC = {
  EvictControl: 0x120,
  NV_UndefineSpace: 0x122,
  HierarchyChangeAuth: 0x129,
  NV_DefineSpace: 0x12a,
  CreatePrimary: 0x131,
  NV_Write: 0x137,
  PCR_Event: 0x13c,
  PCR_Reset: 0x13d,
  IncrementalSelfTest: 0x142,
  SelfTest: 0x143,
  Startup: 0x144,
  Shutdown: 0x145,
  StirRandom: 0x146,
  Certify: 0x148,
  NV_Read: 0x14e,
  Quote: 0x158,
  Sign: 0x15d,
  ContextLoad: 0x161,
  ContextSave: 0x162,
  FlushContext: 0x165,
  NV_ReadPublic: 0x169,
  ReadPublic: 0x173,
  StartAuthSession: 0x176,
  GetCapability: 0x17a,
  GetRandom: 0x17b,
  GetTestResult: 0x17c,
  Hash: 0x17d,
  PCR_Read: 0x17e,
  ReadClock: 0x181,
  PCR_Extend: 0x182,
  NSM_REQUEST: 0x20000001,
} as const;

/** The name of a command whose number is in `TPM_CC`. */
export type TpmCommandName = keyof typeof TPM_CC;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TPM_CC).map(([name, code]) => [code, name]),
);

/** The name of a command, or its number in hex. */
export function commandName(code: number): string {
  return NAMES.get(code) ?? `command 0x${code.toString(16)}`;
}

/** Attributes of an object (Part 2, 8.3). */
export const TPMA_OBJECT = {
  fixedTPM: 0x2,
  stClear: 0x4,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  adminWithPolicy: 0x80,
  noDA: 0x400,
  encryptedDuplication: 0x800,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
  x509sign: 0x80000,
} as const;

/** Attributes of an NV index (Part 2, 13.4). Bits 4 to 7 are its type; 0 is ordinary data. */
export const TPMA_NV = {
  PPWRITE: 0x1,
  OWNERWRITE: 0x2,
  AUTHWRITE: 0x4,
  POLICYWRITE: 0x8,
  TYPE_MASK: 0xf0,
  POLICY_DELETE: 0x400,
  WRITELOCKED: 0x800,
  WRITEALL: 0x1000,
  WRITEDEFINE: 0x2000,
  WRITE_STCLEAR: 0x4000,
  GLOBALLOCK: 0x8000,
  PPREAD: 0x10000,
  OWNERREAD: 0x20000,
  AUTHREAD: 0x40000,
  POLICYREAD: 0x80000,
  NO_DA: 0x2000000,
  ORDERLY: 0x4000000,
  CLEAR_STCLEAR: 0x8000000,
  READLOCKED: 0x10000000,
  WRITTEN: 0x20000000,
  PLATFORMCREATE: 0x40000000,
  READ_STCLEAR: 0x80000000,
} as const;

/** Attributes of a session in a command (Part 2, 8.4). */
export const TPMA_SESSION = {
  continueSession: 0x1,
  auditExclusive: 0x2,
  auditReset: 0x4,
  decrypt: 0x20,
  encrypt: 0x40,
  audit: 0x80,
} as const;

/** Session types (Part 2, 6.11). */
export const TPM_SE = { HMAC: 0, POLICY: 1, TRIAL: 3 } as const;

/** Startup types (Part 2, 6.10). */
export const TPM_SU = { CLEAR: 0, STATE: 1 } as const;

/** First field of everything a TPM signs about itself (Part 2, 6.2). */
export const TPM_GENERATED_VALUE = 0xff544347;

/** Digest sizes in bytes of the hash algorithms. */
export const DIGEST_SIZES: Readonly<Record<number, number>> = {
  [TPM_ALG.SHA1]: 20,
  [TPM_ALG.SHA256]: 32,
  [TPM_ALG.SHA384]: 48,
  [TPM_ALG.SHA512]: 64,
  [TPM_ALG.SM3_256]: 32,
};

/** Names of hash algorithms as node:crypto knows them. */
export const HASH_NAMES: Readonly<Record<number, string>> = {
  [TPM_ALG.SHA1]: 'sha1',
  [TPM_ALG.SHA256]: 'sha256',
  [TPM_ALG.SHA384]: 'sha384',
  [TPM_ALG.SHA512]: 'sha512',
};

/** Largest command or response of any PC Client TPM, in bytes. */
export const MAX_TPM_MESSAGE_SIZE = 4096;

/** How many PCRs a PC Client TPM has in each bank. */
export const PCR_COUNT = 24;
