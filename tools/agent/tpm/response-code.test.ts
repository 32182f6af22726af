import { describe, expect, it } from 'vitest';
import { baseResponseCode, describeResponseCode, formatResponseCode } from './response-code.js';
import { TpmResponseError } from './tpm-response-error.js';

describe('response codes', () => {
  // Values as tpm2_rc_decode of tpm2-tools names them.
  it.each([
    [0x000, 'TPM_RC_SUCCESS', {}],
    [0x01e, 'TPM_RC_BAD_TAG', {}],
    [0x100, 'TPM_RC_INITIALIZE', {}],
    [0x101, 'TPM_RC_FAILURE', {}],
    [0x143, 'TPM_RC_COMMAND_CODE', {}],
    [0x14b, 'TPM_RC_NV_SPACE', {}],
    [0x1c4, 'TPM_RC_VALUE', { parameter: 1 }],
    [0x2d5, 'TPM_RC_SIZE', { parameter: 2 }],
    [0x18b, 'TPM_RC_HANDLE', { handle: 1 }],
    [0x98e, 'TPM_RC_AUTH_FAIL', { session: 1 }],
    [0x9a2, 'TPM_RC_BAD_AUTH', { session: 1 }],
    [0xaa2, 'TPM_RC_BAD_AUTH', { session: 2 }],
    [0x3e0, 'TPM_RC_TICKET', { parameter: 3 }],
    [0x902, 'TPM_RC_OBJECT_MEMORY', {}],
    [0x922, 'TPM_RC_RETRY', {}],
  ])('0x%s is %s', (code, name, place) => {
    const { parameter, handle, session, ...facts } = describeResponseCode(code);
    expect(facts.name).toBe(name);
    const places = { parameter, handle, session };
    expect(JSON.parse(JSON.stringify(places))).toEqual(place);
    expect(facts.explanation).not.toBe('');
  });
  it('keeps the number of codes that nobody knows', () => {
    for (const code of [0x17f, 0x4ff & ~0x80, 0x97e, 0x1000, 0xffffffff, 0x0b0])
      expect(describeResponseCode(code).name).toBe(`0x${code.toString(16).padStart(3, '0')}`);
  });
  // As tpm2_rc_decode: sessions count from 1.
  it('knows no session 0', () => {
    for (let code = 0x880; code < 0x8c0; code++)
      expect(formatResponseCode(code)).toBe(
        `0x${code.toString(16)}: the code is not in the specification`,
      );
    expect(describeResponseCode(0x982)).toMatchObject({ name: 'TPM_RC_ATTRIBUTES', session: 1 });
    expect(describeResponseCode(0x8c4)).toMatchObject({ name: 'TPM_RC_VALUE', parameter: 8 });
  });
  it('has words for every number', () => {
    for (let code = 0; code < 0x1000; code++)
      expect(formatResponseCode(code)).toMatch(
        /^(TPM_RC_\w+ \(0x[0-9a-f]{3}\)|0x[0-9a-f]{3})(, (parameter|handle|session) \d+)?: \S/,
      );
  });
  it('compares without parameter, handle and session', () => {
    for (const code of [0x084, 0x1c4, 0x184, 0x984, 0xfc4])
      expect(baseResponseCode(code)).toBe(0x084);
    expect(baseResponseCode(0x922)).toBe(0x922);
    expect(baseResponseCode(0x14b)).toBe(0x14b);
  });
  it.each([
    [0x98e, 'tpm.auth-failed'],
    [0x921, 'tpm.auth-failed'],
    [0x14b, 'tpm.nv-space'],
    [0x905, 'tpm.no-memory'],
    [0x143, 'tpm.unsupported'],
    [0x922, 'tpm.retries-exhausted'],
    [0x101, 'tpm.command-failed'],
  ])('0x%s gives %s', (code, toolCode) => {
    const error = new TpmResponseError(0x158, code);
    expect(error.code).toBe(toolCode);
    expect(error.message).toContain('from Quote');
  });
});
