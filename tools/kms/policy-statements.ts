import type { ManifestInput, MeasurementSet } from 'tee-verify/manifest';
import { ToolError } from '../common/tool-error.js';
import {
  type AttestedPlatform,
  agrees,
  checkPins,
  conditionKey,
  pcrHex,
  readManifestSets,
} from './manifest-sets.js';
import type { KeyPolicy, PolicyConditions, PolicyStatement } from './policy-document.js';

/** How to make the statements of a manifest. */
export interface PolicyStatementOptions {
  /** ARNs of the roles (or users) that may use the key from an attested machine. */
  readonly principals: readonly string[];
  /** Operations that take an attestation; default `kms:Decrypt`. */
  readonly actions?: readonly string[];
  /** Sid of the first statement; further ones have a number behind it. Default `AttestedUse`. */
  readonly sid?: string;
  /**
   * PCRs to bind. Default for a NitroTPM: 4 and 12 where a set pins both, else those of 4, 7 and 12
   * that it pins; for an enclave: all that a set pins.
   */
  readonly pcrs?: readonly number[];
  /** For manifests that do not say it. */
  readonly platform?: AttestedPlatform;
  /** Sets whose time is over are left out; default the clock. */
  readonly now?: Date;
}

/** The statements of a manifest. */
export interface PolicyStatements {
  readonly statements: readonly PolicyStatement[];
  /** What the statements leave out, in sentences. */
  readonly notes: readonly string[];
}

/** Sid when none is named. */
export const DEFAULT_SID = 'AttestedUse';
/** The operations of a key that take `Recipient`. */
export const ATTESTED_ACTIONS: readonly string[] = [
  'kms:Decrypt',
  'kms:DeriveSharedSecret',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyPair',
];
const PRINCIPAL =
  /^arn:aws[a-z-]*:(?:iam|sts)::\d{12}:(?:root|(?:role|user|assumed-role)\/[\w+=,.@/-]+)$/;
const SID = /^[A-Za-z0-9]{1,64}$/;
const DEFAULT_TPM_PCRS: readonly number[] = [4, 7, 12];
const MAX_POLICY_BYTES = 32_768;

/**
 * The key policy statements that let these principals use a key from exactly the machines that a
 * manifest accepts. Lists stand in one statement only where every combination of their values is an
 * accepted set: PCRs of two sets never mix.
 * @throws ToolError `usage.*`, `policy.*`; AttestationError `manifest.*`
 */
export function keyPolicyStatements(
  manifest: ManifestInput,
  options: PolicyStatementOptions,
): PolicyStatements {
  const { principals, actions = ['kms:Decrypt'], sid = DEFAULT_SID } = options;
  checkOptions(principals, actions, sid);
  const now = options.now ?? new Date();
  const { platform, accepted, revoked, expired } = readManifestSets(
    manifest,
    now,
    options.platform,
  );
  if (accepted.length === 0)
    throw new ToolError('policy.no-set', {
      actual: `${revoked.length} revoked, ${expired.length} over`,
    });
  const rows = accepted.map((set) => toRow(set, platform, options.pcrs));
  for (const [i, row] of rows.entries()) {
    const set = accepted[i] as MeasurementSet;
    const outOfTime = [...expired, ...accepted.filter((other) => !isSameTime(other, set))];
    // The same machine in another time is accepted all the same.
    refuseOthers(row, [...revoked, ...outOfTime.filter((other) => !agrees(other, set))]);
  }
  const conditions = groupRows(rows).flatMap((group) => toConditions(group, platform));
  return {
    statements: conditions.map((Condition, index) => ({
      Sid: index === 0 ? sid : `${sid}${index + 1}`,
      Effect: 'Allow',
      Principal: { AWS: oneOrMany(principals) },
      Action: oneOrMany(actions),
      Resource: '*',
      Condition,
    })),
    notes: [
      ...revoked.map(({ label }) => `left out: ${label} (revoked)`),
      ...expired.map(({ label }) => `left out: ${label} (its time is over)`),
      ...unboundNotes(accepted, rows),
    ],
  };
}

