import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type CreateAmiOptions, createAmi } from './create-ami.js';
import { type LocalAws, sentAgain, startLocalAws, TEST_REGION } from './test-support/local-aws.js';
import { makeImage } from './test-support/make-image.js';
import { readSnapshot } from './test-support/read-snapshot.js';

let aws: LocalAws;
afterEach(() => aws.close());

function upload(options: Partial<CreateAmiOptions> & { image: string }) {
  return createAmi({
    name: 'test image',
    stateFile: join(aws.folder, 'state'),
    region: TEST_REGION,
    endpoint: aws.url,
    pollMs: 5,
    ...options,
  });
}

describe('createAmi', () => {
  it('uploads an image that reads back bit-identical, and registers it as it must be', async () => {
    aws = await startLocalAws();
    // Not a multiple of the block size, and most of it holes.
    const bytes = 40 * 2 ** 20 + 777;
    const image = makeImage(join(aws.folder, 'image.raw'), { bytes, dataBlocks: [0, 1, 17, 80] });
    const made = await upload({ image });
    expect(made).toMatchObject({ blocks: 4, sentBlocks: 4, region: TEST_REGION, retries: 0 });
    const volume = await readSnapshot(
      { endpoint: aws.url, region: TEST_REGION },
      made.snapshotId,
      bytes,
    );
    expect(Buffer.compare(volume, readFileSync(image))).toBe(0);
    console.log(JSON.stringify([...aws.ec2.images.values()], null, 1));
    expect(sentAgain(aws.server.requests)).toEqual([]);
  });
});
