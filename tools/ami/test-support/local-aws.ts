import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEbsService } from '../../emulator/ebs-service.js';
import { SnapshotStore, type SnapshotStoreOptions } from '../../emulator/ebs-snapshots.js';
import { createEc2Service, type Ec2Service } from '../../emulator/ec2-service.js';
import { startEmulator } from '../../emulator/emulator.js';
import type { FaultOptions } from '../../emulator/faults.js';
import type { ChooseFault, LocalServer, LoggedRequest } from '../../emulator/local-server.js';

/** EBS direct and EC2 on loopback, and a folder for files; `close` removes both. */
export interface LocalAws {
  readonly url: string;
  readonly server: LocalServer;
  readonly store: SnapshotStore;
  readonly ec2: Ec2Service;
  readonly folder: string;
  close(): Promise<void>;
}

/** Any credentials will do; the machine's own must not be looked for. */
export const TEST_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
} as const;

export const TEST_REGION = 'eu-west-1';

export async function startLocalAws(
  faults?: FaultOptions | ChooseFault,
  options: SnapshotStoreOptions = {},
): Promise<LocalAws> {
  Object.assign(process.env, TEST_ENVIRONMENT);
  const store = new SnapshotStore(options);
  const ec2 = createEc2Service(store);
  const server = await startEmulator({
    services: [createEbsService(store), ec2],
    ...(faults !== undefined && { faults }),
  });
  const folder = mkdtempSync(join(tmpdir(), 'tee-ami-'));
  return {
    ...{ url: server.url, server, store, ec2, folder },
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Paths of blocks that were sent again after their right acknowledgement was delivered. */
export function sentAgain(requests: readonly LoggedRequest[]): string[] {
  const acknowledged = new Set<string>();
  const again: string[] = [];
  for (const { method, path, status, changed } of requests) {
    if (method !== 'PUT') continue;
    if (acknowledged.has(path)) again.push(path);
    if (status === 201 && !changed) acknowledged.add(path);
  }
  return again;
}

/** How many requests there were to write a block. */
export function countPuts(requests: readonly LoggedRequest[]): number {
  return requests.filter(({ method }) => method === 'PUT').length;
}
