import type {
  EBSClient,
  PutSnapshotBlockCommandInput,
  PutSnapshotBlockCommandOutput,
} from '@aws-sdk/client-ebs';

type Handler = EBSClient['config']['requestHandler'];
type HttpRequest = Parameters<Handler['handle']>[0];
type HttpResponse = Awaited<ReturnType<Handler['handle']>>['response'];

/** What the SDK's steps hand on. */
interface StepArguments {
  readonly input: PutSnapshotBlockCommandInput;
  readonly request?: HttpRequest;
  /** Of ours: the answer that the last step would have to ask for. */
  readonly answer?: HttpResponse;
}

interface FirstRequest {
  readonly input: PutSnapshotBlockCommandInput;
  readonly request: HttpRequest;
}

const COMMAND = 'PutSnapshotBlockCommand';
const CREATED = 201;

/**
 * Requests for the blocks of a snapshot differ in index, checksum and bytes alone. The SDK writes the
 * first one; the others are made after it, since the SDK's way takes about as long as hashing
 * a block. Credentials, signature and clock stay the SDK's, and it reads every refusal.
 */
export function repeatBlockRequests({ config, middlewareStack }: EBSClient): void {
  let first: FirstRequest | undefined;
  let signer: ReturnType<typeof config.signer> | undefined;

  async function ask(
    { request: pattern }: FirstRequest,
    input: PutSnapshotBlockCommandInput,
  ): Promise<HttpResponse> {
    const request: HttpRequest = {
      ...pattern,
      path: pattern.path.replace(/\d+$/, String(input.BlockIndex)),
      headers: withChecksum(pattern.headers, input.Checksum),
      body: input.BlockData,
    };
    signer ??= config.signer();
    const signingDate = new Date(Date.now() + config.systemClockOffset);
    const signed = await (await signer).sign(request, { signingDate });
    const { response } = await config.requestHandler.handle(signed as HttpRequest);
    return response;
  }

  middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const { input } = args as unknown as StepArguments;
        if (commandName !== COMMAND || first === undefined || !isAlike(input, first.input))
          return next(args);
        const answer = await ask(first, input);
        if (answer.statusCode !== CREATED) return next({ ...args, answer } as typeof args);
        const output: PutSnapshotBlockCommandOutput = {
          Checksum: answer.headers['x-amz-checksum'],
          $metadata: { httpStatusCode: answer.statusCode },
        };
        return { response: answer, output: output as never };
      },
    { step: 'initialize', name: 'repeatBlockRequests' },
  );
  middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const { input, request } = args as unknown as Required<StepArguments>;
        if (commandName !== COMMAND) return next(args);
        const headers = withChecksum(request.headers, input.Checksum);
        first = { input, request: { ...request, headers } as HttpRequest };
        Object.assign(request.headers, headers);
        return next(args);
      },
    { step: 'finalizeRequest', priority: 'high', name: 'keepBlockRequest' },
  );
  middlewareStack.add(
    (next) => async (args) => {
      const { answer } = args as unknown as StepArguments;
      return answer === undefined ? next(args) : { response: answer, output: undefined as never };
    },
    { step: 'deserialize', priority: 'low', name: 'takeAnswer' },
  );
}

/** Whether nothing but index, checksum and bytes differs. */
function isAlike(one: PutSnapshotBlockCommandInput, other: PutSnapshotBlockCommandInput): boolean {
  return (
    one.SnapshotId === other.SnapshotId &&
    one.DataLength === other.DataLength &&
    one.ChecksumAlgorithm === other.ChecksumAlgorithm &&
    one.Progress === undefined &&
    other.Progress === undefined
  );
}

/**
 * The signature covers the SHA-256 of a block, which is its checksum: the SDK would compute it once
 * more, on the thread that also has to keep the connections busy.
 */
function withChecksum(
  headers: Readonly<Record<string, string>>,
  checksum = '',
): Record<string, string> {
  return {
    ...headers,
    'x-amz-checksum': checksum,
    'x-amz-content-sha256': Buffer.from(checksum, 'base64').toString('hex'),
  };
}
