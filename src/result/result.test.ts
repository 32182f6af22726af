import { createPublicKey, verify as nodeVerify } from 'node:crypto';
import fc from 'fast-check';
import {
  base64url,
  CompactSign,
  exportJWK,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  type JWK,
} from 'jose';
import { describe, expect, it } from 'vitest';
import { createSigner } from '../manifest/create-signer.js';
import { signManifest } from '../manifest/sign-manifest.js';
import { expectRejection, rejectionOf } from '../test-support/rejection.js';
import type { Code } from './codes.js';
import { type IssueOptions, issueResult } from './issue-result.js';
import type { Report } from './report.js';
import type { Signer } from './signer.js';
import { MANIFEST, makeDocument, makeReport, PCRS } from './test-support/sample-evidence.js';
import { statusOf, tierOf, trustVector } from './trust-vector.js';
import { type ResultExpectations, type ResultKeys, verifyResult } from './verify-result.js';

const NONCE = new Uint8Array(32).fill(7);
const AUDIENCE = 'https://payments.example';
const expectations: ResultExpectations = { audience: AUDIENCE };

interface Verifier {
  readonly signer: Signer;
  readonly jwk: JWK;
  readonly pem: string;
  readonly key: CryptoKey;
}
async function verifier(alg: string, keyId: string): Promise<Verifier> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    signer: await createSigner(await exportPKCS8(privateKey), { keyId }),
    jwk: { ...(await exportJWK(publicKey)), kid: keyId },
    pem: await exportSPKI(publicKey),
    key: privateKey,
  };
}
const one = await verifier('ES256', 'one');
const two = await verifier('ES384', 'two');
const edwards = await verifier('EdDSA', 'ed');
const keys: ResultKeys = { keys: [one.jwk, two.jwk, edwards.jwk] };
const good = await makeReport({ nonce: NONCE });
const issue = (report: Report = good, options: Partial<IssueOptions> = {}, by = one) =>
  issueResult(report, by.signer, { audience: AUDIENCE, ...options });
const token = await issue();

const payloadOf = (jwt: string): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(base64url.decode(jwt.split('.')[1] as string)));
const submoduleOf = (jwt: string): Record<string, unknown> =>
  (payloadOf(jwt).submods as Record<string, unknown>).nitro as Record<string, unknown>;
/** A token over any payload by a good key: what a faulty verifier might issue. */
const forge = (payload: unknown, header: object = {}, by = one): Promise<string> =>
  new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ alg: by.signer.algorithm, typ: 'eat+jwt', ...header })
    .sign(by.key);
async function refused(
  jwt: string,
  code: Code,
  more: Partial<ResultExpectations> = {},
  with_: ResultKeys = keys,
): Promise<void> {
  const error = await rejectionOf(verifyResult(jwt, with_, { ...expectations, ...more }));
  expectRejection(error, code);
}

