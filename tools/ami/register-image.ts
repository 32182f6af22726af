import {
  DescribeImagesCommand,
  type Image,
  RegisterImageCommand,
  type RegisterImageRequest,
} from '@aws-sdk/client-ec2';
import { ToolError } from '../common/tool-error.js';
import type { AwsClients } from './aws-clients.js';
import { awsErrorName } from './aws-errors.js';
import { pollUntil, type WaitOptions } from './snapshot.js';
import { withRetries } from './with-retries.js';

/** The processors that have NitroTPM. */
export type AmiArchitecture = 'x86_64' | 'arm64';

/** What an AMI is made of. */
export interface ImageDescription {
  readonly name: string;
  readonly description: string;
  readonly architecture: AmiArchitecture;
  readonly snapshotId: string;
  /** Base64: the UEFI variables an instance starts with. */
  readonly uefiData?: string | undefined;
  readonly tags: { Key: string; Value: string }[];
}

/** Tries before any upload: a wrong endpoint shows soon. */
const FIRST_ATTEMPTS = 4;

/**
 * The account's own AMI of this name, if there is one. Throws `ami.*`.
 */
export async function findImageByName(
  { ec2 }: AwsClients,
  name: string,
  { signal, onRetry }: WaitOptions,
): Promise<{ readonly imageId: string; readonly snapshotIds: readonly string[] } | undefined> {
  const { Images = [] } = await withRetries(
    () =>
      ec2.send(
        new DescribeImagesCommand({
          Owners: ['self'],
          Filters: [{ Name: 'name', Values: [name] }],
        }),
        { abortSignal: signal },
      ),
    { doing: 'looking for an AMI of this name', signal, onRetry, attempts: FIRST_ATTEMPTS },
  );
  // A filter takes * and ? as wildcards.
  const found = Images.find((image) => image.Name === name);
  return found?.ImageId === undefined
    ? undefined
    : { imageId: found.ImageId, snapshotIds: snapshotsOf(found) };
}

/** The snapshots an AMI is made of. */
export function snapshotsOf({ BlockDeviceMappings = [] }: Image): string[] {
  return BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []);
}

/**
 * Registers the AMI: UEFI boot, NitroTPM, ENA, instance metadata by session tokens only. Throws
 * `ami.name-taken`, `ami.*`.
 */
export async function registerImage(
  clients: AwsClients,
  image: ImageDescription,
  options: WaitOptions,
): Promise<string> {
  const { signal, onRetry } = options;
  const request = toRequest(image);
  const imageId = await withRetries(
    async (attempt) => {
      try {
        const answer = await clients.ec2.send(new RegisterImageCommand(request), {
          abortSignal: signal,
        });
        return answer.ImageId;
      } catch (error) {
        if (awsErrorName(error) !== 'InvalidAMIName.Duplicate') throw error;
        const found = await findImageByName(clients, image.name, options);
        // The attempt before came through, only its answer did not.
        if (attempt > 1 && found?.snapshotIds.includes(image.snapshotId)) return found.imageId;
        throw nameTaken(image.name, found?.imageId, error);
      }
    },
    { doing: 'registering the AMI', signal, onRetry },
  );
  if (imageId === undefined || !/^ami-[0-9a-f]{8,40}$/.test(imageId))
    throw new ToolError('ami.answer-incomplete', {
      expected: 'the id of the AMI',
      actual: JSON.stringify(imageId?.slice(0, 60)) ?? 'none',
    });
  return imageId;
}

/** The error for a name that another AMI has. */
export function nameTaken(name: string, imageId: string | undefined, cause?: unknown): ToolError {
  return new ToolError('ami.name-taken', {
    actual: `${JSON.stringify(name)} is ${imageId ?? 'an AMI of this account'}`,
    ...(cause !== undefined && { cause }),
  });
}

/** Waits until instances can be launched. Throws `ami.image-failed`, `ami.wait-timeout`, `ami.*`. */
export async function waitForImage(
  { ec2 }: AwsClients,
  imageId: string,
  options: WaitOptions,
): Promise<void> {
  await pollUntil(`AMI ${imageId}`, options, async () => {
    const { Images = [] } = await ec2.send(new DescribeImagesCommand({ ImageIds: [imageId] }), {
      abortSignal: options.signal,
    });
    const { State, StateReason } = Images[0] ?? {};
    if (State === 'failed' || State === 'error' || State === 'invalid')
      throw new ToolError('ami.image-failed', {
        actual: `${imageId} ${State}: ${StateReason?.Message ?? 'no reason given'}`,
      });
    return State === 'available' ? true : (State ?? 'unknown');
  });
}

const ROOT_DEVICE = '/dev/xvda';

function toRequest(image: ImageDescription): RegisterImageRequest {
  return {
    Name: image.name,
    Description: image.description,
    Architecture: image.architecture,
    VirtualizationType: 'hvm',
    BootMode: 'uefi',
    TpmSupport: 'v2.0',
    EnaSupport: true,
    ImdsSupport: 'v2.0',
    RootDeviceName: ROOT_DEVICE,
    BlockDeviceMappings: [
      {
        DeviceName: ROOT_DEVICE,
        Ebs: { SnapshotId: image.snapshotId, VolumeType: 'gp3', DeleteOnTermination: true },
      },
    ],
    ...(image.uefiData !== undefined && { UefiData: image.uefiData }),
    TagSpecifications: [{ ResourceType: 'image', Tags: image.tags }],
  };
}
