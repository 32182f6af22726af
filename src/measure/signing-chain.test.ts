import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AttestationError } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { bytesSource } from './byte-source.js';
import { type ChainCertificate, readChainCertificate } from './chain-certificate.js';
import { readPeImage } from './pe-image.js';
import { readSignatures } from './pe-signature.js';
import { SigningChain } from './signing-chain.js';
import { makeSigner, signPe, type TestSigner } from './test-support/sign-pe.js';

const CODE = MEASUREMENT_CODES['pe.signature-malformed'];
const readCertificate = ({ certificate }: TestSigner): ChainCertificate =>
  readChainCertificate(certificate, CODE);

describe('SigningChain', () => {
  it('ends in bounded time when an attacker carries certificates that certify each other', async () => {
    const [a, b, anchor] = [makeSigner('a'), makeSigner('b'), makeSigner('anchor')];
    const circle = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0
        ? makeSigner('a', { keys: a.keys, issuer: b })
        : makeSigner('b', { keys: b.keys, issuer: a }),
    );
    // Without RSA nothing is verified, only names lead on.
    const curve = makeSigner('curve', { kind: 'ec' });
    const curves = Array.from({ length: 60 }, () =>
      makeSigner('curve', { keys: curve.keys, issuer: makeSigner('curve', { kind: 'ec' }) }),
    );
    for (const carried of [circle, curves]) {
      const started = Date.now();
      const certificates = carried.map(readCertificate);
      const chain = new SigningChain(certificates[0] as ChainCertificate, certificates);
      expect(await chain.endsAt(readCertificate(anchor))).toMatch(/^(no|unknown)$/);
      expect(Date.now() - started).toBeLessThan(5000);
    }
  });
});

describe('readSignatures', () => {
  it('throws nothing but our error for mutated signatures', async () => {
    const signer = makeSigner('signer', { issuer: makeSigner('issuer') });
    const good = await signPe([{ name: '.text', data: new Uint8Array(8) }], [{ signer }]);
    const from = (await readPeImage(bytesSource(good))).certificates.offset;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: from, max: good.length - 1 }), fc.nat(255)), {
          minLength: 1,
          maxLength: 3,
        }),
        async (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          try {
            const signatures = await readSignatures(await readPeImage(bytesSource(bytes)));
            for (const { certificates } of signatures)
              for (const der of certificates) readChainCertificate(der, CODE);
          } catch (error) {
            expect(error).toBeInstanceOf(AttestationError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
