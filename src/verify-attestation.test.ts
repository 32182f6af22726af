import {
  AttestationError,
  ChainMemory,
  type CryptoProvider,
  createNobleProvider,
  createWebCryptoProvider,
  type EvidenceInput,
  inspectAttestation,
  type ManifestInput,
  type Report,
  type VerifyOptions,
  verifyAttestation,
  verifyAttestationSync,
} from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import { evidenceOf, loadCases, optionsOf } from '../test-vectors/load-cases.js';
import {
  enclavePcrs,
  manifestFor,
  mintBundle,
  mintDocument,
  mintPki,
  nitroTpmPcrs,
  withPcrs,
} from '../test-vectors/mint/index.js';
import { rejectionOf, thrownBy } from './test-support/rejection.js';

const pki = await mintPki({ now: new Date('2026-03-01T12:00:00Z') });
const node = createNodeProvider();
const { bundle, nonce, manifest, document } = await mintBundle(pki);
const base: VerifyOptions = {
  nonce,
  now: new Date(pki.nowMs),
  trustAnchors: [pki.anchorPem],
  provider: node,
  chainMemory: false,
};
const clone = <T>(value: T): T => structuredClone(value);
const inspect = (
  evidence: unknown,
  options: VerifyOptions = base,
  expected: ManifestInput | undefined = manifest,
) => inspectAttestation(evidence as EvidenceInput, expected, options);

describe('verifyAttestation', () => {
  it('gives reports that share nothing with the next one', async () => {
    const text = JSON.stringify({
      version: 1,
      platform: 'nitrotpm',
      hashAlgorithm: 'SHA384',
      measurementSets: [{ label: 'a', pcrs: { '4': 'a1'.repeat(48), '12': '00'.repeat(48) } }],
      provenance: { builder: 'nix' },
    });
    const judge = async () => {
      const error = await rejectionOf(verifyAttestation(document, text, base));
      return (error as AttestationError).report as Report;
    };
    const first = await judge();
    const before = structuredClone(first);
    // A caller may do what they like with what they got.
    Object.assign(first.appraisal?.provenance as object, { builder: 'mine' });
    Object.assign(first.manifest?.trust as object, { source: 'signature' });
    expect(structuredClone(await judge())).toEqual(before);
  });

  it('resolves with proven claims, as text and as bytes', async () => {
    const claims = await verifyAttestation(bundle, manifest, base);
    expect(claims.report.verdict).toBe('verified');
    expect(claims).toMatchObject({
      platform: 'nitrotpm',
      instanceId: 'i-0123456789abcdef0',
      timestampMs: pki.nowMs,
      debugMode: false,
      nonce: Buffer.from(nonce).toString('hex'),
      quote: { attestationKeyAttributes: 'unknown' },
    });
    expect(claims.nonceBytes).toEqual(nonce);
    expect(claims.userDataBytes).toBeUndefined();
    expect(Object.values(claims.pcrs)).toHaveLength(24);
    expect(claims.certificates).toHaveLength(5);
    expect(claims.report.provider).toBe('node:crypto');
  });

  it('rejects with the error that the report names', async () => {
    const other = new Uint8Array(32).fill(9);
    const error = await rejectionOf(verifyAttestation(bundle, manifest, { ...base, nonce: other }));
    expect(error).toBeInstanceOf(AttestationError);
    const { code, step, report } = error as AttestationError;
    expect(code).toBe('freshness.nonce-mismatch');
    expect(report).toMatchObject({ verdict: 'rejected', code, step });
    expect(report?.appraisal).toBeUndefined();
    expect(report?.steps.find((s) => s.step === 'pcr')?.state).toBe('not-run');
    expect(report?.proven.join()).not.toContain('booted');
  });

  it('without a manifest nothing is verified', async () => {
    const report = await inspectAttestation(document, undefined, base);
    expect(report.verdict).toBe('unappraised');
    expect(report.notProven.join(' ')).toContain('What the machine booted');
  });

  it('says who asked for what: an unsigned quote, a missing quote', async () => {
    expect((await inspect(document, { ...base, requireQuote: true })).code).toBe('quote.missing');
    expect((await inspect(bundle, { ...base, requireQuote: true })).verdict).toBe('verified');
  });

  it('finds nothing by the default anchors, and no trust in the evidence\u2019s own root', async () => {
    const { trustAnchors: _, ...rest } = base;
    expect((await inspect(document, rest)).code).toBe('x509.untrusted-anchor');
    expect((await inspect(document, rest)).claims).toBeUndefined();
  });
});

