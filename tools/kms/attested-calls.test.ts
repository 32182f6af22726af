import { randomBytes } from 'node:crypto';
import {
  DecryptCommand,
  EncryptCommand,
  KMSClient,
  type KMSClientConfig,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import { encodeHex } from 'tee-verify/bytes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator } from '../emulator/emulator.js';
import { createKmsService, type KmsService } from '../emulator/kms-endpoint.js';
import { wrapForRecipient } from '../emulator/kms-envelope.js';
import { type EmulatedKey, encryptWith } from '../emulator/kms-keys.js';
import { type LocalServer, startLocalServer } from '../emulator/local-server.js';
import { bootFromManifest } from '../simulator/boot-state.js';
import { createNitroPki, type NitroPki } from '../simulator/nitro-pki.js';
import { createSimulator, type TpmSimulator } from '../simulator/tpm-simulator.js';
import { attestWithNitroTpm } from './attest-with-nitrotpm.js';
import {
  decryptAttested,
  generateDataKeyAttested,
  generateRandomAttested,
} from './attested-calls.js';
import { type Attester, createRecipient } from './create-recipient.js';
import type { KeyPolicy } from './policy-document.js';
import { keyPolicyStatements } from './policy-statements.js';

const APP = 'arn:aws:iam::111122223333:role/app';
const PCR4 = randomBytes(48);
const MANIFEST = {
  version: 1,
  platform: 'nitrotpm',
  hashAlgorithm: 'SHA384',
  measurementSets: [{ label: 'v1', pcrs: { 4: encodeHex(PCR4), 12: '00'.repeat(48) } }],
};
const SECRET = new TextEncoder().encode('the database password');

let pki: NitroPki;
let tpm: TpmSimulator;
let kms: KmsService;
let server: LocalServer;
let ciphertext: Uint8Array;
const KeyId = 'arn:aws:kms:us-east-1:111122223333:key/secrets';
const clients: KMSClient[] = [];

function clientOf(accessKeyId: string, config: KMSClientConfig = {}): KMSClient {
  const client = new KMSClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey: 'any' },
    maxAttempts: 1,
    ...config,
  });
  clients.push(client);
  return client;
}

const attesterOf = (simulator: TpmSimulator): Attester =>
  attestWithNitroTpm({ openTransport: () => simulator.transport() });

/** A machine like the first, but for some PCRs. */
async function machineWith(pcrs: Readonly<Record<number, Uint8Array>>): Promise<Attester> {
  const other = await createSimulator({ pki });
  bootFromManifest(other, MANIFEST);
  for (const [index, value] of Object.entries(pcrs)) other.setPcr(Number(index), value);
  return attesterOf(other);
}

beforeAll(async () => {
  pki = await createNitroPki();
  tpm = await createSimulator({ pki });
  bootFromManifest(tpm, MANIFEST);
  const policy: KeyPolicy = {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'Admin',
        Effect: 'Allow',
        Principal: { AWS: 'arn:aws:iam::111122223333:role/admin' },
        Action: ['kms:Encrypt', 'kms:PutKeyPolicy', 'kms:GetKeyPolicy'],
        Resource: '*',
      },
      ...keyPolicyStatements(MANIFEST, {
        principals: [APP],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      }).statements,
    ],
  };
  kms = createKmsService({ trustAnchors: [pki.rootDer], keys: { secrets: policy } });
  server = await startEmulator({ services: [kms] });
  const answer = await clientOf('admin').send(
    new EncryptCommand({ KeyId, Plaintext: SECRET, EncryptionContext: { service: 'db' } }),
  );
  ciphertext = answer.CiphertextBlob as Uint8Array;
});

afterAll(async () => {
  for (const client of clients) client.destroy();
  await server?.close();
});

const decrypt = (
  attest: Attester,
  client: KMSClient = clientOf('app'),
): ReturnType<typeof decryptAttested> =>
  decryptAttested(
    client,
    { KeyId, CiphertextBlob: ciphertext, EncryptionContext: { service: 'db' } },
    attest,
  );

