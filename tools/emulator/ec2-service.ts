import { randomBytes } from 'node:crypto';
import type { SnapshotStore, Tag } from './ebs-snapshots.js';
import {
  Ec2Error,
  listAt,
  type QueryTree,
  readQuery,
  textAt,
  type XmlValue,
  xmlAnswer,
} from './ec2-query.js';
import type { EmulatedService } from './emulator.js';
import type { LocalRequest, LocalResponse } from './local-server.js';

/** A registered image, as RegisterImage described it. */
export interface EmulatedImage {
  readonly imageId: string;
  readonly name: string;
  readonly description: string;
  readonly snapshotId: string;
  readonly tags: Tag[];
  /** Everything else of the request, by parameter: `Architecture`, `BootMode`, … */
  readonly parameters: QueryTree;
}

/** EC2 as far as making images needs it, and what it holds. */
export interface Ec2Service extends EmulatedService {
  readonly images: ReadonlyMap<string, EmulatedImage>;
}

const IMAGE_NAME = /^[A-Za-z0-9()[\] ./\-'@_]{3,128}$/;
const MAX_UEFI_DATA = 64 * 1024;

/** The EC2 query protocol (2016-11-15): the calls on images and snapshots, over a store. */
export function createEc2Service(store: SnapshotStore): Ec2Service {
  const images = new Map<string, EmulatedImage>();
  const actions: Readonly<Record<string, (query: QueryTree) => LocalResponse>> = {
    DescribeSnapshots: (query) => describeSnapshots(store, query),
    DeleteSnapshot: (query) => deleteSnapshot(store, images, query),
    RegisterImage: (query) => registerImage(store, images, query),
    DescribeImages: (query) => describeImages(images, query),
    DeregisterImage: (query) => {
      images.delete(findImage(images, textAt(query, 'ImageId')).imageId);
      return xmlAnswer('DeregisterImage', { return: true });
    },
    CreateTags: (query) => createTags(store, images, query),
  };
  return {
    name: 'ec2',
    images,
    matches: ({ path, headers }) =>
      path === '/' && /^application\/x-www-form-urlencoded/.test(headers['content-type'] ?? ''),
    handle: (request) => answer(actions, request),
    throttled: new Ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503).toResponse(),
  };
}

function answer(
  actions: Readonly<Record<string, (query: QueryTree) => LocalResponse>>,
  request: LocalRequest,
): LocalResponse {
  try {
    if (!/^AWS4-HMAC-SHA256 .*\/ec2\/aws4_request/.test(request.headers.authorization ?? ''))
      throw new Ec2Error('AuthFailure', 'no signature of version 4', 401);
    const query = readQuery(request);
    const name = textAt(query, 'Action') ?? '';
    if (!Object.hasOwn(actions, name)) throw new Ec2Error('InvalidAction', name);
    return (actions[name] as (query: QueryTree) => LocalResponse)(query);
  } catch (error) {
    if (error instanceof Ec2Error) return error.toResponse();
    throw error;
  }
}

