import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { createSigner } from '../manifest/create-signer.js';
import { expectRejection, rejectionOf } from '../test-support/rejection.js';
import { issueResult } from './issue-result.js';
import { makeReport } from './test-support/sample-evidence.js';
import { type ResultExpectations, verifyResult } from './verify-result.js';

const NONCE = new Uint8Array(32).fill(7);
const pair = await generateKeyPair('ES256', { extractable: true });
const keys = [await exportJWK(pair.publicKey)];
const token = await issueResult(
  await makeReport({ nonce: NONCE }),
  await createSigner(await exportPKCS8(pair.privateKey)),
  { audience: 'payments' },
);
const verify = (text: string, more: object = {}) =>
  verifyResult(text, keys, { audience: 'payments', ...more } as ResultExpectations);

describe('a token has one spelling', () => {
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(signature.at(-1) as string);
  it.each<readonly [string, string]>([
    ['a space inside', `${signature.slice(0, 9)} ${signature.slice(9)}`],
    ['padding', `${signature}==`],
    ['bits left over', signature.slice(0, -1) + alphabet[last ^ 1]],
  ])('%s is malformed', async (_, other) => {
    expect((await verify(token)).status).toBe('affirming');
    const error = await rejectionOf(verify(`${header}.${payload}.${other}`));
    expectRejection(error, 'result.malformed');
  });
});

describe('expectations of the wrong type', () => {
  it.each<readonly [string, object]>([
    ['a nonce that is a number', { nonce: 5 }],
    ['a nonce that is a list', { nonce: [...NONCE] }],
    ['a nonce of 16-bit words', { nonce: new Uint16Array(32).fill(7) }],
    ['a nonce that is null', { nonce: null }],
    ['a hash that only looks like text', { manifestSha256: { toString: () => 'a'.repeat(64) } }],
  ])('%s is a TypeError that says what is expected', async (_, more) => {
    await expect(verify(token, more)).rejects.toThrow(/must be/);
  });

  it('bytes of an ArrayBuffer are bytes', async () => {
    expect((await verify(token, { nonce: NONCE.buffer })).status).toBe('affirming');
  });
});