describe('attested calls against a key service that verifies', () => {
  it('gives the secret to the machine of the manifest', async () => {
    const { plaintext, keyId } = await decrypt(attesterOf(tpm));
    expect(plaintext).toEqual(SECRET);
    expect(keyId).toBe(KeyId);
  });

  it('refuses any other PCR4', async () => {
    const other = Uint8Array.from(PCR4);
    other[47] = (other[47] as number) ^ 1;
    await expect(decrypt(await machineWith({ 4: other }))).rejects.toMatchObject({
      code: 'kms.access-denied',
      actual: expect.stringContaining('is not authorized to perform: kms:Decrypt'),
    });
  });

  it('refuses a PCR12 that is not zero', async () => {
    const override = new Uint8Array(48);
    override[0] = 1;
    await expect(decrypt(await machineWith({ 12: override }))).rejects.toMatchObject({
      code: 'kms.access-denied',
    });
  });

  it('refuses a call without attestation', async () => {
    const plain = new DecryptCommand({
      KeyId,
      CiphertextBlob: ciphertext,
      EncryptionContext: { service: 'db' },
    });
    await expect(clientOf('app').send(plain)).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  it('refuses a document whose leaf expired', async () => {
    const past = await createSimulator({
      pki,
      now: () => new Date(Date.now() - 4 * 3_600_000),
    });
    bootFromManifest(past, MANIFEST);
    const patient = createKmsService({
      trustAnchors: [pki.rootDer],
      // So that only the certificate speaks against it.
      maxAgeSeconds: 86_400,
      keys: { secrets: { Statement: [] } },
    });
    const other = await startEmulator({ services: [patient] });
    try {
      await expect(
        decrypt(attesterOf(past), clientOf('app', { endpoint: other.url })),
      ).rejects.toMatchObject({
        code: 'kms.attestation-refused',
        actual: expect.stringContaining('x509.expired'),
      });
    } finally {
      await other.close();
    }
  });

  it('refuses a document that is old, and one of another root', async () => {
    const stale = await createSimulator({ pki, now: () => new Date(Date.now() - 600_000) });
    bootFromManifest(stale, MANIFEST);
    await expect(decrypt(attesterOf(stale))).rejects.toMatchObject({
      code: 'kms.attestation-refused',
      actual: expect.stringContaining('freshness.stale'),
    });
    const stranger = await createSimulator();
    bootFromManifest(stranger, MANIFEST);
    await expect(decrypt(attesterOf(stranger))).rejects.toMatchObject({
      code: 'kms.attestation-refused',
      actual: expect.stringContaining('x509.'),
    });
  });

  it('makes data keys whose copy decrypts to the same, and random bytes', async () => {
    const client = clientOf('app');
    const attest = attesterOf(tpm);
    for (const size of [
      { KeySpec: 'AES_256' },
      { KeySpec: 'AES_128' },
      { NumberOfBytes: 24 },
    ] as const) {
      const key = await generateDataKeyAttested(client, { KeyId, ...size }, attest);
      const input = { KeyId, CiphertextBlob: key.ciphertextBlob };
      expect((await decryptAttested(client, input, attest)).plaintext).toEqual(key.plaintext);
    }
    expect(await generateRandomAttested(client, { NumberOfBytes: 1024 }, attest)).toHaveLength(
      1024,
    );
  });

  it('says what else is wrong', async () => {
    const attest = attesterOf(tpm);
    const client = clientOf('app');
    const input = { KeyId, CiphertextBlob: ciphertext, EncryptionContext: { service: 'db' } };
    const cases = [
      [client, { ...input, EncryptionContext: {} }, 'kms.ciphertext-refused'],
      [client, { ...input, CiphertextBlob: new Uint8Array(64) }, 'kms.ciphertext-refused'],
      [client, { ...input, KeyId: 'nothing' }, 'kms.key-unusable'],
      [clientOf('nobody'), input, 'kms.credentials'],
      [clientOf('app', { endpoint: 'http://127.0.0.1:9' }), input, 'kms.unreachable'],
    ] as const;
    for (const [from, what, code] of cases)
      await expect(decryptAttested(from, what, attest), code).rejects.toMatchObject({ code });
  });

  it('goes by the policy of the moment', async () => {
    const admin = clientOf('admin');
    const key = kms.keys.find(KeyId);
    const before = JSON.stringify(key?.policy);
    const without = { ...key?.policy, Statement: key?.policy.Statement.slice(0, 1) };
    await admin.send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(without) }));
    await expect(decrypt(attesterOf(tpm))).rejects.toMatchObject({ code: 'kms.access-denied' });
    await admin.send(new PutKeyPolicyCommand({ KeyId, Policy: before }));
    expect((await decrypt(attesterOf(tpm))).plaintext).toEqual(SECRET);
  });
});