describe('what changes after the call changes nothing', () => {
  const providers: readonly CryptoProvider[] = [
    node,
    createWebCryptoProvider(crypto.subtle),
    createNobleProvider(),
  ];
  const flip = (bytes: Uint8Array): void => {
    bytes.forEach((byte, i) => {
      bytes[i] = byte ^ 0xff;
    });
  };

  it.each(providers.map((p) => [p.name, p] as const))('over %s', async (_name, provider) => {
    const mine = {
      document: document.slice(),
      buffer: document.slice().buffer,
      text: new TextEncoder().encode(JSON.stringify(bundle)),
      bundle: clone(bundle),
      manifest: clone(manifest) as unknown as {
        measurementSets: { pcrs: Record<string, string> }[];
      },
      manifestBytes: new TextEncoder().encode(JSON.stringify(manifest)),
      nonce: nonce.slice(),
      anchor: pki.rootDer.slice(),
      now: new Date(pki.nowMs),
    };
    const options = {
      ...base,
      provider,
      nonce: mine.nonce,
      trustAnchors: [mine.anchor],
      now: mine.now,
    };
    const pending = [
      verifyAttestation(mine.document, mine.manifest, options),
      verifyAttestation(mine.buffer, mine.manifestBytes, options),
      verifyAttestation(mine.text, mine.manifest, options),
      verifyAttestation(mine.bundle, mine.manifestBytes, options),
    ];
    for (const bytes of [
      mine.document,
      new Uint8Array(mine.buffer),
      mine.text,
      mine.manifestBytes,
      mine.nonce,
      mine.anchor,
    ])
      flip(bytes);
    mine.bundle.attestation.nitro.document = '00';
    mine.bundle.pcrs.sha384['4'] = '00';
    for (const set of mine.manifest.measurementSets) set.pcrs = { 4: '00'.repeat(48) };
    mine.now.setTime(0);
    options.trustAnchors.length = 0;
    for (const claims of await Promise.all(pending)) expect(claims.report.verdict).toBe('verified');
  });

  it('bad evidence does not become good', async () => {
    for (const provider of providers) {
      const bad = document.slice();
      bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 1;
      const wrong = clone(manifest) as unknown as {
        measurementSets: { pcrs: Record<string, string> }[];
      };
      const right = clone(wrong.measurementSets);
      for (const set of wrong.measurementSets) set.pcrs['4'] = 'ee'.repeat(48);
      const pending = [
        inspect(bad, { ...base, provider }),
        inspect(document, { ...base, provider }, wrong),
      ];
      bad.set(document);
      wrong.measurementSets = right;
      expect((await Promise.all(pending)).map(({ code }) => code)).toEqual([
        'cose.signature-invalid',
        'pcr.mismatch',
      ]);
    }
  });
});

describe('a hostile provider', () => {
  const answers: readonly (readonly [string, () => unknown])[] = [
    ['1', () => 1],
    ['text', () => 'true'],
    ['an object', () => ({ valid: true })],
    ['a list', () => [true]],
    ['undefined', () => undefined],
    ['bytes', () => new Uint8Array(32)],
    ['a Boolean object', () => Object(true)],
    ['a promise of 1', async () => 1],
    ['a promise of text', async () => 'true'],
    ['a promise of an object', async () => ({ valid: true })],
    ['a rejection', () => Promise.reject(new Error('x'))],
    [
      'an exception',
      () => {
        throw new Error('x');
      },
    ],
    [
      'a rejection with our own error',
      () => Promise.reject(new AttestationError('evidence.empty')),
    ],
  ];

  it.each(answers)('that answers %s verifies nothing', async (_name, answer) => {
    const verify = { ...node, verify: answer } as CryptoProvider;
    const digest = { ...node, digest: answer } as CryptoProvider;
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', pki.rootDer.slice())).toString(
      'hex',
    );
    const pinned = { ...base, trustAnchors: [{ sha256 }] };
    expect((await inspect(document, pinned)).verdict).toBe('verified');
    for (const provider of [
      verify,
      digest,
      { ...verify, ...digest, verify: answer } as CryptoProvider,
    ]) {
      const report = await inspect(bundle, { ...pinned, provider });
      expect(report.verdict).toBe('rejected');
      expect(report.appraisal).toBeUndefined();
      expect(report.claims?.quote).toBeUndefined();
      await rejectionOf(verifyAttestation(bundle, manifest, { ...pinned, provider }));
    }
  });

  it('that knows only some signatures verifies nothing, whichever it is', async () => {
    // Four certificates, the document, the quote.
    for (let wrong = 0; wrong < 6; wrong++) {
      let calls = 0;
      const provider = {
        ...node,
        verify: async (...args: Parameters<CryptoProvider['verify']>) =>
          calls++ === wrong ? false : node.verify(...args),
      };
      const report = await inspect(bundle, { ...base, provider });
      expect(report.verdict, `call ${wrong}`).toBe('rejected');
      expect(report.code).toMatch(/signature-invalid$/);
      expect(calls).toBeGreaterThan(wrong);
    }
  });

  it('that fails leaves nothing in a memory', async () => {
    const chainMemory = new ChainMemory();
    const provider = { ...node, verify: async () => false };
    await inspect(document, { ...base, provider, chainMemory });
    expect(chainMemory.size).toBe(0);
    await inspect(document, { ...base, chainMemory });
    expect(chainMemory.size).toBe(4);
  });
});

