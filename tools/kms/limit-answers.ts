import { pipeline, Readable, Transform } from 'node:stream';
import type { KMSClient } from '@aws-sdk/client-kms';

/** KMS's largest answers have some 10 KiB. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Ends answers that are too long: the SDK would collect whatever comes. */
export function limitAnswers(client: KMSClient): void {
  client.middlewareStack.add(
    (next) => async (request) => {
      const result = await next(request);
      const response = result.response as { body?: unknown };
      if (response.body instanceof Readable) response.body = limited(response.body);
      return result;
    },
    // Low is last: between the network and what reads the answer.
    { name: 'limitAnswers', step: 'deserialize', priority: 'low' },
  );
}

function limited(body: Readable): Readable {
  let length = 0;
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES)
        done(new RangeError(`an answer of more than ${MAX_ANSWER_BYTES} bytes`));
      else done(null, chunk);
    },
  });
  // Errors come out of the counter.
  return pipeline(body, counter, () => undefined);
}
