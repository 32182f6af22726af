import { AttestationError, reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import { certificateSubject } from './certificate-subject.js';
import { GLOBAL_VARIABLE_GUID, IMAGE_SECURITY_DATABASE_GUID } from './guid.js';
import { parseSignatureList, type SignatureEntry } from './signature-list.js';
import { encodeVariableData } from './uefi-variable.js';

/** The Secure Boot variables, each an EFI signature list; an absent or empty one is not enrolled. */
export interface SecureBootVariables {
  /** Platform key: Secure Boot is on when it is not empty. */
  readonly pk?: Uint8Array;
  readonly kek?: Uint8Array;
  readonly db?: Uint8Array;
  readonly dbx?: Uint8Array;
}

/** The variables, parsed and checked. */
export interface SecureBootState {
  readonly enabled: boolean;
  readonly pk: Uint8Array;
  readonly kek: Uint8Array;
  readonly db: Uint8Array;
  readonly dbx: Uint8Array;
  readonly dbEntries: readonly SignatureEntry[];
  readonly dbxEntries: readonly SignatureEntry[];
}

/** Data to be measured, with what to call it. */
export interface MeasuredData {
  readonly data: Uint8Array;
  readonly description: string;
}

const EMPTY = new Uint8Array();

/**
 * Parses the variables (copies them). Throws the codes of `parseSignatureList`, `esl.pk-missing`,
 * `esl.pk-invalid`.
 */
export function readSecureBoot(variables: SecureBootVariables = {}): SecureBootState {
  const copy = (list: Uint8Array = EMPTY): Uint8Array => new Uint8Array(list);
  const [pk, kek, db, dbx] = [variables.pk, variables.kek, variables.db, variables.dbx].map(
    copy,
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  if (pk.length === 0 && kek.length + db.length + dbx.length > 0)
    throw new AttestationError(MEASUREMENT_CODES['esl.pk-missing']);
  const pkEntries = parseSignatureList(pk);
  if (pk.length > 0 && (pkEntries.length !== 1 || pkEntries[0]?.type !== 'x509'))
    reject(
      MEASUREMENT_CODES['esl.pk-invalid'],
      'one X.509 certificate',
      pkEntries.length === 1 ? `one of type ${pkEntries[0]?.type}` : `${pkEntries.length} entries`,
    );
  parseSignatureList(kek);
  const dbEntries = parseSignatureList(db);
  const dbxEntries = parseSignatureList(dbx);
  return { enabled: pk.length > 0, pk, kek, db, dbx, dbEntries, dbxEntries };
}

/**
 * What firmware extends into PCR7 before it boots: the five variables, each UEFI_VARIABLE_DATA.
 * A separator follows. Source: TCG PC Client Platform Firmware Profile 1.06, 3.3.4.8.
 */
export function secureBootVariables(state: SecureBootState): MeasuredData[] {
  const variable = (guid: string, name: string, data: Uint8Array): MeasuredData => ({
    data: encodeVariableData({ guid, name, data }),
    description:
      name === 'SecureBoot' ? `SecureBoot: ${state.enabled ? 'on' : 'off'}` : list(name, data),
  });
  return [
    variable(GLOBAL_VARIABLE_GUID, 'SecureBoot', Uint8Array.of(state.enabled ? 1 : 0)),
    variable(GLOBAL_VARIABLE_GUID, 'PK', state.pk),
    variable(GLOBAL_VARIABLE_GUID, 'KEK', state.kek),
    variable(IMAGE_SECURITY_DATABASE_GUID, 'db', state.db),
    variable(IMAGE_SECURITY_DATABASE_GUID, 'dbx', state.dbx),
  ];
}

/** What firmware extends into PCR7 for a db entry that it used, once for each entry. */
export function authorityData(entry: SignatureEntry): MeasuredData {
  const subject = certificateSubject(entry.data) ?? 'a certificate';
  return {
    data: encodeVariableData({
      guid: IMAGE_SECURITY_DATABASE_GUID,
      name: 'db',
      data: entry.encoded,
    }),
    description: `images allowed by db: ${subject}`,
  };
}

function list(name: string, data: Uint8Array): string {
  const count = parseSignatureList(data).length;
  return `${name}: ${count === 0 ? 'empty' : count === 1 ? '1 entry' : `${count} entries`}`;
}
