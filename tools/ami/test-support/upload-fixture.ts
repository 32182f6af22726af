import { closeSync, openSync, readFileSync, statSync, utimesSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ChooseFault, LocalResponse } from '../../emulator/local-server.js';
import { type CreateAmiOptions, type CreatedAmi, createAmi } from '../create-ami.js';
import { type LocalAws, TEST_REGION } from './local-aws.js';
import { makeImage } from './make-image.js';
import { readSnapshot } from './read-snapshot.js';

export const MIB: number = 2 ** 20;

/** Uploads `image.raw` of the folder. */
export function upload(
  aws: LocalAws,
  options: Partial<CreateAmiOptions> = {},
): Promise<CreatedAmi> {
  return createAmi({
    image: join(aws.folder, 'image.raw'),
    name: 'test image',
    stateFile: join(aws.folder, 'state'),
    region: TEST_REGION,
    endpoint: aws.url,
    pollMs: 5,
    ...options,
  });
}

/** Makes `image.raw` of the folder: random data in these blocks, holes elsewhere. */
export function image(
  aws: LocalAws,
  bytes: number = 8 * MIB,
  dataBlocks: Iterable<number> = [0, 3, 5, 9],
): string {
  return makeImage(join(aws.folder, 'image.raw'), { bytes, dataBlocks });
}

/** How the snapshot, read back by the AWS SDK, compares with the file: 0 when it is the same. */
export async function compareSnapshot(
  aws: LocalAws,
  path: string,
  snapshotId: string,
): Promise<number> {
  const bytes = readFileSync(path);
  const at = { endpoint: aws.url, region: TEST_REGION };
  return Buffer.compare(await readSnapshot(at, snapshotId, bytes.length), bytes);
}

/** Faults for requests whose method, path and first bytes match; counted from 0. */
export function when(
  pattern: RegExp,
  fault: (count: number) => ReturnType<ChooseFault>,
): ChooseFault {
  let count = 0;
  return (request) => {
    const body = new TextDecoder().decode(request.body.subarray(0, 100));
    return pattern.test(`${request.method} ${request.path} ${body}`) ? fault(count++) : undefined;
  };
}

/** An error as EBS direct answers it. */
export function ebsError(status: number, type: string): LocalResponse {
  return {
    status,
    headers: { 'x-amzn-errortype': type },
    body: JSON.stringify({ Message: 'told to' }),
  };
}

/** An error as EC2 answers it. */
export function ec2Error(status: number, code: string): LocalResponse {
  return {
    status,
    body: `<Response><Errors><Error><Code>${code}</Code><Message>told to</Message></Error></Errors></Response>`,
  };
}

/** Writes into a file and sets its time as it was. */
export function overwrite(path: string, position: number, bytes: Uint8Array): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
  utimesSync(path, atime, mtime);
}
