import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { appraisalCases } from './cases/appraisal.js';
import { authorityCases } from './cases/authority.js';
import { cborCases } from './cases/cbor.js';
import { chainCases } from './cases/chain.js';
import { derCases } from './cases/der.js';
import { envelopeCases } from './cases/envelope.js';
import { evidenceCases } from './cases/evidence.js';
import { fieldCases } from './cases/fields.js';
import { manifestCases } from './cases/manifest.js';
import { quoteCases } from './cases/quote.js';
import { senderCases } from './cases/sender.js';
import { signatureCases } from './cases/signature.js';
import { signedManifestCases } from './cases/signed-manifest.js';
import { timeCases } from './cases/time.js';
import { validCases } from './cases/valid.js';
import { mintPki } from './pki.js';
import { CaseKit } from './vector-case.js';

/**
 * Mints every case anew, with fresh keys, into test-vectors/cases: `npm run vectors:mint`.
 * The cases are committed; mint again only when one is added or changed.
 */
const folder = fileURLToPath(new URL('../../../test-vectors/', import.meta.url));
const kit = new CaseKit(await mintPki({ now: new Date('2026-03-01T12:00:00Z') }));
for (const group of [
  validCases,
  evidenceCases,
  cborCases,
  envelopeCases,
  fieldCases,
  derCases,
  chainCases,
  authorityCases,
  timeCases,
  signatureCases,
  quoteCases,
  senderCases,
  manifestCases,
  appraisalCases,
  signedManifestCases,
])
  await group(kit);

const ids = new Set<string>();
for (const { id } of kit.cases) {
  if (ids.has(id)) throw new Error(`two cases are called ${id}`);
  ids.add(id);
}
await mkdir(`${folder}cases`, { recursive: true });
for (const file of await readdir(`${folder}cases`)) await rm(`${folder}cases/${file}`);
for (const one of kit.cases)
  await writeFile(`${folder}cases/${one.id}.json`, `${JSON.stringify(one, null, 1)}\n`);
const index = kit.cases.map(({ id, title, expected }) => ({ id, title, ...expected }));
await writeFile(`${folder}index.json`, `${JSON.stringify({ cases: index }, null, 1)}\n`);
process.stdout.write(`${kit.cases.length} cases written to test-vectors/cases\n`);
