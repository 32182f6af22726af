import type { Code } from '../../../src/result/codes.js';
import type { BundleJson } from '../bundle.js';
import type { CaseKit } from '../vector-case.js';

/** What the sender wrote beside the signed bytes: compared with them, never used. */
export async function senderCases(kit: CaseKit): Promise<void> {
  const editor = 'who edits the readable part and hopes that it is what the verifier looks at';
  const row = (
    code: Code,
    id: string,
    title: string,
    form: 'seed' | 'later',
    edit: (bundle: BundleJson) => void,
  ) =>
    kit.bundle(code, [`bundle-${id}`, title, editor], {
      form,
      json: (bundle) => {
        edit(bundle);
        return bundle;
      },
    });
  for (const form of ['seed', 'later'] as const)
    await row('bundle.pcrs-mismatch', `pcr4-${form}`, `PCR4 edited (${form} form)`, form, (b) => {
      b.pcrs.sha384['4'] = 'ab'.repeat(48);
    });
  await row(
    'bundle.pcrs-mismatch',
    'pcr-extra',
    'a PCR24 that the document does not have',
    'seed',
    (b) => {
      b.pcrs.sha384['24'] = '00'.repeat(48);
    },
  );
  await row('bundle.pcrs-mismatch', 'pcr-swapped', 'PCR4 and PCR7 swapped', 'later', (b) => {
    const { sha384 } = b.pcrs;
    [sha384['4'], sha384['7']] = [sha384['7'], sha384['4']];
  });
  const other = '11'.repeat(32);
  await row('bundle.nonce-mismatch', 'nonce-tpm', 'nonce beside the quote edited', 'seed', (b) => {
    b.attestation.tpm.ecc_p256.nonce = other;
  });
  await row(
    'bundle.nonce-mismatch',
    'nonce-nitro',
    'nonce beside the document edited',
    'seed',
    (b) => {
      b.attestation.nitro.nonce = other;
    },
  );
  await row('bundle.nonce-mismatch', 'nonce-top', 'nonce at the top edited', 'later', (b) => {
    b.nonce = other;
  });
  await row(
    'bundle.public-key-mismatch',
    'public-key',
    'public_key beside the document edited',
    'seed',
    (b) => {
      b.attestation.nitro.public_key = `04${'22'.repeat(64)}`;
    },
  );
}