describe('a result', () => {
  it('carries status, vector, proven claims, manifest hash and nonce', async () => {
    const result = await verifyResult(token, keys, { ...expectations, nonce: NONCE });
    expect(result.status).toBe('affirming');
    expect(result.trustVector).toEqual({ 'instance-identity': 2, executables: 3, hardware: 2 });
    expect(result.attester).toMatchObject({
      platform: 'nitrotpm',
      instanceId: 'i-0123456789abcdef0',
      pcrs: { '4': 'a4'.repeat(48) },
    });
    expect(result.verifier).toMatchObject({
      verdict: 'verified',
      manifest_name: 'payments',
      image_version: '7',
      measurement_set: '7.1',
      manifest: { trust: { source: 'caller' }, partialAllowed: false },
      verified_nonce: '07'.repeat(32),
    });
    expect(result.expiresAtMs - result.issuedAtMs).toBe(300_000);
    expect(payloadOf(token)).toMatchObject({
      eat_profile: 'tag:ietf.org,2026:rats/ear#04',
      aud: AUDIENCE,
      eat_nonce: base64url.encode(NONCE),
      submods: { nitro: { ear_status: 'affirming' } },
    });
    const manifestSha256 = good.manifest?.sha256 as string;
    await verifyResult(token, keys, { ...expectations, manifestSha256, nonce: '07'.repeat(32) });
  });

  it('node:crypto by hand agrees on each algorithm, and keys come in every form', async () => {
    for (const by of [one, two, edwards]) {
      const jwt = await issue(good, {}, by);
      const [header, payload, signature] = jwt.split('.') as [string, string, string];
      const hash = { ES256: 'sha256', ES384: 'sha384', EdDSA: null }[by.signer.algorithm];
      const key = { key: createPublicKey(by.pem), dsaEncoding: 'ieee-p1363' as const };
      const input = Buffer.from(`${header}.${payload}`);
      expect(nodeVerify(hash, input, key, Buffer.from(signature, 'base64url'))).toBe(true);
      for (const form of [[by.jwk], { keys: [by.jwk] }, by.pem, [by.pem]])
        expect((await verifyResult(jwt, form, expectations)).status).toBe('affirming');
    }
  });

  it('has audiences, an issuer and an end that can be chosen', async () => {
    const jwt = await issue(good, {
      audience: ['a', AUDIENCE],
      issuer: 'https://verifier.example',
      lifetimeSeconds: 10,
    });
    const result = await verifyResult(jwt, keys, {
      ...expectations,
      issuer: 'https://verifier.example',
    });
    expect(result.audience).toEqual(['a', AUDIENCE]);
    expect(result.expiresAtMs - result.issuedAtMs).toBe(10_000);
    await refused(jwt, 'result.issuer-mismatch', { issuer: 'https://other.example' });
    await refused(token, 'result.issuer-mismatch', { issuer: 'https://verifier.example' });
  });

  it('a nonce that nobody compared is no nonce of the result', async () => {
    const document = await makeDocument(NONCE);
    const jwt = await issue(await makeReport({ document }));
    expect(payloadOf(jwt)).not.toHaveProperty('eat_nonce');
    await refused(jwt, 'result.nonce-mismatch', { nonce: NONCE });
    // Nonces that EAT has no room for are still compared.
    const short = await issue(await makeReport({ nonce: NONCE.slice(0, 4) }));
    expect(payloadOf(short)).not.toHaveProperty('eat_nonce');
    await verifyResult(short, keys, { ...expectations, nonce: NONCE.slice(0, 4) });
  });

  it('ends with the validity of a signed manifest, and names its signers', async () => {
    const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + 20_000);
    const manifest = await signManifest(MANIFEST, one.signer, { notAfter, version: 3 });
    const report = await makeReport({ manifest, manifestKeys: [one.jwk], nonce: NONCE });
    expect(report.manifest).toEqual({
      sha256: good.manifest?.sha256,
      trust: { source: 'signature', keyIds: ['one'], version: 3, notAfterMs: notAfter.getTime() },
      partialAllowed: false,
    });
    const result = await verifyResult(await issue(report), keys, expectations);
    expect(result.expiresAtMs).toBe(notAfter.getTime());
    expect(result.verifier.manifest).toEqual(report.manifest);
  });
});

