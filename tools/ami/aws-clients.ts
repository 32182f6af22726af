import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { toToolError } from './aws-errors.js';
import { repeatBlockRequests } from './block-requests.js';
import { HttpHandler } from './http-handler.js';

/** Which account and region; what is left out comes from the environment, as for every AWS SDK. */
export interface AwsOptions {
  readonly region?: string | undefined;
  /** Where EBS direct and EC2 are served, e.g. the emulator. */
  readonly endpoint?: string | undefined;
  /** Connections at once; default 8. */
  readonly connections?: number;
}

/** The clients of one region. */
export interface AwsClients {
  readonly ebs: EBSClient;
  readonly ec2: EC2Client;
  readonly region: string;
  readonly endpoint: string | undefined;
  close(): void;
}

/** Steps of the SDK that an upload has no use for; each costs something for each block. */
const UNUSED_STEPS = [
  'loggerMiddleware',
  'recursionDetectionMiddleware',
  'getUserAgentMiddleware',
  // One try alone: what is tried again is withRetries' business.
  'retryMiddleware',
] as const;

/**
 * Clients for EBS direct and EC2 that try once and keep their connections. Throws
 * `ami.region-missing`, `ami.credentials`.
 */
export async function openAwsClients(options: AwsOptions): Promise<AwsClients> {
  const { region, endpoint, connections = 8 } = options;
  const config = {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    // withRetries does it: with its own idea of what passes, and a word to the progress line.
    maxAttempts: 1,
    cacheMiddleware: true,
    requestHandler: new HttpHandler({ connections }),
  };
  const ebs = new EBSClient(config);
  const ec2 = new EC2Client({ ...config, requestHandler: new HttpHandler({ connections: 8 }) });
  // Before the signature's step is moved behind it.
  repeatBlockRequests(ebs);
  leaveOutUnusedSteps(ebs);
  try {
    const resolvedRegion = await ebs.config.region();
    await ebs.config.credentials();
    return {
      ebs,
      ec2,
      region: resolvedRegion,
      endpoint,
      close() {
        ebs.destroy();
        ec2.destroy();
      },
    };
  } catch (error) {
    throw toToolError(error, 'looking for region and credentials');
  }
}

function leaveOutUnusedSteps({ middlewareStack }: EBSClient): void {
  for (const name of UNUSED_STEPS) middlewareStack.remove(name);
  // The signature's step says that it stands behind this one.
  middlewareStack.add((next) => next, {
    ...{ step: 'finalizeRequest', name: 'retryMiddleware', priority: 'high' },
  });
}
