/** What a response code says, in words (TPM 2.0 Library, Part 2, 6.6). */
export interface ResponseCodeFacts {
  readonly code: number;
  /** Without the number of parameter, handle or session, e.g. `TPM_RC_AUTH_FAIL`. */
  readonly name: string;
  readonly explanation: string;
  /** Format-one codes say what they are about. */
  readonly parameter?: number;
  readonly handle?: number;
  readonly session?: number;
  /** A warning: the same command may succeed later. */
  readonly warning: boolean;
}

/** Response codes that callers compare with, without parameter, handle or session numbers. */
export const TPM_RC = {
  SUCCESS: 0x000,
  BAD_TAG: 0x01e,
  INITIALIZE: 0x100,
  FAILURE: 0x101,
  AUTH_MISSING: 0x125,
  AUTH_TYPE: 0x124,
  COMMAND_SIZE: 0x142,
  COMMAND_CODE: 0x143,
  AUTHSIZE: 0x144,
  AUTH_CONTEXT: 0x145,
  NV_RANGE: 0x146,
  NV_SIZE: 0x147,
  NV_LOCKED: 0x148,
  NV_AUTHORIZATION: 0x149,
  NV_UNINITIALIZED: 0x14a,
  NV_SPACE: 0x14b,
  NV_DEFINED: 0x14c,
  BAD_CONTEXT: 0x150,
  ASYMMETRIC: 0x081,
  ATTRIBUTES: 0x082,
  HASH: 0x083,
  VALUE: 0x084,
  HIERARCHY: 0x085,
  KEY_SIZE: 0x087,
  KDF: 0x08c,
  MODE: 0x089,
  TYPE: 0x08a,
  HANDLE: 0x08b,
  RANGE: 0x08d,
  AUTH_FAIL: 0x08e,
  NONCE: 0x08f,
  SCHEME: 0x092,
  SIZE: 0x095,
  SYMMETRIC: 0x096,
  TAG: 0x097,
  SELECTOR: 0x098,
  INSUFFICIENT: 0x09a,
  KEY: 0x09c,
  INTEGRITY: 0x09f,
  TICKET: 0x0a0,
  RESERVED_BITS: 0x0a1,
  BAD_AUTH: 0x0a2,
  CURVE: 0x0a6,
  OBJECT_MEMORY: 0x902,
  SESSION_MEMORY: 0x903,
  SESSION_HANDLES: 0x905,
  OBJECT_HANDLES: 0x906,
  LOCALITY: 0x907,
  YIELDED: 0x908,
  TESTING: 0x90a,
  REFERENCE_H0: 0x910,
  REFERENCE_S0: 0x918,
  LOCKOUT: 0x921,
  RETRY: 0x922,
} as const;

/** Format-zero errors of TPM 2.0 (Part 2, table 16): base 0x100. */
const ERRORS: Readonly<Record<number, readonly [string, string]>> = {
  0: ['INITIALIZE', 'the TPM has not been started, or was started already'],
  1: ['FAILURE', 'commands are not accepted because of a TPM failure'],
  3: ['SEQUENCE', 'a sequence handle was used improperly'],
  11: ['PRIVATE', 'a private area is not accepted'],
  25: ['HMAC', 'the HMAC sequence cannot be used'],
  32: ['DISABLED', 'the command is disabled'],
  33: ['EXCLUSIVE', 'an audit sequence required exclusivity'],
  36: ['AUTH_TYPE', 'the authorisation handle is not correct for the command'],
  37: ['AUTH_MISSING', 'the command needs an authorisation session for a handle'],
  38: ['POLICY', 'a policy failed in a mathematical operation or is invalid'],
  39: ['PCR', 'a PCR check failed'],
  40: ['PCR_CHANGED', 'PCRs have changed since they were checked'],
  45: ['UPGRADE', 'a field upgrade is in progress'],
  46: ['TOO_MANY_CONTEXTS', 'the context ID counter is at its maximum'],
  47: ['AUTH_UNAVAILABLE', 'the authValue or authPolicy is not available for this entity'],
  48: ['REBOOT', 'the TPM must be restarted before it continues'],
  49: ['UNBALANCED', 'the digest sizes of hash and symmetric key do not match'],
  66: ['COMMAND_SIZE', 'the size in the command header is not the size of the command'],
  67: ['COMMAND_CODE', 'the TPM does not know this command'],
  68: ['AUTHSIZE', 'the size of the authorisation area is out of range'],
  69: ['AUTH_CONTEXT', 'the command does not take authorisation sessions'],
  70: ['NV_RANGE', 'offset and size lie outside the NV index'],
  71: ['NV_SIZE', 'the requested NV size is larger than allowed'],
  72: ['NV_LOCKED', 'the NV index is locked'],
  73: ['NV_AUTHORIZATION', 'this authorisation may not access the NV index'],
  74: ['NV_UNINITIALIZED', 'the NV index was not written yet'],
  75: ['NV_SPACE', 'there is not enough NV space left'],
  76: ['NV_DEFINED', 'the NV index or persistent object exists already'],
  80: ['BAD_CONTEXT', 'the saved context is not valid'],
  81: ['CPHASH', 'the cpHash is already set or not correct'],
  82: ['PARENT', 'the parent handle is not valid'],
  83: ['NEEDS_TEST', 'a function needs testing before use'],
  84: ['NO_RESULT', 'the result cannot be delivered because of an internal error'],
  85: ['SENSITIVE', 'the sensitive area did not unmarshal'],
};