/**
 * Puts statements into a policy: in the place of those that an earlier call made with the same Sid,
 * else at the end. Everything else stays as it is.
 * @throws ToolError `policy.too-large`, `policy.sid-taken`
 */
export function mergeStatements(
  policy: KeyPolicy,
  statements: readonly PolicyStatement[],
  sid: string = DEFAULT_SID,
): KeyPolicy {
  const isOld = ({ Sid, Effect, Condition }: PolicyStatement): boolean => {
    if (Sid === undefined || Effect === 'Deny' || !Sid.startsWith(sid)) return false;
    // A number behind it is ours only when the statement is about attestation.
    return (
      Sid === sid ||
      (/^\d+$/.test(Sid.slice(sid.length)) &&
        /recipientattestation/i.test(JSON.stringify(Condition ?? {})))
    );
  };
  const at = policy.Statement.findIndex(isOld);
  const kept = policy.Statement.filter((statement) => !isOld(statement));
  // A Deny, or a statement of somebody else: neither is ours to replace.
  const taken = kept.find(({ Sid }) => statements.some((made) => made.Sid === Sid));
  if (taken !== undefined)
    throw new ToolError('policy.sid-taken', { actual: `${taken.Effect} with Sid ${taken.Sid}` });
  const before = at < 0 ? kept.length : at;
  const merged: KeyPolicy = {
    Version: '2012-10-17',
    ...policy,
    Statement: [...kept.slice(0, before), ...statements, ...kept.slice(before)],
  };
  const bytes = new TextEncoder().encode(JSON.stringify(merged)).length;
  if (bytes > MAX_POLICY_BYTES)
    throw new ToolError('policy.too-large', {
      expected: `at most ${MAX_POLICY_BYTES} bytes`,
      actual: `${bytes}`,
    });
  return merged;
}

/** What a statement must compare for one set. */
interface Row {
  readonly label: string;
  readonly indices: readonly number[];
  /** Lower-case hex, one for each index. */
  readonly values: readonly string[];
  readonly notBeforeMs: number | undefined;
  readonly notAfterMs: number | undefined;
}

function toRow(
  set: MeasurementSet,
  platform: AttestedPlatform,
  wanted: readonly number[] | undefined,
): Row {
  const indices = [...new Set(wanted ?? defaultPcrs(set, platform))].sort((a, b) => a - b);
  const values = indices.map((index) => {
    const value = pcrHex(set, index);
    if (value === undefined)
      throw new ToolError('policy.pcr-not-pinned', {
        expected: `PCR${index} in every accepted set`,
        actual: `${set.label} has ${[...set.pcrs.keys()].map((one) => `PCR${one}`).join(', ')}`,
      });
    return value;
  });
  checkPins(
    platform,
    set.label,
    new Map([...set.pcrs].filter(([index]) => indices.includes(index))),
  );
  const { label, notBeforeMs, notAfterMs } = set;
  return { label, indices, values, notBeforeMs, notAfterMs };
}

function defaultPcrs({ pcrs }: MeasurementSet, platform: AttestedPlatform): readonly number[] {
  if (platform === 'enclave') return [...pcrs.keys()];
  return pcrs.has(4) && pcrs.has(12) ? [4, 12] : DEFAULT_TPM_PCRS.filter((one) => pcrs.has(one));
}

const isSameTime = (one: MeasurementSet, other: MeasurementSet): boolean =>
  one.notBeforeMs === other.notBeforeMs && one.notAfterMs === other.notAfterMs;

/** A set that differs from the row in no PCR that the row compares would be let in. */
function refuseOthers({ label, indices, values }: Row, others: readonly MeasurementSet[]): void {
  for (const set of others) {
    const differs = indices.some((index, i) => {
      const value = pcrHex(set, index);
      return value !== undefined && value !== values[i];
    });
    if (!differs)
      throw new ToolError('policy.revoked-accepted', {
        expected: `PCR ${indices.join(', ')} to tell ${label} from ${set.label}`,
        actual: 'no difference',
      });
  }
}