/** Fails on anything that JSON does not keep. */
function expectPlain(value: unknown, path = 'report'): void {
  if (value === null || ['string', 'boolean', 'undefined'].includes(typeof value)) return;
  if (typeof value === 'number') return void expect(Number.isFinite(value), path).toBe(true);
  expect(typeof value, path).toBe('object');
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) expectPlain(item, `${path}[${i}]`);
    return;
  }
  expect(Object.getPrototypeOf(value), path).toBe(Object.prototype);
  for (const [key, item] of Object.entries(value as object)) expectPlain(item, `${path}.${key}`);
}

describe('the report', () => {
  it('is plain JSON data, without bytes, for every test vector', async () => {
    let count = 0;
    for (const vector of loadCases()) {
      const options = { ...optionsOf(vector), provider: node, chainMemory: false as const };
      const expected = (vector.manifest ?? undefined) as ManifestInput | undefined;
      const report = await inspectAttestation(evidenceOf(vector.input), expected, options);
      expectPlain(report, vector.id);
      const text = JSON.stringify(report);
      expect(JSON.parse(text), vector.id).toEqual(JSON.parse(JSON.stringify(clone(report))));
      expect(text.length, vector.id).toBeLessThan(100_000);
      if (expected === undefined || vector.options.manifestKeys !== undefined) continue;
      // The synchronous way comes to the same verdict, in the same words.
      const evidence = evidenceOf(vector.input);
      expect(syncReport(evidence, expected, options), vector.id).toEqual(report);
      count++;
    }
    expect(count).toBeGreaterThan(400);
  });

  function syncReport(
    evidence: EvidenceInput,
    expected: ManifestInput,
    options: VerifyOptions,
  ): Report {
    try {
      return verifyAttestationSync(evidence, expected, options).report;
    } catch (error) {
      if (!(error instanceof AttestationError) || error.report === undefined) throw error;
      return error.report;
    }
  }

  it('never claims more than was verified', async () => {
    const debug = withPcrs(enclavePcrs(), {
      0: new Uint8Array(48),
      1: new Uint8Array(48),
      2: new Uint8Array(48),
    });
    const enclave = await mintDocument(pki, { platform: 'enclave', pcrs: debug, nonce });
    const forEnclave = manifestFor(enclavePcrs(), 'enclave');
    const refused = await inspect(enclave, base, forEnclave);
    expect(refused.code).toBe('pcr.debug-mode');
    expect(refused.appraisal).toBeUndefined();
    const allowed = await inspect(enclave, { ...base, allowDebug: true }, forEnclave);
    expect(allowed.claims?.debugMode).toBe(true);
    expect(allowed.code).toBe('pcr.mismatch');
  });
});

describe('verifyAttestationSync', () => {
  it('gives the claims of the asynchronous way', async () => {
    for (const evidence of [document, bundle])
      expect(verifyAttestationSync(evidence, manifest, base)).toEqual(
        await verifyAttestation(evidence, manifest, base),
      );
  });

  it('needs a provider with a synchronous form, and an unsigned manifest', () => {
    const webcrypto = createWebCryptoProvider(crypto.subtle);
    const error = thrownBy(() =>
      verifyAttestationSync(document, manifest, { ...base, provider: webcrypto }),
    );
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('webcrypto');
    const jwk = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' };
    const signed = () => verifyAttestationSync(document, 'a.b.c', { ...base, manifestKeys: [jwk] });
    expect(thrownBy(signed)).toBeInstanceOf(TypeError);
  });
});

