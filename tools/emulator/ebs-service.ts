import { createHash } from 'node:crypto';
import {
  BLOCK_BYTES,
  BLOCKS_PER_GIB,
  type EmulatedSnapshot,
  linearChecksum,
  type SnapshotStore,
  type Tag,
} from './ebs-snapshots.js';
import type { EmulatedService } from './emulator.js';
import type { LocalRequest, LocalResponse } from './local-server.js';

const MAX_VOLUME_GIB = 65_536;

/** The EBS direct APIs (2019-11-02, restJson1) over a store of snapshots. */
export function createEbsService(store: SnapshotStore): EmulatedService {
  return {
    name: 'ebs',
    matches: ({ path }) => path === '/snapshots' || path.startsWith('/snapshots/'),
    handle: (request) => {
      try {
        return route(store, request);
      } catch (error) {
        if (error instanceof EbsError) return error.toResponse();
        throw error;
      }
    },
    throttled: new EbsError(400, 'RequestThrottledException', 'Rate exceeded', {
      Reason: 'ACCOUNT_THROTTLED',
    }).toResponse(),
  };
}

/** An error as the service writes it. */
class EbsError extends Error {
  readonly #status: number;
  readonly #type: string;
  readonly #more: object;

  constructor(status: number, type: string, message: string, more: object = {}) {
    super(message);
    this.#status = status;
    this.#type = type;
    this.#more = more;
  }