describe('an enclave', () => {
  const ENCLAVE = { PCR0: 'e0'.repeat(48), PCR1: 'e1'.repeat(48), PCR2: 'e2'.repeat(48) };
  /** As one whose program asks the NSM. */
  const attesterWith =
    (pcrs: Readonly<Record<string, string>>): Attester =>
    (publicKey) =>
      pki.issueDocument({
        platform: 'enclave',
        moduleId: 'i-0123456789abcdef0-enc0123456789abcdef',
        timestampMs: Date.now(),
        pcrs: Object.fromEntries(
          Object.entries(pcrs).map(([name, value]) => [
            Number(name.slice(3)),
            Buffer.from(value, 'hex'),
          ]),
        ),
        publicKey,
      });

  it('gets the secret by the policy of its pcr.json, and debug mode does not', async () => {
    const { statements } = keyPolicyStatements(ENCLAVE, { principals: [APP] });
    const { arn } = kms.keys.create({ Statement: statements }, 'enclave');
    const key = kms.keys.find(arn) as EmulatedKey;
    const call = (attest: Attester): ReturnType<typeof decryptAttested> =>
      decryptAttested(
        clientOf('app'),
        { KeyId: arn, CiphertextBlob: encryptWith(key, SECRET, {}) },
        attest,
      );
    expect((await call(attesterWith(ENCLAVE))).plaintext).toEqual(SECRET);
    for (const other of [
      { ...ENCLAVE, PCR2: 'ee'.repeat(48) },
      Object.fromEntries(Object.keys(ENCLAVE).map((name) => [name, '00'.repeat(48)])),
    ])
      await expect(call(attesterWith(other))).rejects.toMatchObject({ code: 'kms.access-denied' });
    // A NitroTPM whose PCRs happen to have these values is no enclave.
    const tpmPcrs = Object.entries(ENCLAVE).map(
      ([name, value]) => [Number(name.slice(3)), Buffer.from(value, 'hex')] as const,
    );
    await expect(call(await machineWith(Object.fromEntries(tpmPcrs)))).rejects.toMatchObject({
      code: 'kms.access-denied',
    });
  });
});

