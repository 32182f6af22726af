import { copyBytes, equalBytes } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { type AttestationBundle, akPoint, makeBundle } from './bundle.js';
import { checkOwnEvidence } from './check-own-evidence.js';
import { requestDocument } from './request-document.js';
import { getProperty } from './tpm/commands/capabilities.js';
import { createPrimary, type LoadedKey, quote } from './tpm/commands/keys.js';
import { readPcrs } from './tpm/commands/pcrs.js';
import { startHmacSession } from './tpm/commands/sessions.js';
import { TPM_ALG, TPM_PT, TPM_RH } from './tpm/constants.js';
import { tpmHash } from './tpm/names.js';
import { allPcrs } from './tpm/pcr-selection.js';
import { hexNumber } from './tpm/read-structure.js';
import { PASSWORD_SESSION, type TpmSession } from './tpm/session.js';
import { TpmClient } from './tpm/tpm-client.js';
import { decodeAttest } from './tpm/tpms-attest.js';
import { AK_TEMPLATE, type EccPublic, RSA_EK_TEMPLATE } from './tpm/tpmt-public.js';
import { TpmResources } from './tpm-resources.js';
import { openTransport } from './transport/open-transport.js';
import type { TpmTransport } from './transport/tpm-transport.js';

/** Options of `attest`. */
export interface AttestOptions {
  /** The relying party's challenge: 1 to 64 bytes in a bundle, 1 to 1024 in a bare document. */
  readonly nonce: Uint8Array;
  /** Goes into the document: at most 1024 bytes. */
  readonly userData?: Uint8Array | undefined;
  /**
   * `bundle` (default): a TPM quote and the document, bound by the attestation key. `document`:
   * the bare COSE document.
   */
  readonly format?: 'bundle' | 'document';
  /** Only for `document`: the key of a recipient such as KMS, DER, at most 1024 bytes. */
  readonly publicKey?: Uint8Array | undefined;
  /** `/dev/tpmrm0`, `tcp:host:port` or `unix:path`; default: this machine's TPM. */
  readonly tpm?: string | undefined;
  /** Instead of `tpm`: an open connection, e.g. to a simulator. It is closed at the end. */
  readonly transport?: TpmTransport | undefined;
  /** Where the attestation key lives. Default `endorsement`. */
  readonly hierarchy?: 'endorsement' | 'owner';
  /** `hmac` (default): salted, encrypted, checked. `password`: plain, fewer commands. */
  readonly session?: 'hmac' | 'password';
  /** Boot event log (binary_bios_measurements) to put into the bundle. */
  readonly eventLog?: Uint8Array | undefined;
  /** Limit of one exchange with the TPM. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Ends the work; what was created in the TPM is removed first. */
  readonly signal?: AbortSignal | undefined;
  /** Hears what is being done, for a progress line. */
  readonly onProgress?: ((doing: string) => void) | undefined;
}

/** What `attest` makes. */
export interface Attestation {
  /** The COSE_Sign1 document. */
  readonly document: Uint8Array;
  /** With `format: 'bundle'`. */
  readonly bundle: AttestationBundle | undefined;
}

/** Largest event log that fits into a bundle of 1 MiB together with the rest. */
export const MAX_EVENT_LOG_BYTES = 700_000;
/** Fields of a document hold this much. */
export const MAX_DOCUMENT_FIELD_BYTES = 1024;
/** TPM2B_DATA holds the largest digest. */
export const MAX_QUOTE_NONCE_BYTES = 64;
/** TPM2_PT_MANUFACTURER of a NitroTPM: "AMZN". */
export const NITROTPM_MANUFACTURER = 0x414d5a4e;
const PCR_ATTEMPTS = 3;

/**
 * Makes an attestation with the TPM of this machine: AK, quote over the SHA-384 PCRs, document.
 * Everything created in the TPM is removed again, whatever happens.
 *
 * @throws ToolError `usage.*`, `transport.*`, `tpm.*`, `attest.*`
 */
