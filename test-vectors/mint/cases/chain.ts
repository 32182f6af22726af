import type { NitroIdentity, NitroPath } from '../../../tools/simulator/nitro-pki.js';
import { createNitroPki } from '../../../tools/simulator/nitro-pki.js';
import {
  type CertificateParts,
  certificateParts,
  changePath,
  editExtension,
  extension,
  OID,
  validity,
} from '../certificate.js';
import { derToRaw, rawToDer, twin } from '../ecdsa.js';
import { MODULE_ID, mintBelow, mintPki } from '../pki.js';
import { bitString, children, contentsOf, hex, sequence } from '../raw-der.js';
import type { CaseKit } from '../vector-case.js';

/** The path from the leaf to an anchor (RFC 5280, 6.1), one defect each. */
export async function chainCases(kit: CaseKit): Promise<void> {
  const path = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  await anchors(kit, path);
  await order(kit, path);
}

async function anchors(kit: CaseKit, path: NitroPath): Promise<void> {
  const forger = 'who makes a chain of their own: a wrong yes trusts any image of theirs';
  const [root] = path.authorities as [NitroIdentity];
  const twinPki = await mintPki({ now: new Date(kit.nowMs) });
  const otherPath = await twinPki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  await kit.document(
    'x509.untrusted-anchor',
    [
      'x509-anchor-same-subject',
      'another root with the same subject, its own root in cabundle',
      forger,
    ],
    { path: otherPath },
  );
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-anchor-default', 'no anchors given: only AWS Nitro root G1 counts', forger],
    {},
    { trustAnchorsPem: null },
  );
  const elsewhere = await createNitroPki({ now: new Date(kit.nowMs), region: 'xx-nowhere-1' });
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-anchor-other-pki', 'a chain that is whole, but of another PKI', forger],
    { path: await elsewhere.issuePath(MODULE_ID.nitrotpm, kit.documentMs) },
  );
  await kit.document(
    'verified',
    ['x509-anchor-second', 'the root is the second of two anchors', 'none'],
    {},
    { trustAnchorsPem: [twinPki.anchorPem, kit.pki.anchorPem] },
  );
  const digest = async (der: Uint8Array): Promise<string> =>
    Buffer.from(await crypto.subtle.digest('SHA-256', der as Uint8Array<ArrayBuffer>)).toString(
      'hex',
    );
  await kit.document(
    'verified',
    ['x509-anchor-pin', 'the root given by its SHA-256', 'none'],
    {},
    { trustAnchorsPem: null, trustAnchorsSha256: [await digest(root.der)] },
  );
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-anchor-pin-other', 'the pin of another root', forger],
    { path: otherPath },
    { trustAnchorsPem: null, trustAnchorsSha256: [await digest(root.der)] },
  );
  // The same key and contents with the twin signature: another file, the same meaning.
  const copied = sequence(
    ...children(root.der).slice(0, 2),
    bitString(
      rawToDer(
        twin(
          derToRaw(contentsOf(children(root.der)[2] as Uint8Array).subarray(1), 'P-384'),
          'P-384',
        ),
      ),
    ),
  );
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-root-twin-pin', 'copy of the root with the twin signature, against the pin', forger],
    { cabundle: [copied, ...path.authorities.slice(1).map((a) => a.der)] },
    { trustAnchorsPem: null, trustAnchorsSha256: [await digest(root.der)] },
  );
  await kit.document(
    'x509.untrusted-anchor',
    [
      'x509-root-missing',
      'cabundle without its root',
      'who hopes that a bare CA counts as an anchor',
    ],
    { cabundle: path.authorities.slice(1).map((a) => a.der) },
  );
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-root-last', 'cabundle in reverse order', 'a careless producer; order carries meaning'],
    { cabundle: path.authorities.map((a) => a.der).reverse() },
  );
  await kit.document(
    'x509.untrusted-anchor',
    ['x509-root-resigned', 'root with another validity, signed by the same key', forger],
    {
      path: await changePath(path, 'root', {
        parts: () => ({ validity: validity(kit.nowMs - 1000, kit.nowMs + 86_400_000) }),
      }),
    },
  );
}

async function order(kit: CaseKit, path: NitroPath): Promise<void> {
  const mixer = 'who mixes certificates of several documents to find a path that should not exist';
  const [root, regional, zonal, instance] = path.authorities as [
    NitroIdentity,
    NitroIdentity,
    NitroIdentity,
    NitroIdentity,
  ];
  const bundle = (...identities: NitroIdentity[]): Uint8Array[] => identities.map((i) => i.der);
  await kit.document(
    'x509.name-mismatch',
    ['x509-order-swapped', 'regional and zonal CA swapped', mixer],
    { cabundle: bundle(root, zonal, regional, instance) },
  );
  await kit.document('x509.name-mismatch', ['x509-missing-zonal', 'zonal CA missing', mixer], {
    cabundle: bundle(root, regional, instance),
  });
  await kit.document(
    'x509.name-mismatch',
    ['x509-missing-instance', 'the leaf’s issuer missing', mixer],
    { cabundle: bundle(root, regional, zonal) },
  );
  const otherInstance = await kit.pki.issuePath(
    'i-0fedcba9876543210-tpm0000000000000000',
    kit.documentMs,
  );
  await kit.document(
    'x509.name-mismatch',
    ['x509-other-instance', 'instance CA of another machine', mixer],
    { cabundle: bundle(root, regional, zonal, otherInstance.authorities[3] as NitroIdentity) },
  );
  await kit.document('x509.chain-length', ['x509-duplicate', 'the zonal CA twice', mixer], {
    cabundle: bundle(root, regional, zonal, zonal, instance),
  });
  // CAs that are properly issued and without pathLenConstraint.
  const noLimit = editExtension(OID.basicConstraints, () =>
    extension(OID.basicConstraints, hex('30030101ff'), true),
  );
  const unlimited = {
    parts: (parts: CertificateParts) => withoutKeyIdentifiers({ ...parts, ...noLimit(parts) }),
  };
  const extra = await mintBelow(
    root,
    regional,
    certificateParts(root.der).subject,
    'CA',
    unlimited,
  );
  await kit.document(
    'x509.name-mismatch',
    ['x509-extra', 'a CA between root and regional CA that issued neither', mixer],
    { cabundle: bundle(root, extra, regional, zonal, instance) },
  );
  const chain = [root];
  for (let i = 1; i <= 14; i++) {
    const above = chain.at(-1) as NitroIdentity;
    chain.push(
      await mintBelow(above, regional, certificateParts(above.der).subject, `CA ${i}`, unlimited),
    );
  }
  const last = chain.at(-1) as NitroIdentity;
  const leaf = await mintBelow(last, path.leaf, certificateParts(last.der).subject, 'leaf');
  await kit.document(
    'x509.chain-length',
    [
      'x509-long',
      'fourteen CAs below the root, each properly issued',
      'who makes a verifier check signatures for as long as possible',
    ],
    { path: { authorities: chain, leaf } },
  );
}

export const withoutKeyIdentifiers = (parts: CertificateParts): Partial<CertificateParts> => {
  const once = { ...parts, ...editExtension(OID.authorityKeyIdentifier, () => undefined)(parts) };
  return { ...once, ...editExtension(OID.subjectKeyIdentifier, () => undefined)(once) };
};