describe('wrong arguments', () => {
  it.each<readonly [string, unknown, string]>([
    ['null', null, 'evidence.unrecognized'],
    ['undefined', undefined, 'evidence.unrecognized'],
    ['a number', 5, 'evidence.unrecognized'],
    ['a bigint', 5n, 'evidence.unrecognized'],
    ['a symbol', Symbol('x'), 'evidence.unrecognized'],
    ['a function', () => document, 'evidence.unrecognized'],
    ['a list', [document], 'evidence.field-invalid'],
    ['a Blob', new Blob([document.slice()]), 'evidence.unrecognized'],
    ['a promise', Promise.resolve(document), 'evidence.unrecognized'],
    ['empty bytes', new Uint8Array(0), 'evidence.empty'],
  ])('evidence that is %s is rejected with a code', async (_name, evidence, code) => {
    expect((await inspect(evidence)).code).toBe(code);
    const error = await rejectionOf(verifyAttestation(evidence as EvidenceInput, manifest, base));
    expect((error as AttestationError).code).toBe(code);
    expect(thrownBy(() => verifyAttestationSync(evidence as EvidenceInput, manifest, base))) //
      .toMatchObject({ code });
  });

  it.each([null, undefined])(
    'a manifest that is %s is a TypeError where a verdict is wanted',
    async (none) => {
      const missing = none as unknown as ManifestInput;
      expect(await rejectionOf(verifyAttestation(document, missing, base))).toBeInstanceOf(
        TypeError,
      );
      expect(thrownBy(() => verifyAttestationSync(document, missing, base))).toBeInstanceOf(
        TypeError,
      );
    },
  );

  it.each([5, true, '', [], 'x', new Date()])(
    'a manifest of %j is rejected with a code',
    async (odd) => {
      expect((await inspect(document, base, odd as ManifestInput)).code).toMatch(/^manifest\./);
    },
  );

  it.each<readonly [string, unknown]>([
    ['null', null],
    ['an unknown option', { ...base, nonces: nonce }],
    ['an undefined nonce', { ...base, nonce: undefined }],
    ['an empty nonce', { ...base, nonce: '' }],
    ['an invalid Date', { ...base, now: new Date(Number.NaN) }],
    ['no anchors', { ...base, trustAnchors: [] }],
  ])('options that are %s are a TypeError, whatever the evidence', async (_name, options) => {
    const wrong = options as VerifyOptions;
    for (const evidence of [document, new Uint8Array(0)]) {
      expect(await rejectionOf(verifyAttestation(evidence, manifest, wrong))).toBeInstanceOf(
        TypeError,
      );
      expect(await rejectionOf(inspectAttestation(evidence, manifest, wrong))).toBeInstanceOf(
        TypeError,
      );
      expect(thrownBy(() => verifyAttestationSync(evidence, manifest, wrong))).toBeInstanceOf(
        TypeError,
      );
    }
  });

  it('options may be getters: each is read once, before anything is judged', async () => {
    const reads = new Map<string, number>();
    const options = {};
    for (const [key, value] of Object.entries(base))
      Object.defineProperty(options, key, {
        enumerable: true,
        get: () => {
          reads.set(key, (reads.get(key) ?? 0) + 1);
          // The second reading of a changing option would be another value.
          return reads.get(key) === 1 ? value : undefined;
        },
      });
    const report = await inspect(document, options);
    expect(report.verdict).toBe('verified');
    expect([...reads.values()]).toEqual([...reads.values()].map(() => 1));
  });

  it('pollution of Object.prototype turns no check off', async () => {
    const polluted = Object.prototype as Record<string, unknown>;
    const stale = { ...base, now: new Date(pki.nowMs + 3_600_000) };
    const { nonce: _, ...withoutNonce } = stale;
    try {
      polluted.attestation = bundle.attestation;
      polluted.label = 'x';
      polluted.pcrs = {};
      expect((await inspect(document, withoutNonce)).code).toBe('freshness.stale');
      expect((await inspect({}, base)).code).toBe('evidence.unrecognized');
    } finally {
      for (const key of ['attestation', 'label', 'pcrs']) delete polluted[key];
    }
  });

  it('the PCRs of the sender are never used', async () => {
    const lie = clone(bundle);
    for (const [index, value] of nitroTpmPcrs()) {
      lie.pcrs.sha384[String(index)] = Buffer.from(value).reverse().toString('hex');
    }
    expect((await inspect(lie)).code).toBe('bundle.pcrs-mismatch');
    delete lie.pcrs;
    expect((await inspect(lie)).verdict).toBe('verified');
  });
});