export async function attest(options: AttestOptions): Promise<Attestation> {
  const request = checkOptions(options);
  const { timeoutMs = 30_000, signal, onProgress = () => undefined } = options;
  onProgress('opening the TPM');
  const transport = options.transport ?? (await openTransport(options.tpm, { timeoutMs }));
  const client = new TpmClient(transport, {
    timeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await checkManufacturer(client);
    const resources = await TpmResources.open(client);
    return await andRelease(resources, async () => {
      const session = await openSession(client, resources, options.session ?? 'hmac', onProgress);
      const run: Run = { ...request, client, resources, session, onProgress };
      return request.format === 'document' ? makeDocument(run) : makeEvidence(run);
    });
  } finally {
    await client.close();
  }
}

interface Request {
  readonly nonce: Uint8Array;
  readonly userData: Uint8Array | undefined;
  readonly publicKey: Uint8Array | undefined;
  readonly eventLog: Uint8Array | undefined;
  readonly format: 'bundle' | 'document';
  readonly hierarchy: typeof TPM_RH.ENDORSEMENT | typeof TPM_RH.OWNER;
}

interface Run extends Request {
  readonly client: TpmClient;
  readonly resources: TpmResources;
  readonly session: TpmSession;
  readonly onProgress: (doing: string) => void;
}

async function makeDocument(run: Run): Promise<Attestation> {
  const { client, resources, session, nonce, userData, publicKey } = run;
  run.onProgress('requesting the attestation document');
  const document = await requestDocument(client, resources, session, {
    nonce,
    userData,
    publicKey,
  });
  await checkOwnEvidence({ evidence: document, document, nonce });
  return { document, bundle: undefined };
}

async function makeEvidence(run: Run): Promise<Attestation> {
  const { client, resources, session, hierarchy, nonce, userData, eventLog } = run;
  run.onProgress('creating the attestation key');
  const key = await createPrimary(client, hierarchy, AK_TEMPLATE, { session });
  resources.addHandle(key.handle);
  const ak = checkAk(key);
  for (let attempt = 1; ; attempt++) {
    try {
      run.onProgress('quoting the PCRs');
      const { pcrs, quoted } = await quotePcrs(client, session, key, nonce);
      run.onProgress('requesting the attestation document');
      const document = await requestDocument(client, resources, session, {
        nonce,
        userData,
        publicKey: akPoint(ak),
      });
      const bundle = makeBundle({ nonce, pcrs, ak, quote: quoted, document, eventLog });
      run.onProgress('checking the evidence');
      await checkOwnEvidence({ evidence: bundle, document, nonce });
      return { document, bundle };
    } catch (error) {
      const changed = error instanceof ToolError && error.code === 'attest.pcrs-changing';
      if (!changed || attempt === PCR_ATTEMPTS) throw error;
    }
  }
}

/** Reads and quotes the SHA-384 bank; PCRs that change in between are an error to retry. */
async function quotePcrs(
  client: TpmClient,
  session: TpmSession,
  key: LoadedKey,
  nonce: Uint8Array,
): Promise<{
  pcrs: ReadonlyMap<number, Uint8Array>;
  quoted: Parameters<typeof makeBundle>[0]['quote'];
}> {
  const selection = allPcrs(TPM_ALG.SHA384);
  const { values } = await readPcrs(client, selection);
  const { attest: attestData, signature } = await quote(client, key, nonce, [selection], {
    session,
  });
  if (signature.type !== 'ecdsa' || signature.hashAlgorithm !== TPM_ALG.SHA256)
    throw new ToolError('attest.evidence-inconsistent', {
      expected: 'an ECDSA signature with SHA-256',
      actual: 'another one',
    });
  const { attested, extraData } = decodeAttest(attestData);
  if (attested.type !== 'quote' || !equalBytes(extraData, nonce))
    throw new ToolError('attest.evidence-inconsistent', {
      expected: 'a quote with the nonce',
      actual: 'another one',
    });
  const digest = tpmHash(TPM_ALG.SHA256, ...values.values());
  if (!equalBytes(digest, attested.pcrDigest))
    throw new ToolError('attest.pcrs-changing', {
      expected: 'the quote to cover the PCRs as they were read',
      actual: 'another PCR digest',
    });
  return { pcrs: values, quoted: { attest: attestData, signature } };
}

/** What the TPM made must be what was asked for. */
function checkAk({ publicArea }: LoadedKey): EccPublic {
  if (
    publicArea.type !== 'ecc' ||
    publicArea.curve !== AK_TEMPLATE.curve ||
    publicArea.objectAttributes !== AK_TEMPLATE.objectAttributes ||
    publicArea.x.length === 0
  )
    throw new ToolError('attest.evidence-inconsistent', {
      expected: 'a restricted P-256 signing key',
      actual: 'another key',
    });
  return publicArea;
}

async function checkManufacturer(client: TpmClient): Promise<void> {
  const manufacturer = await getProperty(client, TPM_PT.MANUFACTURER);
  if (manufacturer !== NITROTPM_MANUFACTURER)
    throw new ToolError('attest.not-nitrotpm', {
      expected: 'manufacturer "AMZN"',
      actual: describeManufacturer(manufacturer),
    });
}

/** The manufacturer's four letters, or their number. */
export function describeManufacturer(value: number | undefined): string {
  if (value === undefined) return 'none';
  const letters = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  const printable = letters.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0);
  const text = String.fromCharCode(...letters.filter((byte) => byte !== 0)).trim();
  return printable && text !== '' ? JSON.stringify(text) : hexNumber(value, 8);
}

