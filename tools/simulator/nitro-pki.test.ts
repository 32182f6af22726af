import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { Encoder } from 'cbor-x';
import { describe, expect, it } from 'vitest';
import { createNitroPki, type NitroDocumentFields } from './nitro-pki.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const cbor = new Encoder({ mapsAsObjects: false });

const fields = (change: Partial<NitroDocumentFields> = {}): NitroDocumentFields => ({
  platform: 'nitrotpm',
  moduleId: 'i-0123456789abcdef0-tpm0000000000000000',
  timestampMs: NOW,
  pcrs: new Map([[4, new Uint8Array(48).fill(4)]]),
  ...change,
});

/** Reads a document with another decoder and checks its signature with another library. */
function open(document: Uint8Array) {
  const [protectedHeader, , payload, signature] = cbor.decode(document) as [
    Uint8Array,
    unknown,
    Uint8Array,
    Uint8Array,
  ];
  // biome-ignore lint/suspicious/noExplicitAny: a map of many types
  const map = cbor.decode(payload) as Map<string, any>;
  const leaf = new X509Certificate(map.get('certificate'));
  const signed = Buffer.concat([
    Buffer.from('846a5369676e61747572653144', 'hex'),
    protectedHeader,
    Buffer.from([0x40, 0x59, payload.length >> 8, payload.length & 0xff]),
    payload,
  ]);
  const key = createPublicKey(leaf.publicKey.export({ type: 'spki', format: 'pem' }));
  const good = verify('sha384', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
  return { payload, map, leaf, good };
}

describe('createNitroPki', () => {
  it('issues documents that other libraries accept', async () => {
    const pki = await createNitroPki({ now: new Date(NOW) });
    const { payload, map, leaf, good } = open(await pki.issueDocument(fields()));
    expect(good).toBe(true);
    expect(payload[0]).toBe(0xbf);
    expect([...map.keys()]).toEqual([
      'module_id',
      'digest',
      'timestamp',
      'nitrotpm_pcrs',
      'certificate',
      'cabundle',
      'public_key',
      'user_data',
      'nonce',
    ]);
    expect(map.get('nonce')).toBeNull();
    const chain = [...map.get('cabundle')].map((der) => new X509Certificate(der));
    expect(chain).toHaveLength(4);
    for (const [i, certificate] of [...chain, leaf].entries()) {
      const issuer = chain[Math.max(0, i - 1)] as X509Certificate;
      expect(certificate.checkIssued(issuer)).toBe(true);
      expect(certificate.verify(issuer.publicKey)).toBe(true);
      expect(certificate.ca).toBe(i < 4);
    }
    expect(chain[0]?.subject).toContain('NOT AWS');
    expect(new X509Certificate(pki.rootPem).raw).toEqual(Buffer.from(pki.rootDer));
  });

  it('has lifetimes as observed', async () => {
    const pki = await createNitroPki({ now: new Date(NOW) });
    const { authorities, leaf } = await pki.issuePath(fields().moduleId, NOW);
    const hours = [...authorities, leaf].map(
      ({ notAfterMs, notBeforeMs }) => (notAfterMs - notBeforeMs) / 3_600_000,
    );
    expect(hours.slice(1, 4)).toEqual([480, 144, 24]);
    expect(hours[4]).toBeCloseTo(3, 2);
  });

  it('writes PCRs, whatever the order or the form they come in', async () => {
    const pki = await createNitroPki({ now: new Date(NOW) });
    const value = new Uint8Array(48);
    const { map, good } = open(
      await pki.issueDocument(
        fields({ platform: 'enclave', pcrs: { 8: value, 0: value }, nonce: Uint8Array.of(1) }),
      ),
    );
    expect(good).toBe(true);
    expect([...map.get('pcrs').keys()]).toEqual([0, 8]);
    expect([...map.get('nonce')]).toEqual([1]);
  });

  it('keeps the leaf while it lives, and issues another one outside its time', async () => {
    const pki = await createNitroPki({ now: new Date(NOW) });
    const leafAt = async (timestampMs: number) =>
      open(await pki.issueDocument(fields({ timestampMs }))).leaf;
    const first = await leafAt(NOW);
    expect((await leafAt(NOW + 3_600_000)).serialNumber).toBe(first.serialNumber);
    for (const offset of [4 * 3_600_000, 40 * 86_400_000, -40 * 86_400_000]) {
      const leaf = await leafAt(NOW + offset);
      expect(leaf.serialNumber).not.toBe(first.serialNumber);
      expect(Date.parse(leaf.validFrom)).toBeLessThanOrEqual(NOW + offset);
      expect(Date.parse(leaf.validTo)).toBeGreaterThanOrEqual(NOW + offset);
    }
  });

  it('gives every module its own leaf and every instance its own CA', async () => {
    const pki = await createNitroPki({ now: new Date(NOW) });
    const one = await pki.issuePath('i-0123456789abcdef0-tpm0000000000000000', NOW);
    const two = await pki.issuePath('i-0fedcba9876543210-tpm0000000000000000', NOW);
    expect(one.authorities.slice(0, 3)).toEqual(two.authorities.slice(0, 3));
    expect(one.authorities[3]).not.toEqual(two.authorities[3]);
    expect(one.authorities.map(({ der }) => der)).toEqual(pki.chain);
  });
});