describe('no verdict but verified affirms', () => {
  it.each<readonly [string, () => Promise<Report>, string, object]>([
    [
      'no manifest',
      () => makeReport({ manifest: null }),
      'none',
      { hardware: 2, 'instance-identity': 2 },
    ],
    [
      'another image',
      async () =>
        makeReport({
          document: await makeDocument(
            undefined,
            new Map([...PCRS, [4, new Uint8Array(48).fill(1)]]),
          ),
        }),
      'contraindicated',
      { executables: 33 },
    ],
    [
      'another nonce',
      async () => makeReport({ nonce: NONCE, document: await makeDocument(NONCE.slice(1)) }),
      'contraindicated',
      {},
    ],
    [
      'another root',
      () => makeReport({ trustAnchors: [{ sha256: '00'.repeat(32) }] }),
      'contraindicated',
      { hardware: 97 },
    ],
    ['rubbish', () => makeReport({ document: new Uint8Array(10) }), 'contraindicated', {}],
    [
      'a forged signature',
      async () => {
        const document = await makeDocument();
        document[document.length - 1] = (document.at(-1) as number) ^ 1;
        return makeReport({ document });
      },
      'contraindicated',
      { 'instance-identity': 99 },
    ],
    [
      'a manifest whose completeness was waived',
      () => makeReport({ allowPartialManifest: true }),
      'warning',
      { executables: 33, hardware: 2, 'instance-identity': 2 },
    ],
    [
      'an enclave in debug mode that was allowed',
      async () =>
        makeReport({
          allowDebug: true,
          allowPartialManifest: true,
          manifest: JSON.stringify({ PCR3: 'a3'.repeat(48) }),
          document: await makeDocument(
            undefined,
            new Map([
              [0, new Uint8Array(48)],
              [3, new Uint8Array(48).fill(0xa3)],
            ]),
            'enclave',
          ),
        }),
      'contraindicated',
      { executables: 33, hardware: 2, 'instance-identity': 2, 'runtime-opaque': 96 },
    ],
  ])('%s', async (_name, make, status, vector) => {
    const report = await make();
    const jwt = await issue(report);
    expect(submoduleOf(jwt)).toMatchObject({ ear_status: status });
    expect(submoduleOf(jwt).ear_trustworthiness_vector).toEqual(vector);
    await refused(jwt, 'result.not-affirming');
    const result = await verifyResult(jwt, keys, {
      ...expectations,
      accept: ['none', 'warning', 'contraindicated'],
    });
    expect(result.status).toBe(status);
    if (report.verdict === 'rejected') {
      expect(result.attester).toBeUndefined();
      expect(result.verifier).toEqual({ verdict: 'rejected', code: report.code });
    }
  });

  it('whatever is edited in a report, it never affirms what was not verified', async () => {
    const rejected = await makeReport({
      nonce: NONCE,
      document: await makeDocument(NONCE.slice(1)),
    });
    const unappraised = await makeReport({ manifest: null });
    const edits: readonly Partial<Record<keyof Report, unknown>>[] = [
      { verdict: 'verified' },
      { verdict: 'verified', code: undefined },
      { verdict: 'verified', code: undefined, claims: good.claims, appraisal: good.appraisal },
      { verdict: 'verified', appraisal: good.appraisal, manifest: good.manifest },
      { verdict: 'VERIFIED' },
      { verdict: undefined },
      { steps: [] },
      { steps: undefined },
    ];
    for (const report of [rejected, unappraised])
      for (const edit of edits) {
        let jwt: string | undefined;
        try {
          jwt = await issue({ ...report, ...edit } as Report);
        } catch (error) {
          expectRejection(error, 'result.report-contradictory');
        }
        if (jwt !== undefined) expect(submoduleOf(jwt).ear_status).not.toBe('affirming');
      }
  });

  it.each<readonly [string, (report: Report) => unknown]>([
    ['a code', (report) => ({ ...report, code: 'pcr.mismatch' })],
    ['no claims', ({ claims: _, ...report }) => report],
    ['no appraisal', ({ appraisal: _, ...report }) => report],
    ['no manifest', ({ manifest: _, ...report }) => report],
    [
      'an appraisal that does not match',
      (report) => ({ ...report, appraisal: { ...report.appraisal, matches: false } }),
    ],
    [
      'an appraisal without PCRs',
      (report) => ({ ...report, appraisal: { ...report.appraisal, pcrs: [] } }),
    ],
    ...good.steps
      .filter(({ state }) => state === 'passed')
      .flatMap(({ step }) =>
        (['failed', 'not-run'] as const).map(
          (state): readonly [string, (report: Report) => unknown] => [
            `${step} ${state}`,
            (report) => ({
              ...report,
              steps: report.steps.map((one) => (one.step === step ? { ...one, state } : one)),
            }),
          ],
        ),
      ),
  ])('verified with %s is refused', async (_name, edit) => {
    expectRejection(
      await rejectionOf(issue(edit(structuredClone(good)) as Report)),
      'result.report-contradictory',
    );
  });

  it('results are about now', async () => {
    const document = await makeDocument();
    const old = await makeReport({ document, now: 'document' });
    expect(old.verdict).toBe('verified');
    expectRejection(await rejectionOf(issue(old)), 'result.report-not-current');
    expectRejection(
      await rejectionOf(issue(good, { now: new Date(Date.now() + 301_000) })),
      'result.report-not-current',
    );
    expectRejection(
      await rejectionOf(issue({ ...good, time: undefined } as never)),
      'result.report-not-current',
    );
  });

  it('a signer that fails or cheats gives no token', async () => {
    const failing = { ...one.signer, sign: () => Promise.reject(new Error('down')) };
    const short = { ...one.signer, sign: async () => new Uint8Array(3) };
    for (const signer of [failing, short]) {
      const error = await rejectionOf(issueResult(good, signer, { audience: AUDIENCE }));
      expect((error as { code: Code }).code).toBe('result.signer-failed');
    }
  });

  it.each<readonly [string, object]>([
    ['no audience', { audience: undefined }],
    ['an empty audience', { audience: '' }],
    ['an empty list', { audience: [] }],
    ['a lifetime of 0', { lifetimeSeconds: 0 }],
    ['a lifetime of NaN', { lifetimeSeconds: Number.NaN }],
    ['a lifetime of a week', { lifetimeSeconds: 604_800 }],
    ['no time', { now: new Date(Number.NaN) }],
  ])('%s is a TypeError', async (_name, options) => {
    expect(await rejectionOf(issue(good, options))).toBeInstanceOf(TypeError);
  });

  it('the tiers of AR4SI, and the status is never better than the worst claim', () => {
    expect([-128, -97, -96, -33, -32, -2, -1, 0, 1, 2, 31, 32, 95, 96, 127].map(tierOf)).toEqual([
      ...['contraindicated', 'contraindicated', 'warning', 'warning', 'affirming', 'affirming'],
      ...['none', 'none', 'none', 'affirming', 'affirming', 'warning', 'warning'],
      ...['contraindicated', 'contraindicated'],
    ]);
    for (const verdict of ['rejected', 'unappraised'] as const) {
      const report = { ...good, verdict } as Report;
      expect(statusOf(report, { hardware: 2, executables: 2 })).not.toBe('affirming');
      expect(statusOf(report, trustVector(report))).not.toBe('affirming');
    }
  });
});

