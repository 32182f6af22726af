import { createEbsService } from './ebs-service.js';
import type { SnapshotStore } from './ebs-snapshots.js';
import { createEc2Service } from './ec2-service.js';
import type { EmulatedService } from './emulator.js';
import { createKmsService } from './kms-endpoint.js';

/** What the services of one emulator share. */
export interface ServiceContext {
  readonly store: SnapshotStore;
  /** DER of the roots whose attestation documents the key service believes; none: AWS's own. */
  readonly roots: readonly Uint8Array[];
}

/** The services that `npm run emulator` serves: a new one is one more row. */
export const SERVICES: readonly {
  readonly name: string;
  readonly summary: string;
  readonly create: (context: ServiceContext) => EmulatedService | Promise<EmulatedService>;
}[] = [
  {
    name: 'ebs',
    summary: 'EBS direct: start, write, complete, list and read snapshots',
    create: ({ store }) => createEbsService(store),
  },
  {
    name: 'ec2',
    summary: 'EC2: describe and delete snapshots, register, describe and deregister images, tag',
    create: ({ store }) => createEc2Service(store),
  },
  {
    name: 'kms',
    summary: 'KMS: create keys, their policies, encrypt; decrypt and generate with Recipient',
    create: ({ roots }) => createKmsService({ trustAnchors: roots }),
  },
];