/** Format-zero warnings (Part 2, table 16): base 0x900. */
const WARNINGS: Readonly<Record<number, readonly [string, string]>> = {
  1: ['CONTEXT_GAP', 'the gap between contexts is too large'],
  2: ['OBJECT_MEMORY', 'there is no memory left for another object'],
  3: ['SESSION_MEMORY', 'there is no memory left for another session'],
  4: ['MEMORY', 'there is not enough memory'],
  5: ['SESSION_HANDLES', 'there are no session handles left'],
  6: ['OBJECT_HANDLES', 'there are no object handles left'],
  7: ['LOCALITY', 'the command is not allowed at this locality'],
  8: ['YIELDED', 'the TPM paused the command; send it again'],
  9: ['CANCELED', 'the command was cancelled'],
  10: ['TESTING', 'the TPM is testing itself; send the command again'],
  16: ['REFERENCE_H0', 'the 1st handle refers to something that is not loaded'],
  17: ['REFERENCE_H1', 'the 2nd handle refers to something that is not loaded'],
  18: ['REFERENCE_H2', 'the 3rd handle refers to something that is not loaded'],
  19: ['REFERENCE_H3', 'the 4th handle refers to something that is not loaded'],
  20: ['REFERENCE_H4', 'the 5th handle refers to something that is not loaded'],
  21: ['REFERENCE_H5', 'the 6th handle refers to something that is not loaded'],
  22: ['REFERENCE_H6', 'the 7th handle refers to something that is not loaded'],
  24: ['REFERENCE_S0', 'the 1st session is not loaded'],
  25: ['REFERENCE_S1', 'the 2nd session is not loaded'],
  26: ['REFERENCE_S2', 'the 3rd session is not loaded'],
  27: ['REFERENCE_S3', 'the 4th session is not loaded'],
  28: ['REFERENCE_S4', 'the 5th session is not loaded'],
  29: ['REFERENCE_S5', 'the 6th session is not loaded'],
  30: ['REFERENCE_S6', 'the 7th session is not loaded'],
  32: ['NV_RATE', 'the TPM limits the rate of NV accesses; wait and send the command again'],
  33: ['LOCKOUT', 'too many failed authorisations; the TPM is locked out'],
  34: ['RETRY', 'the TPM could not start the command; send it again'],
  35: ['NV_UNAVAILABLE', 'NV memory is not available now'],
};