describe('a token that somebody touched', () => {
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const encode = (value: unknown): string => base64url.encode(JSON.stringify(value));
  const content = payloadOf(token);
  const withHeader = (value: object): string => `${encode(value)}.${payload}.${signature}`;

  it.each<readonly [string, () => string | Promise<string>, Code]>([
    [
      'payload changed',
      () => `${header}.${encode({ ...content, aud: 'x' })}.${signature}`,
      'result.signature-invalid',
    ],
    [
      'signature changed',
      () => `${header}.${payload}.${'A'.repeat(86)}`,
      'result.signature-invalid',
    ],
    ['signature in DER', () => `${header}.${payload}.MAYCAQECAQE`, 'result.signature-invalid'],
    ['signature empty', () => `${header}.${payload}.`, 'result.signature-invalid'],
    [
      'alg none',
      () => `${encode({ alg: 'none', typ: 'eat+jwt' })}.${payload}.`,
      'result.algorithm-unsupported',
    ],
    [
      'alg none, signature kept',
      () => withHeader({ alg: 'none', typ: 'eat+jwt' }),
      'result.algorithm-unsupported',
    ],
    ['alg NONE', () => withHeader({ alg: 'NONE', typ: 'eat+jwt' }), 'result.algorithm-unsupported'],
    ['no alg', () => withHeader({ typ: 'eat+jwt' }), 'result.algorithm-unsupported'],
    [
      'alg as list',
      () => withHeader({ alg: ['ES256'], typ: 'eat+jwt' }),
      'result.algorithm-unsupported',
    ],
    [
      'alg of another key',
      () => withHeader({ alg: 'ES384', typ: 'eat+jwt' }),
      'result.signature-invalid',
    ],
    [
      'kid of another key',
      () => withHeader({ alg: 'ES256', typ: 'eat+jwt', kid: 'two' }),
      'result.signature-invalid',
    ],
    [
      'HS256 with the PEM of the public key as secret',
      () =>
        new CompactSign(base64url.decode(payload))
          .setProtectedHeader({ alg: 'HS256', typ: 'eat+jwt' })
          .sign(new TextEncoder().encode(one.pem)),
      'result.algorithm-unsupported',
    ],
    [
      'the attacker\u2019s key in the header',
      async () => {
        const eve = await verifier('ES256', 'eve');
        return forge(content, { jwk: eve.jwk, kid: 'one' }, eve);
      },
      'result.signature-invalid',
    ],
    ['another typ', () => forge(content, { typ: 'JWT' }), 'result.type-unsupported'],
    ['no typ', () => forge(content, { typ: undefined }), 'result.type-unsupported'],
    ['a signed manifest', () => signManifest(MANIFEST, one.signer), 'result.type-unsupported'],
    [
      'a critical header',
      () =>
        forge(content, { crit: ['exp'], exp: 1 } as never).catch(() =>
          withHeader({ alg: 'ES256', typ: 'eat+jwt', crit: ['x'], x: 1 }),
        ),
      'result.type-unsupported',
    ],
    ['two parts', () => `${header}.${payload}`, 'result.malformed'],
    ['four parts', () => `${token}.x`, 'result.malformed'],
    ['empty', () => '', 'result.malformed'],
    ['words', () => 'not a token', 'result.malformed'],
    [
      'JSON form',
      () => JSON.stringify({ protected: header, payload, signature }),
      'result.malformed',
    ],
    ['too long', () => 'a'.repeat(70_000), 'result.malformed'],
    ['header no JSON', () => `AAAA.${payload}.${signature}`, 'result.malformed'],
  ])('%s', async (_name, make, code) => {
    await refused(await make(), code);
  });

  it.each<readonly [string, (claims: Record<string, unknown>) => unknown, Code]>([
    ['another profile', (c) => ({ ...c, eat_profile: 'tag:x' }), 'result.type-unsupported'],
    ['no profile', ({ eat_profile: _, ...c }) => c, 'result.type-unsupported'],
    ['no exp', ({ exp: _, ...c }) => c, 'result.malformed'],
    ['exp as text', (c) => ({ ...c, exp: `${c.exp}` }), 'result.malformed'],
    ['exp infinite', (c) => ({ ...c, exp: 1e300 }), 'result.malformed'],
    ['no iat', ({ iat: _, ...c }) => c, 'result.malformed'],
    ['nbf ahead', (c) => ({ ...c, nbf: (c.iat as number) + 3600 }), 'result.not-yet-valid'],
    ['no aud', ({ aud: _, ...c }) => c, 'result.audience-mismatch'],
    ['aud as object', (c) => ({ ...c, aud: { [AUDIENCE]: true } }), 'result.audience-mismatch'],
    ['aud a prefix', (c) => ({ ...c, aud: AUDIENCE.slice(0, -1) }), 'result.audience-mismatch'],
    ['no submods', ({ submods: _, ...c }) => c, 'result.malformed'],
    ['empty submods', (c) => ({ ...c, submods: {} }), 'result.malformed'],
    [
      'two appraisals',
      (c) => ({
        ...c,
        submods: { ...(c.submods as object), x: (c.submods as { nitro: object }).nitro },
      }),
      'result.malformed',
    ],
    ['a list', () => [1], 'result.malformed'],
    ['null', () => null, 'result.malformed'],
    ...(
      [
        ['a status in capitals', { ear_status: 'AFFIRMING' }, 'result.malformed'],
        ['a status as number', { ear_status: 2 }, 'result.malformed'],
        [
          'a vector against it',
          { ear_trustworthiness_vector: { executables: 96 } },
          'result.not-affirming',
        ],
        [
          'a vector that warns',
          { ear_trustworthiness_vector: { configuration: 32 } },
          'result.not-affirming',
        ],
        [
          'a vector of text',
          { ear_trustworthiness_vector: { executables: '3' } },
          'result.malformed',
        ],
        [
          'a verdict against it',
          { ear_verifier_claims: { verdict: 'rejected' } },
          'result.not-affirming',
        ],
        ['no verifier claims', { ear_verifier_claims: undefined }, 'result.malformed'],
        [
          'a code beside it',
          { ear_verifier_claims: { verdict: 'verified', code: 'pcr.mismatch' } },
          'result.not-affirming',
        ],
      ] as const
    ).map(
      ([name, edit, code]): readonly [string, (c: Record<string, unknown>) => unknown, Code] => [
        name,
        (c) => ({
          ...c,
          submods: { nitro: { ...(c.submods as { nitro: object }).nitro, ...edit } },
        }),
        code,
      ],
    ),
  ])('signed, but %s', async (_name, edit, code) => {
    await refused(await forge(edit(structuredClone(content))), code);
  });

  it('expired, and from the future', async () => {
    const end = (content.exp as number) * 1000;
    const start = (content.iat as number) * 1000;
    await verifyResult(token, keys, { ...expectations, now: new Date(end + 59_000) });
    await refused(token, 'result.expired', { now: new Date(end + 60_000) });
    await refused(token, 'result.expired', { now: new Date(end), clockToleranceSeconds: 0 });
    await refused(token, 'result.not-yet-valid', { now: new Date(start - 61_000) });
  });

  it('for another audience, manifest or nonce', async () => {
    await refused(token, 'result.audience-mismatch', { audience: 'https://other.example' });
    await refused(token, 'result.manifest-mismatch', { manifestSha256: '00'.repeat(32) });
    await refused(token, 'result.nonce-mismatch', { nonce: new Uint8Array(32) });
  });

  it.each<readonly [string, unknown, unknown]>([
    ['no expectations', keys, undefined],
    ['no audience', keys, {}],
    ['a lost nonce', keys, { ...expectations, nonce: undefined }],
    ['a misspelled expectation', keys, { ...expectations, nonse: NONCE }],
    ['a nonce that is no hex', keys, { ...expectations, nonce: 'x' }],
    ['an empty nonce', keys, { ...expectations, nonce: '' }],
    ['an unknown status', keys, { ...expectations, accept: ['yes'] }],
    ['no keys', [], expectations],
    ['keys undefined', undefined, expectations],
    ['a private key', [{ ...one.jwk, d: 'AA' }], expectations],
    ['a secret', [{ kty: 'oct', k: 'AA' }], expectations],
  ])('%s is a TypeError', async (_name, with_, expected) => {
    const error = await rejectionOf(verifyResult(token, with_ as never, expected as never));
    expect(error).toBeInstanceOf(TypeError);
  });

  it('random text and every truncation give a code', async () => {
    const codeOf = async (text: string): Promise<string> =>
      ((await rejectionOf(verifyResult(text, keys, expectations))) as { code: string }).code;
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
        expect(await codeOf(text)).toMatch(/^result\./);
      }),
      { numRuns: 200 },
    );
    for (let length = 0; length < token.length; length += 7)
      expect(await codeOf(token.slice(0, length))).toMatch(/^result\./);
  });
});