describe('answers that cannot be trusted', () => {
  /** What a service answers that is not AWS KMS, or somebody on the way. */
  async function answering(json: object, asked: string = KeyId): Promise<unknown> {
    const liar = await startLocalServer(() => ({
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: JSON.stringify(json),
    }));
    const client = clientOf('app', { endpoint: liar.url });
    try {
      return await decryptAttested(
        client,
        { KeyId: asked, CiphertextBlob: ciphertext },
        attesterOf(tpm),
      );
    } finally {
      await liar.close();
    }
  }
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

  it("refuses somebody else's envelope", async () => {
    const { parameter } = await createRecipient(attesterOf(tpm));
    const spki = await spkiOf(parameter.AttestationDocument);
    const CiphertextForRecipient = base64(wrapForRecipient(spki, SECRET));
    await expect(answering({ CiphertextForRecipient, KeyId })).rejects.toMatchObject({
      code: 'cms.recipient-mismatch',
    });
  });

  it('refuses a plaintext, and overwrites it', async () => {
    await expect(answering({ Plaintext: base64(SECRET), KeyId })).rejects.toMatchObject({
      code: 'kms.recipient-ignored',
      message: expect.not.stringContaining('password'),
    });
    await expect(
      answering({ Plaintext: base64(SECRET), CiphertextForRecipient: 'AAAA', KeyId }),
    ).rejects.toMatchObject({ code: 'kms.recipient-ignored' });
  });

  it('refuses an answer without a secret, or with something else in its place', async () => {
    await expect(answering({ KeyId })).rejects.toMatchObject({ code: 'kms.answer-incomplete' });
    await expect(answering({ KeyId, CiphertextForRecipient: 'AAAA' })).rejects.toMatchObject({
      code: 'cms.malformed',
    });
  });

  it.each([
    [KeyId, 'arn:aws:kms:us-east-1:111122223333:key/other', 'kms.key-mismatch'],
    ['secrets', 'arn:aws:kms:us-east-1:111122223333:key/other', 'kms.key-mismatch'],
    [KeyId, 'arn:aws:kms:eu-west-1:111122223333:key/secrets', 'kms.key-mismatch'],
    [
      'arn:aws:kms:us-east-1:111122223333:alias/a',
      'arn:aws:kms:us-east-1:999999999999:key/x',
      'kms.key-mismatch',
    ],
    [KeyId, undefined, 'kms.answer-incomplete'],
  ])('refuses a secret for %s that says %s', async (asked, used, code) => {
    const attest: Attester = async (spki) => {
      envelope = base64(wrapForRecipient(spki, SECRET));
      return Uint8Array.of(1);
    };
    let envelope = '';
    const liar = await startLocalServer(() => ({
      status: 200,
      body: JSON.stringify({ CiphertextForRecipient: envelope, KeyId: used }),
    }));
    try {
      await expect(
        decryptAttested(
          clientOf('app', { endpoint: liar.url }),
          { KeyId: asked, CiphertextBlob: ciphertext },
          attest,
        ),
      ).rejects.toMatchObject({ code });
    } finally {
      await liar.close();
    }
  });

  it('refuses a data key or random bytes of another length', async () => {
    let envelope = '';
    const attest: Attester = async (spki) => {
      envelope = base64(wrapForRecipient(spki, new Uint8Array(31)));
      return Uint8Array.of(1);
    };
    const liar = await startLocalServer(() => ({
      status: 200,
      body: JSON.stringify({ CiphertextForRecipient: envelope, KeyId, CiphertextBlob: 'AAAA' }),
    }));
    const client = clientOf('app', { endpoint: liar.url });
    try {
      await expect(
        generateDataKeyAttested(client, { KeyId, KeySpec: 'AES_256' }, attest),
      ).rejects.toMatchObject({ code: 'kms.answer-incomplete' });
      await expect(
        generateRandomAttested(client, { NumberOfBytes: 32 }, attest),
      ).rejects.toMatchObject({ code: 'kms.answer-incomplete' });
    } finally {
      await liar.close();
    }
  });
});

describe('createRecipient', () => {
  it('opens one answer, and no second', async () => {
    let spki = new Uint8Array(0);
    const recipient = await createRecipient(async (publicKey) => {
      spki = Uint8Array.from(publicKey);
      return Uint8Array.of(1);
    });
    const envelope = wrapForRecipient(spki, SECRET);
    expect(recipient.open(envelope)).toEqual(SECRET);
    expect(() => recipient.open(envelope)).toThrow(TypeError);
  });

  it('refuses documents that KMS would not take', async () => {
    for (const length of [0, 262_145])
      await expect(createRecipient(async () => new Uint8Array(length))).rejects.toMatchObject({
        code: 'kms.attestation-refused',
      });
  });
});

async function spkiOf(document: Uint8Array): Promise<Uint8Array> {
  const { inspectAttestation } = await import('tee-verify');
  const { claims } = await inspectAttestation(document, undefined, { trustAnchors: [pki.rootDer] });
  return Uint8Array.from(Buffer.from(claims?.publicKey ?? '', 'hex'));
}
