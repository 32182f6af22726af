import type { NitroIdentity, NitroPath } from '../../../tools/simulator/nitro-pki.js';
import {
  addExtensions,
  algorithm,
  certificateParts,
  editExtension,
  extension,
  nameOf,
  OID,
} from '../certificate.js';
import { MODULE_ID, mintBelow } from '../pki.js';
import { hex, octetString, sequence } from '../raw-der.js';
import type { CaseKit } from '../vector-case.js';
import { withoutKeyIdentifiers } from './chain.js';
import { pathCase } from './der.js';

/** What a certificate in the path may do: CA marks, key usage, names, algorithms, extensions. */
export async function authorityCases(kit: CaseKit): Promise<void> {
  await authorities(kit, await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs));
  await extensions(kit);
}

async function authorities(kit: CaseKit, path: NitroPath): Promise<void> {
  const [root, regional, zonal, instance] = path.authorities as [
    NitroIdentity,
    NitroIdentity,
    NitroIdentity,
    NitroIdentity,
  ];
  const owner = 'who holds the key of an instance and wants to be a CA';
  const above = await mintBelow(zonal, path.leaf, certificateParts(zonal.der).subject, 'a leaf');
  const below = await mintBelow(above, path.leaf, certificateParts(above.der).subject, 'below');
  await kit.document(
    'x509.basic-constraints',
    ['x509-leaf-as-ca', 'a leaf in the place of the instance CA', owner],
    { path: { authorities: [root, regional, zonal, above], leaf: below } },
  );
  await kit.document(
    'x509.leaf-is-ca',
    ['x509-ca-as-leaf', 'document signed by the instance CA itself', owner],
    { path: { authorities: [root, regional, zonal], leaf: instance } },
  );
  const extra = await mintBelow(
    instance,
    instance,
    certificateParts(instance.der).subject,
    'CA below the instance',
    { parts: withoutKeyIdentifiers },
  );
  const extraLeaf = await mintBelow(extra, path.leaf, certificateParts(extra.der).subject, 'leaf');
  await kit.document(
    'x509.path-length-exceeded',
    [
      'x509-path-length-below-instance',
      'a CA below the instance CA, whose pathLenConstraint is 0',
      owner,
    ],
    { path: { authorities: [...path.authorities, extra], leaf: extraLeaf } },
  );
  const constraints = (bits: string, critical = true) => ({
    parts: editExtension(OID.basicConstraints, () =>
      extension(OID.basicConstraints, hex(bits), critical),
    ),
  });
  await pathCase(
    kit,
    'x509.path-length-exceeded',
    ['path-length-zonal-0', 'zonal CA with pathLenConstraint 0 above the instance CA', owner],
    'zonal',
    constraints('30060101ff020100'),
  );
  for (const [id, title, change] of [
    ['empty', 'CA whose basicConstraints is empty', constraints('3000')],
    [
      'absent',
      'CA without basicConstraints',
      { parts: editExtension(OID.basicConstraints, () => undefined) },
    ],
    [
      'not-critical',
      'CA whose basicConstraints is not critical',
      constraints('30060101ff020100', false),
    ],
  ] as const)
    await pathCase(
      kit,
      'x509.basic-constraints',
      [`basic-constraints-${id}`, title, owner],
      'instance',
      change,
    );
  await pathCase(
    kit,
    'x509.leaf-is-ca',
    ['leaf-path-length', 'leaf with a pathLenConstraint', owner],
    'leaf',
    constraints('3003020100'),
  );
  await pathCase(
    kit,
    'verified',
    ['leaf-without-basic-constraints', 'leaf without basicConstraints', 'none'],
    'leaf',
    { parts: editExtension(OID.basicConstraints, () => undefined) },
  );
  const usage = (bits: string) => ({
    parts: editExtension(OID.keyUsage, () => extension(OID.keyUsage, hex(bits), true)),
  });
  await pathCase(
    kit,
    'x509.key-usage',
    ['key-usage-ca', 'CA without keyCertSign', owner],
    'instance',
    usage('03020780'),
  );
  await pathCase(
    kit,
    'x509.key-usage',
    ['key-usage-ca-absent', 'CA without keyUsage', owner],
    'instance',
    {
      parts: editExtension(OID.keyUsage, () => undefined),
    },
  );
  await pathCase(
    kit,
    'x509.key-usage',
    ['key-usage-leaf', 'leaf without digitalSignature', owner],
    'leaf',
    usage('03020640'),
  );
  await pathCase(
    kit,
    'x509.key-usage',
    ['key-usage-leaf-absent', 'leaf without keyUsage', owner],
    'leaf',
    {
      parts: editExtension(OID.keyUsage, () => undefined),
    },
  );
  await pathCase(
    kit,
    'x509.name-mismatch',
    ['issuer-other', 'leaf that names another issuer, signed by the right one', owner],
    'leaf',
    { parts: () => ({ issuer: nameOf('somebody else') }) },
  );
  const identifier = octetString(new Uint8Array(20).fill(0x11));
  await pathCase(
    kit,
    'x509.key-identifier-mismatch',
    ['aki-mismatch', 'authority key identifier of another key', owner],
    'instance',
    {
      parts: editExtension(OID.authorityKeyIdentifier, () =>
        extension(OID.authorityKeyIdentifier, sequence(concatRetag(identifier))),
      ),
    },
  );
  for (const [id, title, inner, outer] of [
    [
      'inner',
      'inner algorithm ecdsa-with-SHA256, outer ecdsa-with-SHA384',
      OID.ecdsaWithSha256,
      OID.ecdsaWithSha384,
    ],
    [
      'outer',
      'outer algorithm ecdsa-with-SHA256, inner ecdsa-with-SHA384',
      OID.ecdsaWithSha384,
      OID.ecdsaWithSha256,
    ],
  ] as const)
    await pathCase(kit, 'x509.algorithm-mismatch', [`algorithm-${id}`, title, owner], 'leaf', {
      parts: () => ({ signature: algorithm(inner) }),
      outerAlgorithm: algorithm(outer),
    });
  await pathCase(
    kit,
    'x509.algorithm-unsupported',
    ['algorithm-sha256', 'certificate properly signed with ecdsa-with-SHA256', owner],
    'leaf',
    {
      hash: 'SHA-256',
      parts: () => ({ signature: algorithm(OID.ecdsaWithSha256) }),
      outerAlgorithm: algorithm(OID.ecdsaWithSha256),
    },
  );
}

