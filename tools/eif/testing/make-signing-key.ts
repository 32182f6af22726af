import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A key and its self-signed certificate, as PEM. */
export interface SigningKey {
  readonly privateKey: string;
  readonly certificate: string;
}

/** A fresh key on this curve. */
export async function makeSigningKey(namedCurve = 'P-384'): Promise<SigningKey> {
  const algorithm = { name: 'ECDSA', namedCurve, hash: 'SHA-384' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=release ${namedCurve}`,
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new Date('2036-01-01T00:00:00Z'),
      signingAlgorithm: algorithm,
      keys: keys as never,
      serialNumber: '01',
    },
    webcrypto as never,
  );
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    privateKey: x509.PemConverter.encode(der, 'PRIVATE KEY'),
    certificate: certificate.toString('pem'),
  };
}
