import { randomBytes } from 'node:crypto';
import { encodeBase64 } from 'tee-verify/bytes';
import { ToolError } from '../common/tool-error.js';
import { type KeyPolicy, listOf, parseKeyPolicy, toKeyPolicy } from '../kms/policy-document.js';
import type { EmulatedService } from './emulator.js';
import { judgeAttestation } from './kms-attestation.js';
import { type EmulatedPrincipal, isAllowed } from './kms-authorisation.js';
import { unknownOperator } from './kms-conditions.js';
import { type EnvelopeOptions, wrapForRecipient } from './kms-envelope.js';
import { decryptWith, type EmulatedKey, encryptWith, KmsKeys } from './kms-keys.js';
import {
  blob,
  contextOf,
  count,
  dataKeyBytes,
  errorAnswer,
  type Json,
  jsonAnswer,
  object,
  readInput,
  ServiceError,
  text,
} from './kms-wire.js';
import type { LocalRequest } from './local-server.js';

/** How to set up the emulated key service. */
export interface KmsServiceOptions {
  /** DER of the roots whose attestation documents are believed, e.g. the simulator's; none: AWS's. */
  readonly trustAnchors: readonly Uint8Array[];
  /** Default: the clock. */
  readonly now?: () => Date;
  /** How old a document may be; default 300. */
  readonly maxAgeSeconds?: number;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** Default `111122223333`. */
  readonly accountId?: string;
  /**
   * Callers by access key ID. Default: `admin`, whom IAM allows everything, and `app`, whom it
   * allows nothing. Signatures are not checked.
   */
  readonly principals?: Readonly<Record<string, EmulatedPrincipal>>;
  /** Keys to start with: ID → policy. */
  readonly keys?: Readonly<Record<string, KeyPolicy>>;
  readonly envelope?: EnvelopeOptions;
}

/** The emulated key service, and what is in it. */
export interface KmsService extends EmulatedService {
  readonly keys: KmsKeys;
}

const TARGET = /^TrentService\.(\w+)$/;
const MAX_PLAINTEXT_BYTES = 4096;

/**
 * AWS KMS on the wire (AWS JSON 1.1), for tests and for trying things out: CreateKey, GetKeyPolicy,
 * PutKeyPolicy, Encrypt, Decrypt, GenerateDataKey and GenerateRandom, with `Recipient`. Attestation
 * documents are verified by tee-verify, conditions evaluated as IAM does.
 */