/** Starts the session that authorises everything else. */
export async function openSession(
  client: TpmClient,
  resources: TpmResources,
  kind: 'hmac' | 'password',
  onProgress: (doing: string) => void = () => undefined,
): Promise<TpmSession> {
  if (kind === 'password') return PASSWORD_SESSION;
  onProgress('starting a session');
  const ek = await createPrimary(client, TPM_RH.ENDORSEMENT, RSA_EK_TEMPLATE);
  resources.addHandle(ek.handle);
  const session = await startHmacSession(client, ek);
  resources.addHandle(session.handle);
  // The salt is agreed: the key need not take up room any longer.
  await resources.flush(ek.handle);
  return session;
}

/** Runs `work` and releases what it created; a failed release is an error of its own. */
export async function andRelease<T>(resources: TpmResources, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await resources.release(error);
    throw error;
  }
  await resources.release();
  return result;
}

function checkOptions(options: AttestOptions): Request {
  const format = options.format ?? 'bundle';
  const maxNonce = format === 'bundle' ? MAX_QUOTE_NONCE_BYTES : MAX_DOCUMENT_FIELD_BYTES;
  const { nonce, userData, publicKey, eventLog } = options;
  if (nonce.length < 1 || nonce.length > maxNonce)
    throw new ToolError('usage.option-invalid', {
      expected: `a nonce of 1 to ${maxNonce} bytes`,
      actual: `${nonce.length} bytes`,
    });
  for (const [name, value] of [
    ['user data', userData],
    ['a public key', publicKey],
  ] as const)
    if (value !== undefined && value.length > MAX_DOCUMENT_FIELD_BYTES)
      throw new ToolError('usage.option-invalid', {
        expected: `${name} of at most ${MAX_DOCUMENT_FIELD_BYTES} bytes`,
        actual: `${value.length} bytes`,
      });
  if (publicKey?.length === 0)
    throw new ToolError('usage.option-invalid', { expected: 'a public key', actual: '0 bytes' });
  if (format === 'bundle' && publicKey !== undefined)
    throw new ToolError('usage.option-conflict', {
      expected: 'a public key only with the format "document"',
      actual: 'the format "bundle", whose public key is the attestation key',
    });
  if (format === 'document' && eventLog !== undefined)
    throw new ToolError('usage.option-conflict', {
      expected: 'an event log only with the format "bundle"',
      actual: 'the format "document", which has no room for it',
    });
  if (eventLog !== undefined && eventLog.length > MAX_EVENT_LOG_BYTES)
    throw new ToolError('file.too-large', {
      expected: `an event log of at most ${MAX_EVENT_LOG_BYTES} bytes`,
      actual: `${eventLog.length} bytes`,
    });
  const copy = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
    bytes === undefined ? undefined : copyBytes(bytes);
  return {
    nonce: copyBytes(nonce),
    userData: copy(userData),
    publicKey: copy(publicKey),
    eventLog: copy(eventLog),
    format,
    hierarchy: options.hierarchy === 'owner' ? TPM_RH.OWNER : TPM_RH.ENDORSEMENT,
  };
}