  toResponse(): LocalResponse {
    return json(
      this.#status,
      { Message: this.message, ...this.#more },
      { 'x-amzn-errortype': this.#type },
    );
  }
}

const invalid = (message: string, reason = 'INVALID_PARAMETER_VALUE'): EbsError =>
  new EbsError(400, 'ValidationException', message, { Reason: reason });

function route(store: SnapshotStore, request: LocalRequest): LocalResponse {
  const { method, path } = request;
  // Once for all that compare it: hashing is most of what a block costs here.
  const digest = createHash('sha256').update(request.body).digest();
  checkSigned(request, digest);
  if (method === 'POST' && path === '/snapshots') return startSnapshot(store, request);
  const [, , first, second, third] = path.split('/').map(decodeURIComponent);
  if (method === 'POST' && first === 'completion')
    return completeSnapshot(store, find(store, second), request);
  const snapshot = find(store, first);
  if (second === 'blocks' && method === 'PUT')
    return putBlock(store, snapshot, Number(third), request, digest);
  if (second === 'blocks' && method === 'GET')
    return third === undefined
      ? listBlocks(snapshot, request)
      : getBlock(store, snapshot, Number(third), request);
  throw new EbsError(404, 'UnknownOperationException', `${method} ${path}`);
}

/** Not whose key signed: that it was signed for this service, and the payload is what was signed. */
function checkSigned({ headers }: LocalRequest, digest: Buffer): void {
  const form =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([a-z0-9-]+)\/ebs\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$/;
  const signed = form.exec(headers.authorization ?? '')?.[2]?.split(';');
  if (signed === undefined)
    throw new EbsError(403, 'MissingAuthenticationTokenException', 'no signature of version 4');
  const unsigned = Object.keys(headers).filter(
    (name) => name.startsWith('x-amz-') && !signed.includes(name),
  );
  if (unsigned.length > 0)
    throw new EbsError(403, 'InvalidSignatureException', `not signed: ${unsigned.join(', ')}`);
  const payload = headers['x-amz-content-sha256'];
  if (payload !== undefined && payload !== 'UNSIGNED-PAYLOAD' && payload !== digest.toString('hex'))
    throw new EbsError(403, 'InvalidSignatureException', 'the payload is not what was signed');
}

function startSnapshot(store: SnapshotStore, { body }: LocalRequest): LocalResponse {
  const text = new TextDecoder().decode(body);
  const input = JSON.parse(text) as Record<string, unknown>;
  const { VolumeSize, ClientToken, Timeout, Description = '', Tags = [] } = input;
  if (
    !Number.isInteger(VolumeSize) ||
    Number(VolumeSize) < 1 ||
    Number(VolumeSize) > MAX_VOLUME_GIB
  )
    throw invalid(`VolumeSize ${VolumeSize}`, 'INVALID_VOLUME_SIZE');
  if (Timeout !== undefined && !(Number(Timeout) >= 10 && Number(Timeout) <= 4320))
    throw invalid(`Timeout ${Timeout}`);
  if (typeof ClientToken !== 'string' || ClientToken.length > 255 || ClientToken === '')
    throw invalid('ClientToken');
  const tags = checkTags(Tags as Tag[]);
  const before = [...store.snapshots.values()].find((one) => one.clientToken === ClientToken);
  if (before !== undefined && before.parameters !== text)
    throw new EbsError(409, 'ConflictException', 'the token was used with other parameters');
  const pending = [...store.snapshots.values()].filter((one) => one.sealedWith === undefined);
  if (before === undefined && pending.length >= store.maxPending)
    throw new EbsError(400, 'ConcurrentLimitExceededException', 'too many pending snapshots');
  const snapshot =
    before ??
    store.start({
      volumeSizeGib: VolumeSize as number,
      description: String(Description),
      parameters: text,
      clientToken: ClientToken,
      tags,
    });
  return json(201, {
    SnapshotId: snapshot.snapshotId,
    OwnerId: '123456789012',
    Status: 'pending',
    StartTime: snapshot.startTime.getTime() / 1000,
    VolumeSize: snapshot.volumeSizeGib,
    BlockSize: BLOCK_BYTES,
    Tags: snapshot.tags,
  });
}

function checkTags(tags: readonly Tag[]): Tag[] {
  const keys = tags.map(({ Key }) => Key);
  const wrong = tags.find(
    ({ Key, Value }) =>
      Key.length < 1 || Key.length > 128 || Value.length > 256 || Key.startsWith('aws:'),
  );
  if (wrong !== undefined || new Set(keys).size !== keys.length || keys.length > 50)
    throw invalid(`tags ${wrong?.Key ?? ''}`, 'INVALID_TAG');
  return [...tags];
}

function putBlock(
  store: SnapshotStore,
  snapshot: EmulatedSnapshot,
  index: number,
  { headers, body }: LocalRequest,
  digest: Buffer,
): LocalResponse {
  if (snapshot.status !== 'pending' || snapshot.sealedWith !== undefined)
    throw invalid('the snapshot is not pending', 'INVALID_SNAPSHOT_ID');
  if (!Number.isInteger(index) || index < 0 || index >= snapshot.volumeSizeGib * BLOCKS_PER_GIB)
    throw invalid(`block index ${index} outside the volume`, 'INVALID_BLOCK');
  if (body.length !== BLOCK_BYTES || headers['x-amz-data-length'] !== String(BLOCK_BYTES))
    throw invalid(`a block of ${body.length} bytes`, 'INVALID_BLOCK');
  if (headers['x-amz-checksum-algorithm'] !== 'SHA256') throw invalid('checksum algorithm');
  const checksum = digest.toString('base64');
  if (headers['x-amz-checksum'] !== checksum)
    throw invalid('the checksum is of other data', 'INVALID_BLOCK');
  store.write(snapshot, index, body, digest);
  return json(201, {}, { 'x-amz-checksum': checksum, 'x-amz-checksum-algorithm': 'SHA256' });
}

function completeSnapshot(
  store: SnapshotStore,
  snapshot: EmulatedSnapshot,
  { headers }: LocalRequest,
): LocalResponse {
  const count = headers['x-amz-changedblockscount'];
  const checksum = headers['x-amz-checksum'];
  const asked = `${count} ${checksum}`;
  if (snapshot.sealedWith !== undefined && snapshot.sealedWith !== asked)
    throw invalid('the snapshot is not pending', 'INVALID_SNAPSHOT_ID');
  if (count !== String(snapshot.digests.size))
    throw invalid(`ChangedBlocksCount ${count}, but ${snapshot.digests.size} blocks were written`);
  if (checksum !== undefined) {
    const { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-aggregation-method': method } =
      headers;
    if (algorithm !== 'SHA256' || method !== 'LINEAR') throw invalid(`${algorithm} ${method}`);
    if (checksum !== linearChecksum(snapshot.digests))
      throw invalid('the checksum is of other blocks');
  }
  snapshot.sealedWith = asked;
  return json(202, { Status: store.describe(snapshot) });
}

function listBlocks(snapshot: EmulatedSnapshot, { query }: LocalRequest): LocalResponse {
  checkCompleted(snapshot);
  const asked = Number(query.get('maxResults') ?? 10_000);
  if (!(asked >= 100 && asked <= 10_000)) throw invalid(`maxResults ${asked}`);
  const from = Number(query.get('pageToken') ?? query.get('startingBlockIndex') ?? 0);
  if (!Number.isInteger(from)) throw invalid('page token', 'INVALID_PAGE_TOKEN');
  const indices = [...snapshot.digests.keys()].filter((i) => i >= from).sort((a, b) => a - b);
  const page = indices.slice(0, asked);
  return json(200, {
    Blocks: page.map((index) => ({ BlockIndex: index, BlockToken: tokenOf(snapshot, index) })),
    ExpiryTime: Date.now() / 1000 + 3600,
    VolumeSize: snapshot.volumeSizeGib,
    BlockSize: BLOCK_BYTES,
    ...(indices.length > asked && { NextToken: String(indices[asked]) }),
  });
}

function getBlock(
  store: SnapshotStore,
  snapshot: EmulatedSnapshot,
  index: number,
  { query }: LocalRequest,
): LocalResponse {
  checkCompleted(snapshot);
  const block = store.read(snapshot, index);
  if (block === undefined) throw invalid(`block ${index} was never written`, 'INVALID_BLOCK');
  if (query.get('blockToken') !== tokenOf(snapshot, index))
    throw invalid('block token', 'INVALID_BLOCK_TOKEN');
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'x-amz-data-length': String(BLOCK_BYTES),
      'x-amz-checksum': createHash('sha256').update(block).digest('base64'),
      'x-amz-checksum-algorithm': 'SHA256',
    },
    body: block,
  };
}

function checkCompleted({ status, snapshotId }: EmulatedSnapshot): void {
  if (status !== 'completed') throw invalid(`${snapshotId} is ${status}`, 'INVALID_SNAPSHOT_ID');
}

const tokenOf = ({ snapshotId }: EmulatedSnapshot, index: number): string =>
  createHash('sha256').update(`${snapshotId}/${index}`).digest('base64');

function find(store: SnapshotStore, snapshotId: string | undefined): EmulatedSnapshot {
  const snapshot = store.snapshots.get(snapshotId ?? '');
  if (snapshot !== undefined) return snapshot;
  throw new EbsError(404, 'ResourceNotFoundException', `no snapshot ${snapshotId}`, {
    Reason: 'SNAPSHOT_NOT_FOUND',
  });
}

function json(
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): LocalResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}
