import {
  createNitroPki,
  type NitroIdentity,
  type NitroPath,
  type NitroPki,
} from '../../tools/simulator/nitro-pki.js';
import { type CertificateChange, ecKeyInfo, nameOf, remintCertificate } from './certificate.js';
import { generateKeys, publicPoint } from './ecdsa.js';

/** A simulated Nitro PKI with the time it was made for. */
export interface MintPki extends NitroPki {
  readonly nowMs: number;
  readonly anchorPem: string;
}

/** The module that minted documents come from. */
export const MODULE_ID = {
  nitrotpm: 'i-0123456789abcdef0-tpm0000000000000000',
  enclave: 'i-0123456789abcdef0-enc0123456789abcdef',
} as const;

/** A new PKI; `now` defaults to the clock. */
export async function mintPki(options: { readonly now?: Date } = {}): Promise<MintPki> {
  const now = options.now ?? new Date();
  const pki = await createNitroPki({ now });
  return { ...pki, nowMs: now.getTime(), anchorPem: pki.rootPem };
}

/** A new certificate with a new key, shaped like `template`, below `issuer`. */
export async function mintBelow(
  issuer: NitroIdentity,
  template: NitroIdentity,
  issuerName: Uint8Array,
  commonName: string,
  change: CertificateChange = {},
): Promise<NitroIdentity> {
  const keys = await generateKeys('P-384');
  const subjectPublicKeyInfo = ecKeyInfo(await publicPoint(keys));
  const der = await remintCertificate(template.der, issuer.keys.privateKey, {
    ...change,
    parts: (parts) => {
      const renewed = {
        ...parts,
        issuer: issuerName,
        subject: nameOf(commonName),
        subjectPublicKeyInfo,
      };
      return { ...renewed, ...change.parts?.(renewed) };
    },
  });
  return { ...template, der, keys };
}

/** The leaf of a path with its key replaced (the certificate still names and is signed by its issuer). */
export async function withLeafKey(
  path: NitroPath,
  keys: CryptoKeyPair,
  keyInfo: Uint8Array,
): Promise<NitroPath> {
  const issuer = path.authorities.at(-1) as NitroIdentity;
  const der = await remintCertificate(path.leaf.der, issuer.keys.privateKey, {
    parts: () => ({ subjectPublicKeyInfo: keyInfo }),
  });
  return { ...path, leaf: { ...path.leaf, der, keys } };
}