export function createKmsService(options: KmsServiceOptions): KmsService {
  const { region = 'us-east-1', accountId = '111122223333', now = () => new Date() } = options;
  const principals = options.principals ?? {
    admin: { arn: `arn:aws:iam::${accountId}:role/admin`, iamActions: ['kms:*'] },
    app: { arn: `arn:aws:iam::${accountId}:role/app`, iamActions: [] },
  };
  const keys = new KmsKeys(region, accountId);
  for (const [id, policy] of Object.entries(options.keys ?? {})) keys.create(usable(policy), id);

  const operations: Readonly<Record<string, (call: Call) => Json>> = {
    CreateKey: ({ input }) => {
      const policy = text(input.Policy);
      const key = keys.create(policy === undefined ? accountPolicy(accountId) : readPolicy(policy));
      return { KeyMetadata: describeKey(key, accountId, now()) };
    },
    GetKeyPolicy: (call) => {
      const key = authorisedKey(call);
      return { Policy: JSON.stringify(key.policy), PolicyName: 'default' };
    },
    PutKeyPolicy: (call) => {
      const key = authorisedKey(call);
      key.policy = readPolicy(text(call.input.Policy) ?? '');
      return {};
    },
    Encrypt: (call) => {
      const key = authorisedKey(call);
      const plaintext = blob(call.input, 'Plaintext', MAX_PLAINTEXT_BYTES);
      return {
        CiphertextBlob: encodeBase64(encryptWith(key, plaintext, contextOf(call.input))),
        KeyId: key.arn,
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    },
    Decrypt: (call) => {
      const ciphertext = blob(call.input, 'CiphertextBlob', 6144);
      const maker = keys.ofCiphertext(ciphertext);
      if (maker === undefined) throw new ServiceError('InvalidCiphertextException', '');
      const key = authorisedKey(call, call.input.KeyId === undefined ? maker : undefined);
      if (key !== maker)
        throw new ServiceError(
          'IncorrectKeyException',
          'The key ID in the request does not identify a CMK that can perform this operation.',
        );
      const plaintext = decryptWith(key, ciphertext, contextOf(call.input));
      if (plaintext === undefined) throw new ServiceError('InvalidCiphertextException', '');
      return {
        ...secret(call, plaintext),
        KeyId: key.arn,
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    },
    GenerateDataKey: (call) => {
      const key = authorisedKey(call);
      const plaintext = randomBytes(dataKeyBytes(call.input));
      return {
        ...secret(call, plaintext),
        CiphertextBlob: encodeBase64(encryptWith(key, plaintext, contextOf(call.input))),
        KeyId: key.arn,
      };
    },
    // No key, hence no key policy: IAM alone decides, and everybody may.
    GenerateRandom: (call) => secret(call, randomBytes(count(call.input.NumberOfBytes))),
  };

  function authorisedKey(call: Call, implied?: EmulatedKey): EmulatedKey {
    const name = text(call.input.KeyId) ?? '';
    const key = implied ?? keys.find(name);
    if (key === undefined)
      throw new ServiceError('NotFoundException', `Key '${name}' does not exist`);
    const action = `kms:${call.operation}`;
    const { principal, context } = call;
    if (!isAllowed(key.policy, { principal, accountId, action, keyArn: key.arn, context }))
      throw new ServiceError(
        'AccessDeniedException',
        `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${key.arn} because no resource-based policy allows the ${action} action`,
      );
    return key;
  }

  /** A secret in the clear, or in an envelope for the recipient. */
  function secret({ recipientKey }: Call, plaintext: Uint8Array): Json {
    return recipientKey === undefined
      ? { Plaintext: encodeBase64(plaintext) }
      : {
          CiphertextForRecipient: encodeBase64(
            wrapForRecipient(recipientKey, plaintext, options.envelope),
          ),
        };
  }

  async function readCall(request: LocalRequest): Promise<Call> {
    const operation = TARGET.exec(request.headers['x-amz-target'] ?? '')?.[1] ?? '';
    const input = readInput(request.body);
    const principal = callerOf(request, principals);
    const context = new Map([
      ['aws:currenttime', now().toISOString()],
      ['aws:principalarn', principal.arn],
      ['kms:calleraccount', accountId],
    ]);
    for (const [name, value] of Object.entries(contextOf(input)))
      context.set(`kms:encryptioncontext:${name.toLowerCase()}`, value);
    const call = { operation, input, principal, context, recipientKey: undefined };
    if (input.Recipient === undefined) return call;
    const recipient = object(input, 'Recipient');
    if (recipient.KeyEncryptionAlgorithm !== 'RSAES_OAEP_SHA_256')
      throw new ServiceError(
        'ValidationException',
        'KeyEncryptionAlgorithm must be RSAES_OAEP_SHA_256',
      );
    const judged = await judgeAttestation(blob(recipient, 'AttestationDocument', 262_144), {
      trustAnchors: options.trustAnchors,
      now: now(),
      maxAgeSeconds: options.maxAgeSeconds ?? 300,
    });
    if ('refusal' in judged)
      throw new ServiceError(
        'ValidationException',
        `Invalid attestation document: ${judged.refusal}`,
      );
    for (const [name, value] of judged.keys) context.set(name, value);
    return { ...call, recipientKey: judged.publicKey };
  }

  return {
    name: 'kms',
    keys,
    matches: ({ headers }) => headers['x-amz-target']?.startsWith('TrentService.') === true,
    throttled: errorAnswer('ThrottlingException', 'Rate exceeded'),
    async handle(request) {
      try {
        const call = await readCall(request);
        const operation = Object.hasOwn(operations, call.operation)
          ? operations[call.operation]
          : undefined;
        if (operation === undefined)
          return errorAnswer('UnknownOperationException', `no operation ${call.operation}`);
        return jsonAnswer(operation(call));
      } catch (error) {
        if (error instanceof ServiceError) return errorAnswer(error.name, error.message);
        throw error;
      }
    },
  };
}

interface Call {
  readonly operation: string;
  readonly input: Json;
  readonly principal: EmulatedPrincipal;
  readonly context: ReadonlyMap<string, string>;
  /** SubjectPublicKeyInfo of a verified attestation. */
  readonly recipientKey: Uint8Array | undefined;
}

function callerOf(
  { headers }: LocalRequest,
  principals: Readonly<Record<string, EmulatedPrincipal>>,
): EmulatedPrincipal {
  const accessKeyId = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1];
  if (accessKeyId === undefined)
    throw new ServiceError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const principal = Object.hasOwn(principals, accessKeyId) ? principals[accessKeyId] : undefined;
  if (principal === undefined)
    throw new ServiceError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  return principal;
}

/** What most keys have: the account's administrators decide by IAM. */
function accountPolicy(accountId: string): KeyPolicy {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  };
}

function readPolicy(json: string): KeyPolicy {
  try {
    return usable(parseKeyPolicy(json));
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ServiceError('MalformedPolicyDocumentException', error.message);
  }
}

/** A policy that the emulator can evaluate in full; KMS takes none without Resource either. */
function usable(policy: KeyPolicy): KeyPolicy {
  for (const { Condition = {}, Resource } of toKeyPolicy(policy).Statement) {
    if (Resource === undefined)
      throw new ServiceError('MalformedPolicyDocumentException', 'a statement without Resource');
    const values = Object.values(Condition).flatMap((keys) => Object.values(keys).flatMap(listOf));
    if (values.some((value) => value.includes('${')))
      throw new ServiceError('MalformedPolicyDocumentException', 'policy variables are not known');
    const operator = unknownOperator(Condition);
    if (operator !== undefined)
      throw new ServiceError('MalformedPolicyDocumentException', `unknown operator ${operator}`);
  }
  return policy;
}

function describeKey({ id, arn }: EmulatedKey, accountId: string, now: Date): Json {
  return {
    AWSAccountId: accountId,
    KeyId: id,
    Arn: arn,
    CreationDate: now.getTime() / 1000,
    Enabled: true,
    Description: '',
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: 'Enabled',
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
  };
}
