import { join } from 'node:path';
import {
  parseSignatureList,
  type SecureBootVariables,
  type SignatureEntry,
} from 'tee-verify/measure';
import { readSmallFile } from '../../common/file-source.js';
import { ToolError } from '../../common/tool-error.js';

/** The variables of an identity, in the order in which firmware measures them. */
export const IDENTITY_VARIABLES = ['PK', 'KEK', 'db', 'dbx'] as const;

/** The public part of a Secure Boot identity: what firmware is given. */
export interface SecureBootIdentity {
  readonly folder: string;
  /** Contents of the variables: EFI signature lists. `dbx` is empty unless something is revoked. */
  readonly variables: Readonly<Record<(typeof IDENTITY_VARIABLES)[number], Uint8Array>>;
}

const MAX_LIST_BYTES = 1024 * 1024;

/**
 * Reads PK.esl, KEK.esl, db.esl and, when it is there, dbx.esl of a folder; no private key. Throws
 * `file.unreadable`, `identity.malformed`.
 */
export async function readIdentity(folder: string): Promise<SecureBootIdentity> {
  const read = (name: string): Promise<Uint8Array> =>
    readSmallFile(join(folder, `${name}.esl`), MAX_LIST_BYTES);
  const variables = {
    PK: await read('PK'),
    KEK: await read('KEK'),
    db: await read('db'),
    dbx: await read('dbx').catch(absent),
  };
  for (const [name, bytes] of Object.entries(variables)) checkList(folder, name, bytes);
  return { folder, variables };
}

/** The variables as `measureUki` takes them. */
export function bootVariables({ variables }: SecureBootIdentity): SecureBootVariables {
  const { PK: pk, KEK: kek, db, dbx } = variables;
  return { pk, kek, db, dbx };
}

function absent(error: unknown): Uint8Array {
  const { cause } = error as { cause?: { code?: unknown } };
  if (cause?.code === 'ENOENT') return new Uint8Array();
  throw error;
}

function checkList(folder: string, name: string, bytes: Uint8Array): void {
  const file = join(folder, `${name}.esl`);
  let entries: readonly SignatureEntry[];
  try {
    entries = parseSignatureList(bytes);
  } catch (cause) {
    throw new ToolError('identity.malformed', {
      expected: `EFI signature lists in ${file}`,
      actual: cause instanceof Error ? cause.message : 'something else',
      cause,
    });
  }
  const certificates = entries.filter(({ type }) => type === 'x509').length;
  const fits =
    name === 'PK' ? entries.length === 1 && certificates === 1 : name === 'dbx' || certificates > 0;
  if (!fits)
    throw new ToolError('identity.malformed', {
      expected: `${name === 'PK' ? 'one certificate' : 'a certificate'} in ${file}`,
      actual: `${entries.length} entries, ${certificates} of them certificates`,
    });
}
