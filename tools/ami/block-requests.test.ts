import { createHash } from 'node:crypto';
import { PutSnapshotBlockCommand } from '@aws-sdk/client-ebs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AwsClients, openAwsClients } from './aws-clients.js';
import { awsErrorName, awsErrorReason } from './aws-errors.js';

interface Sent {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

const OK = { status: 201, headers: { 'x-amz-checksum': 'of the service' }, body: '{}' };
const open: AwsClients[] = [];

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY');
  vi.stubEnv('AWS_SESSION_TOKEN', 'a token');
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 2, 3, 4, 5) });
});
afterEach(() => {
  for (const clients of open.splice(0)) clients.close();
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** A client whose requests end in a list, each with the next of the answers or the last. */
async function connect(answers: readonly (typeof OK)[] = [OK]) {
  const clients = await openAwsClients({ region: 'eu-west-1', endpoint: 'http://localhost:1/a/b' });
  open.push(clients);
  const sent: Sent[] = [];
  vi.spyOn(clients.ebs.config.requestHandler, 'handle').mockImplementation(async (request) => {
    const { status, headers, body } = answers[Math.min(sent.length, answers.length - 1)] ?? OK;
    sent.push({ path: request.path, headers: { ...request.headers }, body: request.body });
    const response = { statusCode: status, headers: { ...headers }, body: Buffer.from(body) };
    return { response } as never;
  });
  const put = (index: number, more: object = {}) => {
    const bytes = new Uint8Array(64).fill(index);
    return clients.ebs.send(
      new PutSnapshotBlockCommand({
        ...{ SnapshotId: 'snap-00000001', BlockIndex: index, BlockData: bytes, DataLength: 64 },
        Checksum: createHash('sha256').update(bytes).digest('base64'),
        ChecksumAlgorithm: 'SHA256',
        ...more,
      }),
    );
  };
  return { clients, sent, put };
}

describe('requests for blocks', () => {
  it('are the same as those that the SDK writes, signature and all', async () => {
    const repeating = await connect();
    for (const index of [0, 7, 123_456]) await repeating.put(index);
    expect(repeating.sent).toHaveLength(3);
    for (const [at, index] of [0, 7, 123_456].entries()) {
      const fresh = await connect();
      await fresh.put(index);
      expect(repeating.sent[at]).toEqual(fresh.sent[0]);
      expect(fresh.sent[0]?.path).toBe(`/a/b/snapshots/snap-00000001/blocks/${index}`);
      expect(fresh.sent[0]?.headers.authorization).toMatch(/Signature=[0-9a-f]{64}$/);
    }
  });

  it('are signed with the time and the credentials of now', async () => {
    const { put, sent } = await connect();
    await put(1);
    vi.setSystemTime(Date.UTC(2026, 0, 3));
    await put(2);
    const fresh = await connect();
    await fresh.put(2);
    expect(sent[1]).toEqual(fresh.sent[0]);
    expect(sent[1]?.headers['x-amz-date']).toBe('20260103T000000Z');
  });

  it('give the checksum of the service, not our own', async () => {
    const { put } = await connect();
    expect(await put(1)).toMatchObject({ Checksum: 'of the service' });
    expect(await put(2)).toMatchObject({ Checksum: 'of the service' });
  });

  it.each([
    [400, 'RequestThrottledException', 'ACCOUNT_THROTTLED'],
    [404, 'ResourceNotFoundException', 'SNAPSHOT_NOT_FOUND'],
    [400, 'ValidationException', 'INVALID_SNAPSHOT_ID'],
  ])('leave refusals to the SDK: %i %s', async (status, type, Reason) => {
    const refusal = {
      status,
      headers: { 'x-amzn-errortype': type } as never,
      body: JSON.stringify({ Message: 'no', Reason }),
    };
    const { put, sent } = await connect([OK, refusal, OK]);
    await put(1);
    const error = await put(2).catch((reason: unknown) => reason);
    expect([awsErrorName(error), awsErrorReason(error)]).toEqual([type, Reason]);
    expect(error).toMatchObject({ message: 'no', $metadata: { httpStatusCode: status } });
    // Asked once: the refusal was not asked for again.
    expect(sent).toHaveLength(2);
    await put(2);
    expect(sent[2]?.path).toMatch(/\/2$/);
  });

  it('follow the clock that the SDK learns from a refusal', async () => {
    const refusal = {
      status: 403,
      headers: {
        'x-amzn-errortype': 'RequestTimeTooSkewed',
        date: new Date(Date.UTC(2026, 0, 2, 4, 4, 5)).toUTCString(),
      } as never,
      body: '{}',
    };
    const { put, sent } = await connect([OK, refusal, OK]);
    await put(1);
    await put(2).catch(() => undefined);
    await put(2);
    expect(sent.map(({ headers }) => headers['x-amz-date'])).toEqual([
      '20260102T030405Z',
      '20260102T030405Z',
      '20260102T040405Z',
    ]);
  });

  it.each<[string, object]>([
    ['another snapshot', { SnapshotId: 'snap-00000002' }],
    ['a progress', { Progress: 7 }],
    ['another length', { BlockData: new Uint8Array(32), DataLength: 32 }],
  ])('with %s are the SDK’s own', async (_, more) => {
    const { put, sent } = await connect();
    await put(1);
    await put(2, more);
    await put(3);
    const fresh = await connect();
    await fresh.put(2, more);
    await fresh.put(3);
    expect(sent.slice(1)).toEqual(fresh.sent);
  });
});