/** Rows that compare the same PCRs in the same time. */
function groupRows(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups = new Map<string, Map<string, Row>>();
  for (const row of rows) {
    const key = `${row.indices.join()} ${row.notBeforeMs} ${row.notAfterMs}`;
    const group = groups.get(key) ?? new Map<string, Row>();
    groups.set(key, group.set(row.values.join(), row));
  }
  return [...groups.values()].map((group) => [...group.values()]);
}

/** One block of conditions where the rows are a full product, else one for each list that may vary. */
function toConditions(rows: readonly Row[], platform: AttestedPlatform): PolicyConditions[] {
  const [first] = rows as [Row];
  const width = first.indices.length;
  const columns = columnsOf(rows, width);
  const product = columns.reduce((count, column) => count * column.length, 1);
  const blocks = product === rows.length ? [rows] : fewestBlocks(rows, width);
  return blocks.map((block) => ({
    StringEqualsIgnoreCase: Object.fromEntries(
      columnsOf(block, width).map((column, i) => [
        conditionKey(platform, first.indices[i] as number),
        oneOrMany(column),
      ]),
    ),
    ...timeConditions(first),
  }));
}

/** Rows that differ in one column only share a block; the column that gives the fewest blocks. */
function fewestBlocks(rows: readonly Row[], width: number): readonly (readonly Row[])[] {
  const ways = Array.from({ length: width }, (_, varying) => {
    const blocks = new Map<string, Row[]>();
    for (const row of rows) {
      const key = row.values.filter((_, i) => i !== varying).join();
      blocks.set(key, [...(blocks.get(key) ?? []), row]);
    }
    return [...blocks.values()];
  });
  return ways.reduce((best, way) => (way.length < best.length ? way : best));
}

function columnsOf(rows: readonly Row[], width: number): readonly (readonly string[])[] {
  return Array.from({ length: width }, (_, i) => [
    ...new Set(rows.map(({ values }) => values[i] as string)),
  ]);
}

/** Both ends belong to the window; whole seconds, inwards. */
function timeConditions({ notBeforeMs, notAfterMs }: Row): PolicyConditions {
  const at = (seconds: number): { 'aws:CurrentTime': string } => ({
    'aws:CurrentTime': new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'),
  });
  return {
    ...(notBeforeMs !== undefined && { DateGreaterThanEquals: at(Math.ceil(notBeforeMs / 1000)) }),
    ...(notAfterMs !== undefined && { DateLessThanEquals: at(Math.floor(notAfterMs / 1000)) }),
  };
}

function unboundNotes(accepted: readonly MeasurementSet[], rows: readonly Row[]): string[] {
  const unbound = new Set(
    accepted.flatMap(({ pcrs }, i) =>
      [...pcrs.keys()].filter((index) => !rows[i]?.indices.includes(index)),
    ),
  );
  const list = [...unbound].sort((a, b) => a - b).map((index) => `PCR${index}`);
  return list.length === 0
    ? []
    : [`pinned by the manifest but not compared: ${list.join(', ')} (--pcrs names others)`];
}

function checkOptions(
  principals: readonly string[],
  actions: readonly string[],
  sid: string,
): void {
  const invalid = (expected: string, actual: string | undefined): ToolError =>
    new ToolError('usage.option-invalid', { expected, actual: actual ?? 'none' });
  const stranger = principals.find((arn) => !PRINCIPAL.test(arn));
  if (principals.length === 0 || stranger !== undefined)
    throw invalid('an ARN such as arn:aws:iam::111122223333:role/app', stranger);
  const action = actions.find((one) => !ATTESTED_ACTIONS.includes(one));
  if (actions.length === 0 || action !== undefined)
    throw invalid(`operations that take an attestation: ${ATTESTED_ACTIONS.join(', ')}`, action);
  if (!SID.test(sid)) throw invalid('a Sid of 1 to 64 letters and digits', sid);
}

function oneOrMany(values: readonly string[]): string | readonly string[] {
  return values.length === 1 ? (values[0] as string) : values;
}