/** OCTET STRING → [0] IMPLICIT KeyIdentifier. */
const concatRetag = (octets: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(octets);
  copy[0] = 0x80;
  return copy;
};

async function extensions(kit: CaseKit): Promise<void> {
  const gain = 'who adds a condition to a certificate that a careless verifier does not see';
  const value = hex('0500');
  for (const level of ['leaf', 'instance'] as const) {
    await pathCase(
      kit,
      'x509.extension-unknown-critical',
      [`critical-unknown-${level}`, `unknown critical extension in the ${level} certificate`, gain],
      level,
      { parts: addExtensions(extension(OID.unknown, value, true)) },
    );
    await pathCase(
      kit,
      'verified',
      [
        `unknown-extension-${level}`,
        `unknown extension, not critical, in the ${level} certificate`,
        'none',
      ],
      level,
      { parts: addExtensions(extension(OID.unknown, value)) },
    );
  }
  await pathCase(
    kit,
    'x509.extension-unknown-critical',
    ['critical-name-constraints', 'critical nameConstraints, which are not evaluated here', gain],
    'instance',
    { parts: addExtensions(extension(OID.nameConstraints, hex('3000'), true)) },
  );
  await pathCase(
    kit,
    'x509.extension-duplicate',
    ['duplicate-extension', 'basicConstraints twice', gain],
    'instance',
    {
      parts: addExtensions(extension(OID.basicConstraints, hex('30030101ff'), true)),
    },
  );
  await pathCase(
    kit,
    'x509.extension-duplicate',
    ['duplicate-unknown-extension', 'an unknown extension twice', gain],
    'leaf',
    { parts: addExtensions(extension(OID.unknown, value), extension(OID.unknown, value)) },
  );
}