function describeSnapshots(store: SnapshotStore, query: QueryTree): LocalResponse {
  const ids = listAt(query, 'SnapshotId') as string[];
  const chosen = ids.length > 0 ? ids : [...store.snapshots.keys()];
  const snapshotSet = chosen.map((id) => {
    const snapshot = store.snapshots.get(id);
    if (snapshot === undefined)
      throw new Ec2Error('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`);
    const status = store.describe(snapshot);
    return {
      snapshotId: id,
      status,
      volumeSize: snapshot.volumeSizeGib,
      progress: status === 'completed' ? '100%' : '0%',
      startTime: snapshot.startTime.toISOString(),
      description: snapshot.description,
      tagSet: toTagSet(snapshot.tags),
      ...(status === 'error' && { statusMessage: 'the emulator was told so' }),
    };
  });
  return xmlAnswer('DescribeSnapshots', { snapshotSet });
}

function deleteSnapshot(
  store: SnapshotStore,
  images: ReadonlyMap<string, EmulatedImage>,
  query: QueryTree,
): LocalResponse {
  const id = textAt(query, 'SnapshotId') ?? '';
  const snapshot = store.snapshots.get(id);
  if (snapshot === undefined)
    throw new Ec2Error('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`);
  const user = [...images.values()].find(({ snapshotId }) => snapshotId === id);
  if (user !== undefined)
    throw new Ec2Error('InvalidSnapshot.InUse', `The snapshot is in use by ${user.imageId}`);
  store.delete(snapshot);
  return xmlAnswer('DeleteSnapshot', { return: true });
}

function registerImage(
  store: SnapshotStore,
  images: Map<string, EmulatedImage>,
  query: QueryTree,
): LocalResponse {
  const name = textAt(query, 'Name') ?? '';
  if (!IMAGE_NAME.test(name)) throw new Ec2Error('InvalidAMIName.Malformed', name);
  const same = [...images.values()].find((image) => image.name === name);
  if (same !== undefined)
    throw new Ec2Error(
      'InvalidAMIName.Duplicate',
      `AMI name ${name} is already in use by AMI ${same.imageId}`,
    );
  const [mapping, ...more] = listAt(query, 'BlockDeviceMapping');
  if (typeof mapping !== 'object' || more.length > 0)
    throw new Ec2Error('InvalidBlockDeviceMapping', 'one device is expected');
  if (textAt(mapping, 'DeviceName') !== textAt(query, 'RootDeviceName'))
    throw new Ec2Error('InvalidBlockDeviceMapping', 'the root device is not mapped');
  const snapshotId = textAt(mapping, 'Ebs.SnapshotId') ?? '';
  const snapshot = store.snapshots.get(snapshotId);
  if (snapshot?.status !== 'completed')
    throw new Ec2Error('InvalidSnapshot.NotFound', `${snapshotId} is no completed snapshot`);
  checkBoot(query);
  const image = {
    imageId: `ami-0${randomBytes(8).toString('hex')}`,
    name,
    description: textAt(query, 'Description') ?? '',
    snapshotId,
    tags: readTags(query, 'image'),
    parameters: query,
  };
  images.set(image.imageId, image);
  return xmlAnswer('RegisterImage', { imageId: image.imageId });
}

function checkBoot(query: QueryTree): void {
  const value = (name: string): string | undefined => textAt(query, name);
  if (!['x86_64', 'arm64'].includes(value('Architecture') ?? ''))
    throw new Ec2Error('InvalidParameterValue', `Architecture ${value('Architecture')}`);
  if (value('TpmSupport') !== undefined && value('BootMode') !== 'uefi')
    throw new Ec2Error('InvalidParameterCombination', 'TpmSupport needs BootMode uefi');
  const uefiData = value('UefiData');
  if (uefiData === undefined) return;
  if (uefiData.length > MAX_UEFI_DATA || !/^[A-Za-z0-9+/]+={0,2}$/.test(uefiData))
    throw new Ec2Error('InvalidParameterValue', 'UefiData is not base64 of at most 64 KiB');
}

function readTags(query: QueryTree, resourceType: string): Tag[] {
  return listAt(query, 'TagSpecification').flatMap((one) => {
    if (typeof one === 'string') return [];
    if (textAt(one, 'ResourceType') !== resourceType)
      throw new Ec2Error('InvalidParameterValue', `ResourceType ${textAt(one, 'ResourceType')}`);
    return toTags(one);
  });
}

function toTags(tree: QueryTree): Tag[] {
  return listAt(tree, 'Tag').map((tag) => {
    const [Key = '', Value = ''] =
      typeof tag === 'string' ? [] : [textAt(tag, 'Key'), textAt(tag, 'Value')];
    if (Key === '' || Key.startsWith('aws:')) throw new Ec2Error('InvalidParameterValue', Key);
    return { Key, Value };
  });
}

function describeImages(
  images: ReadonlyMap<string, EmulatedImage>,
  query: QueryTree,
): LocalResponse {
  const ids = listAt(query, 'ImageId') as string[];
  for (const id of ids) findImage(images, id);
  const filters = listAt(query, 'Filter').map((filter) => ({
    name: textAt(filter as QueryTree, 'Name') ?? '',
    values: listAt(filter as QueryTree, 'Value') as string[],
  }));
  const imagesSet = [...images.values()]
    .filter(({ imageId }) => ids.length === 0 || ids.includes(imageId))
    .filter((image) =>
      filters.every(({ name, values }) => {
        if (name !== 'name') throw new Ec2Error('InvalidParameterValue', `filter ${name}`);
        return values.includes(image.name);
      }),
    )
    .map(toImageItem);
  return xmlAnswer('DescribeImages', { imagesSet });
}

function toImageItem(image: EmulatedImage): XmlValue {
  const value = (name: string): string => textAt(image.parameters, name) ?? '';
  return {
    imageId: image.imageId,
    imageState: 'available',
    imageOwnerId: '123456789012',
    name: image.name,
    description: image.description,
    architecture: value('Architecture'),
    bootMode: value('BootMode'),
    tpmSupport: value('TpmSupport'),
    imdsSupport: value('ImdsSupport'),
    enaSupport: value('EnaSupport'),
    rootDeviceName: value('RootDeviceName'),
    rootDeviceType: 'ebs',
    virtualizationType: value('VirtualizationType'),
    blockDeviceMapping: [
      { deviceName: value('RootDeviceName'), ebs: { snapshotId: image.snapshotId } },
    ],
    tagSet: toTagSet(image.tags),
  };
}

function createTags(
  store: SnapshotStore,
  images: ReadonlyMap<string, EmulatedImage>,
  query: QueryTree,
): LocalResponse {
  const tags = toTags(query);
  for (const id of listAt(query, 'ResourceId') as string[]) {
    const there = store.snapshots.get(id)?.tags ?? findImage(images, id).tags;
    for (const tag of tags) {
      const at = there.findIndex(({ Key }) => Key === tag.Key);
      if (at < 0) there.push(tag);
      else there[at] = tag;
    }
  }
  return xmlAnswer('CreateTags', { return: true });
}

function findImage(
  images: ReadonlyMap<string, EmulatedImage>,
  id: string | undefined,
): EmulatedImage {
  const image = images.get(id ?? '');
  if (image === undefined)
    throw new Ec2Error('InvalidAMIID.NotFound', `The image id '[${id}]' does not exist`);
  return image;
}

const toTagSet = (tags: readonly Tag[]): { readonly [name: string]: string }[] =>
  tags.map(({ Key, Value }) => ({ key: Key, value: Value }));
