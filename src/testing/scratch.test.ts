import { it } from 'vitest';
import { verifyAttestation, inspectAttestation, verifyAttestationSync } from 'tee-verify';
import { createNodeProvider } from 'tee-verify/node';
import { mintPki, mintBundle, mintDocument, manifestFor, enclavePcrs, nitroTpmPcrs, withPcrs, ZERO_PCR } from '../../test-vectors/mint/index.js';
import { parseManifest } from '../manifest/parse-manifest.js';
import { resolveTrustAnchors } from '../x509/trust-anchors.js';

const show = async (name: string, f: () => unknown) => {
  try { const v = await f(); console.log(name, 'OK', typeof v === 'object' ? JSON.stringify(v)?.slice(0, 400) : v); }
  catch (e) { console.log(name, 'THROW', (e as Error).constructor.name, (e as Error).message.slice(0, 200)); }
};
it('scratch', async () => {
  const pki = await mintPki({ now: new Date('2026-03-01T00:00:00Z') });
  const base = { trustAnchors: [pki.anchorPem], chainMemory: false as const };
  const doc = await mintDocument(pki, { });
  const manifest = manifestFor(nitroTpmPcrs());
  await show('maxAge NaN', () => verifyAttestation(doc, manifest, { ...base, now: new Date(pki.nowMs + 3600_000), maxAgeSeconds: NaN }).then(c => c.report.verdict));
  await show('maxAge default', () => verifyAttestation(doc, manifest, { ...base, now: new Date(pki.nowMs + 3600_000) }).then(c => c.report.verdict));
  const deep = (n: number) => '['.repeat(n) + ']'.repeat(n);
  for (const n of [1000, 10_000, 400_000]) {
    await show(`deep version ${n}`, () => inspectAttestation(`{"version":${deep(n)},"attestation":{}}`).then(r => r.code));
    await show(`deep manifest version ${n}`, () => inspectAttestation(doc, `{"version":${deep(n)}}`, base).then(r => r.code));
    await show(`deep jws ${n}`, () => inspectAttestation(doc, `{"payload":"","signature":"","x":${deep(n)}}`, { ...base, manifestKeys: [{ kty: 'EC', crv: 'P-256' }] }).then(r => r.code));
  }
  await show('date 30 feb', () => new Date(parseManifest({ version: 1, platform: 'enclave', hashAlgorithm: 'SHA384', measurementSets: [{ label: 'x', pcrs: {}, notAfter: '2026-02-30T00:00:00Z' }] }).sets[0]!.notAfterMs!).toISOString());
  await show('date hour 24', () => new Date(parseManifest({ version: 1, platform: 'enclave', hashAlgorithm: 'SHA384', measurementSets: [{ label: 'x', pcrs: {}, notAfter: '2026-02-28T24:00:00Z' }] }).sets[0]!.notAfterMs!).toISOString());
  await show('date offset 99', () => new Date(parseManifest({ version: 1, platform: 'enclave', hashAlgorithm: 'SHA384', measurementSets: [{ label: 'x', pcrs: {}, notAfter: '2026-02-28T23:00:00+23:59' }] }).sets[0]!.notAfterMs!).toISOString());
  const node = createNodeProvider();
  const thenable = { ...node, verify: () => ({ then() { return Promise.resolve('yes'); } }) as never };
  const badDoc = await mintDocument(pki, { signature: (s) => { const c = s.slice(); c[95] ^= 1; return c; } });
  await show('thenable', () => verifyAttestation(badDoc, manifest, { ...base, now: 'document', provider: thenable }).then(c => c.report.verdict));
  await show('then getter', () => verifyAttestation(badDoc, manifest, { ...base, now: 'document', provider: { ...node, verify: () => ({ get then() { throw new Error('boo'); } }) as never } }).then(c => c.report.verdict));
  await show('then undefined', () => verifyAttestation(badDoc, manifest, { ...base, now: 'document', provider: { ...node, verify: () => ({ then() {} }) as never } }).then(c => c.report.verdict));
  const debug = await mintDocument(pki, { platform: 'enclave', pcrs: withPcrs(enclavePcrs(), { 0: ZERO_PCR, 1: ZERO_PCR, 2: ZERO_PCR }) });
  await show('debug', () => inspectAttestation(debug, undefined, { ...base, now: 'document' }).then(r => [r.code, r.claims?.debugMode]));
  await show('debug stale', () => inspectAttestation(debug, undefined, { ...base, now: new Date(pki.nowMs + 3600_000) }).then(r => [r.code, r.claims?.debugMode]));
  await show('pem empty', () => resolveTrustAnchors(['-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----']).certificates.map(c => c.length));
  await show('pem second bad', () => resolveTrustAnchors([pki.anchorPem + '-----BEGIN CERTIFICATE-----\n**\n-----END CERTIFICATE-----']).certificates.map(c => c.length));
  await show('bigint version', () => inspectAttestation({ version: 1n, attestation: {} }).then(r => r.code));
  await show('null', () => inspectAttestation(null as never).then(r => r.code));
  await show('number', () => inspectAttestation(5 as never).then(r => r.code));
  await show('undefined', () => inspectAttestation(undefined as never).then(r => r.code));
  await show('sync signed', () => verifyAttestationSync(doc, 'eyJ.eyJ.eyJ', { ...base, provider: node, manifestKeys: [{ kty: 'EC', crv: 'P-256' }] }));
  await show('manifest fn', () => inspectAttestation(doc, { payload: '', signature: '', f() {} }, { ...base, manifestKeys: [{ kty: 'EC', crv: 'P-256' }] }).then(r => r.code));
  await show('JWS empty sig', () => inspectAttestation(doc, 'eyJ.eyJ.', { ...base, manifestKeys: [{ kty: 'EC', crv: 'P-256' }] }).then(r => r.code));
});