/** Format-one errors (Part 2, table 16): bits 0 to 5. */
const FORMAT_ONE: Readonly<Record<number, readonly [string, string]>> = {
  1: ['ASYMMETRIC', 'the asymmetric algorithm is not supported or not correct'],
  2: ['ATTRIBUTES', 'the attributes are inconsistent'],
  3: ['HASH', 'the hash algorithm is not supported or not appropriate'],
  4: ['VALUE', 'the value is out of range or not correct for the context'],
  5: ['HIERARCHY', 'the hierarchy is not enabled or not correct for this use'],
  7: ['KEY_SIZE', 'the key size is not supported'],
  8: ['MGF', 'the mask generation function is not supported'],
  9: ['MODE', 'the mode of operation is not supported'],
  10: ['TYPE', 'the type is not appropriate for this use'],
  11: ['HANDLE', 'the handle is not correct for this use'],
  12: ['KDF', 'the key derivation function is not supported or not appropriate'],
  13: ['RANGE', 'the value is out of the allowed range'],
  14: ['AUTH_FAIL', 'the authorisation failed and was counted (dictionary attack protection)'],
  15: ['NONCE', 'the nonce size or value is not valid'],
  16: ['PP', 'the authorisation needs physical presence'],
  18: ['SCHEME', 'the signing or encryption scheme is not supported or not compatible'],
  21: ['SIZE', 'the structure has the wrong size'],
  22: ['SYMMETRIC', 'the symmetric algorithm or key size is not supported or not appropriate'],
  23: ['TAG', 'the structure tag is not correct'],
  24: ['SELECTOR', 'the union selector is not correct'],
  26: ['INSUFFICIENT', 'the command ended in the middle of a value'],
  27: ['SIGNATURE', 'the signature is not valid'],
  28: ['KEY', 'the key fields are not compatible with this use'],
  29: ['POLICY_FAIL', 'a policy check failed'],
  31: ['INTEGRITY', 'an integrity check failed'],
  32: ['TICKET', 'the ticket is not valid'],
  33: ['RESERVED_BITS', 'reserved bits are set'],
  34: ['BAD_AUTH', 'the authorisation failed (not counted)'],
  35: ['EXPIRED', 'the policy has expired'],
  36: ['POLICY_CC', 'the command is not the one the policy allows'],
  37: ['BINDING', 'the public and private parts do not belong together'],
  38: ['CURVE', 'the elliptic curve is not supported'],
  39: ['ECC_POINT', 'the point is not on the curve'],
};

/** The name, the explanation and the place of a response code; unknown codes keep their number. */
export function describeResponseCode(code: number): ResponseCodeFacts {
  if (code === 0)
    return { code, name: 'TPM_RC_SUCCESS', explanation: 'the command succeeded', warning: false };
  if (code === TPM_RC.BAD_TAG)
    return {
      code,
      name: 'TPM_RC_BAD_TAG',
      explanation: 'the tag of the command is not known; a TPM 1.2 answers like this',
      warning: false,
    };
  const unknown = {
    code,
    name: hex(code),
    explanation: 'the code is not in the specification',
    warning: false,
  };
  if (code > 0xfff) return unknown;
  if ((code & 0x80) !== 0) {
    const row = FORMAT_ONE[code & 0x3f];
    if (row === undefined) return unknown;
    const facts = { code, name: `TPM_RC_${row[0]}`, explanation: row[1], warning: false };
    const number = (code >> 8) & 0xf;
    if ((code & 0x40) !== 0) return number === 0 ? facts : { ...facts, parameter: number };
    if (number === 0) return facts;
    // Sessions count from 1; a session of number 0 is in no table of the specification.
    if (number === 8) return unknown;
    return number < 8 ? { ...facts, handle: number } : { ...facts, session: number - 8 };
  }
  if ((code & 0x100) === 0) return unknown;
  if ((code & 0x400) !== 0)
    return { code, name: hex(code), explanation: 'a vendor-specific code', warning: false };
  const warning = (code & 0x800) !== 0;
  const row = (warning ? WARNINGS : ERRORS)[code & 0x7f];
  if (row === undefined) return unknown;
  return { code, name: `TPM_RC_${row[0]}`, explanation: row[1], warning };
}

/** One line for people, e.g. `TPM_RC_VALUE (0x1c4), parameter 1: the value is out of range…`. */
export function formatResponseCode(code: number): string {
  const facts = describeResponseCode(code);
  const place =
    facts.parameter !== undefined
      ? `, parameter ${facts.parameter}`
      : facts.handle !== undefined
        ? `, handle ${facts.handle}`
        : facts.session !== undefined
          ? `, session ${facts.session}`
          : '';
  const number = facts.name.startsWith('0x') ? '' : ` (${hex(code)})`;
  return `${facts.name}${number}${place}: ${facts.explanation}`;
}

/** The code without the number of parameter, handle or session, to compare with `TPM_RC`. */
export function baseResponseCode(code: number): number {
  return code > 0xfff || (code & 0x80) === 0 ? code : code & 0xbf;
}

/** Adds "parameter n" to a format-one code. */
export function inParameter(code: number, number: number): number {
  return code | 0x40 | (number << 8);
}

/** Adds "handle n" to a format-one code. */
export function inHandle(code: number, number: number): number {
  return code | (number << 8);
}

/** Adds "session n" to a format-one code. */
export function inSession(code: number, number: number): number {
  return code | 0x800 | (number << 8);
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(3, '0')}`;
}
