import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator } from './emulator.js';
import { createKmsService } from './kms-endpoint.js';
import type { LocalServer } from './local-server.js';

let server: LocalServer;
let client: KMSClient;
beforeAll(async () => {
  server = await startEmulator({ services: [createKmsService({ trustAnchors: [] })] });
  client = new KMSClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'admin', secretAccessKey: 'any' },
    maxAttempts: 1,
  });
});
afterAll(async () => {
  client?.destroy();
  await server?.close();
});

/** A request as no SDK would send it. */
async function raw(target: string, body: string, authorization?: string): Promise<unknown> {
  const answer = await fetch(server.url, {
    method: 'POST',
    headers: { 'x-amz-target': target, ...(authorization !== undefined && { authorization }) },
    body,
  });
  expect(answer.status).toBe(400);
  expect(answer.headers.get('content-type')).toBe('application/x-amz-json-1.1');
  return ((await answer.json()) as { __type?: unknown }).__type;
}
const ADMIN = 'AWS4-HMAC-SHA256 Credential=admin/20260601/us-east-1/kms/aws4_request, Signature=x';

describe('the emulated key service', () => {
  it('creates keys that encrypt and decrypt, by the policy that every new key has', async () => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    expect(KeyMetadata).toMatchObject({
      KeyState: 'Enabled',
      Arn: expect.stringMatching(/^arn:aws:kms:/),
    });
    const KeyId = KeyMetadata?.KeyId as string;
    const Plaintext = new Uint8Array([1, 2, 3]);
    const EncryptionContext = { b: '2', a: '1' };
    const { CiphertextBlob } = await client.send(
      new EncryptCommand({ KeyId, Plaintext, EncryptionContext }),
    );
    const opened = await client.send(
      new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: '1', b: '2' } }),
    );
    expect(opened).toMatchObject({ Plaintext, KeyId: KeyMetadata?.Arn });
    await expect(client.send(new DecryptCommand({ CiphertextBlob }))).rejects.toMatchObject({
      name: 'InvalidCiphertextException',
    });
    const other = await client.send(new CreateKeyCommand({}));
    await expect(
      client.send(
        new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId: other.KeyMetadata?.KeyId }),
      ),
    ).rejects.toMatchObject({ name: 'IncorrectKeyException' });
  });

  it('keeps policies, and refuses those that it could not evaluate', async () => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId as string;
    const { Policy } = await client.send(new GetKeyPolicyCommand({ KeyId }));
    const policy = JSON.parse(Policy ?? '') as { Statement: object[] };
    for (const broken of [
      'text',
      '{"Statement":[{}]}',
      JSON.stringify({
        Statement: [{ ...policy.Statement[0], Condition: { IpAddress: { a: 'b' } } }],
      }),
      JSON.stringify({
        Statement: [{ ...policy.Statement[0], Condition: { StringLike: { a: ['b', `\${c}`] } } }],
      }),
      // NotResource in a Deny would deny nothing here.
      JSON.stringify({
        Statement: [
          policy.Statement[0],
          { Effect: 'Deny', Principal: '*', Action: 'kms:*', NotResource: 'x' },
        ],
      }),
    ])
      await expect(
        client.send(new PutKeyPolicyCommand({ KeyId, Policy: broken })),
      ).rejects.toMatchObject({ name: 'MalformedPolicyDocumentException' });
    const none = JSON.stringify({ Statement: [] });
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy: none }));
    await expect(client.send(new GetKeyPolicyCommand({ KeyId }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: expect.stringContaining(
        'because no resource-based policy allows the kms:GetKeyPolicy action',
      ),
    });
  });

  it('refuses recipients that prove nothing', async () => {
    const recipient = (
      AttestationDocument: string,
      KeyEncryptionAlgorithm = 'RSAES_OAEP_SHA_256',
    ): string =>
      JSON.stringify({
        NumberOfBytes: 1,
        Recipient: { AttestationDocument, KeyEncryptionAlgorithm },
      });
    const target = 'TrentService.GenerateRandom';
    expect(await raw(target, recipient('hEShATgi'), ADMIN)).toBe('ValidationException');
    expect(await raw(target, recipient(''), ADMIN)).toBe('ValidationException');
    expect(await raw(target, recipient('hEShATgi', 'RSAES_OAEP_SHA_1'), ADMIN)).toBe(
      'ValidationException',
    );
    expect(await raw(target, '{"NumberOfBytes":1,"Recipient":{}}', ADMIN)).toBe(
      'ValidationException',
    );
  });

  it('answers nonsense with the errors of the service', async () => {
    expect(await raw('TrentService.Decrypt', '{', ADMIN)).toBe('SerializationException');
    for (const body of ['[]', '{"Recipient":null}', '{"Recipient":[]}', '{"Recipient":5}'])
      expect(await raw('TrentService.GenerateRandom', body, ADMIN)).toBe('SerializationException');
    for (const context of ['null', '5', '["a"]', '{"a":1}'])
      expect(await raw('TrentService.Decrypt', `{"EncryptionContext":${context}}`, ADMIN)).toBe(
        'SerializationException',
      );
    expect(await raw('TrentService.Nothing', '{}', ADMIN)).toBe('UnknownOperationException');
    expect(await raw('TrentService.constructor', '{}', ADMIN)).toBe('UnknownOperationException');
    expect(await raw('TrentService.Decrypt', '{}')).toBe('MissingAuthenticationTokenException');
    expect(await raw('TrentService.Decrypt', '{}', ADMIN.replace('admin', 'toString'))).toBe(
      'UnrecognizedClientException',
    );
    expect(await raw('TrentService.Decrypt', '{"CiphertextBlob":5}', ADMIN)).toBe(
      'ValidationException',
    );
    expect(await raw('TrentService.Encrypt', '{"KeyId":"x"}', ADMIN)).toBe('NotFoundException');
    expect(await raw('TrentService.GenerateRandom', '{"NumberOfBytes":1025}', ADMIN)).toBe(
      'ValidationException',
    );
  });
});
