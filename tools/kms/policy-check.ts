import type { ManifestInput } from 'tee-verify/manifest';
import { TOOL_CODES, type ToolCode } from '../common/codes.js';
import { compareWithSets } from './compare-with-sets.js';
import { type AttestedPlatform, type ManifestSets, readManifestSets } from './manifest-sets.js';
import { type AttestationBinding, readBinding } from './policy-conditions.js';
import {
  type KeyPolicy,
  listOf,
  matchesWildcard,
  type PolicyPrincipal,
  type PolicyStatement,
} from './policy-document.js';
import { ATTESTED_ACTIONS } from './policy-statements.js';

/** One thing that is wrong with a policy. */
export interface PolicyFinding {
  readonly code: ToolCode;
  /**
   * `error`: the key can be used otherwise than the manifest says. `warning`: it can be by whom the
   * account's administrators choose, or a good machine is refused.
   */
  readonly severity: 'error' | 'warning';
  /** Index of the statement; absent when it is about the whole policy. */
  readonly statement?: number;
  readonly sid?: string;
  readonly meaning: string;
  /** The condition, action, principal or set at hand. */
  readonly detail: string;
  /** What to do. */
  readonly hint: string;
}

/** Options of `checkKeyPolicy`. */
export interface PolicyCheckOptions {
  /** For manifests that do not say it. */
  readonly platform?: AttestedPlatform;
  /** Default: the clock. */
  readonly now?: Date;
}

/** With these the plaintext is had on another way. */
const WAYS_AROUND: readonly string[] = [
  'kms:PutKeyPolicy',
  'kms:CreateGrant',
  'kms:ReEncryptFrom',
  'kms:ReplicateKey',
];

const WARNINGS: ReadonlySet<ToolCode> = new Set<ToolCode>([
  'policy.root-delegates',
  'policy.set-not-admitted',
  'policy.any-principal',
  'policy.time-unbound',
  // These never hold: a wrong no.
  'policy.case-sensitive',
  'policy.value-malformed',
  'policy.key-unknown',
]);

/**
 * Says what is wrong with a key policy, held against a manifest: who could use the key without the
 * attestation that the manifest describes. An empty list means that nothing was found.
 *
 * Deny statements are not counted: they only ever take away, and who relies on them must keep them
 * complete. Grants do not stand in the policy (`aws kms list-grants`).
 * @throws AttestationError `manifest.*`; ToolError `policy.platform-unclear`, `usage.option-conflict`
 */
export function checkKeyPolicy(
  policy: KeyPolicy,
  manifest: ManifestInput,
  { platform, now = new Date() }: PolicyCheckOptions = {},
): readonly PolicyFinding[] {
  const sets = readManifestSets(manifest, now, platform);
  const checked = policy.Statement.map((statement, index) => ({
    statement,
    index,
    allowed: allowedActions(statement),
    binding: readBinding(statement.Condition ?? {}, sets.platform),
  })).filter(({ statement }) => statement.Effect === 'Allow');
  const attested = checked.filter(
    ({ binding, allowed }) => binding.pcrs.size > 0 && allowed.secrets.length > 0,
  );
  const users = attested.flatMap(({ statement }) => principalNames(statement.Principal));
  const admitted = new Set<string>();
  const findings = checked.flatMap((one) => checkStatement(one, sets, users, admitted, now));
  return [...findings, ...checkCoverage(sets, attested.length > 0, admitted)];
}

interface CheckedStatement {
  readonly statement: PolicyStatement;
  readonly index: number;
  readonly allowed: AllowedActions;
  readonly binding: AttestationBinding;
}

type Found = readonly [code: ToolCode, detail: string, severity?: PolicyFinding['severity']];

function checkStatement(
  { statement, index, allowed, binding }: CheckedStatement,
  sets: ManifestSets,
  users: readonly string[],
  admitted: Set<string>,
  now: Date,
): readonly PolicyFinding[] {
  if (allowed.secrets.length + allowed.around.length === 0) return [];
  const found: Found[] = [];
  if (statement.NotAction !== undefined)
    found.push(['policy.not-action', listOf(statement.NotAction).join(', ')]);
  if (statement.NotPrincipal !== undefined)
    found.push(['policy.not-principal', principalNames(statement.NotPrincipal).join(', ')]);
  found.push(...binding.problems.map(({ code, detail }): Found => [code, detail]));
  if (!binding.demandsAttestation) found.push(...unattested(statement, allowed, users));
  if (binding.pcrs.size > 0 && allowed.secrets.length > 0) {
    const compared = compareWithSets(binding.pcrs, sets);
    for (const { label, notBeforeMs, notAfterMs } of compared.admitted) {
      admitted.add(label);
      const when = (ms: number): string => new Date(ms).toISOString();
      if (notAfterMs !== undefined && !isTimed(statement, ENDS, (ms) => ms <= notAfterMs))
        found.push(['policy.time-unbound', `${label}, until ${when(notAfterMs)}`]);
      const isEarly = notBeforeMs !== undefined && notBeforeMs > now.getTime();
      if (isEarly && !isTimed(statement, STARTS, (ms) => ms >= notBeforeMs))
        found.push(['policy.time-unbound', `${label}, from ${when(notBeforeMs)}`]);
    }
    found.push(...compared.problems.map(({ code, detail }): Found => [code, detail]));
    if (namesEverybody(statement) && !limitsCallers(statement))
      found.push(['policy.any-principal', 'Principal "*"']);
  }
  return found.map(([code, detail, severity]) => finding(code, detail, severity, statement, index));
}

/** What a statement allows that no attestation is needed for. */
function unattested(
  { Principal }: PolicyStatement,
  { secrets, around }: AllowedActions,
  users: readonly string[],
): readonly Found[] {
  const names = principalNames(Principal);
  const who = names.join(', ') || 'everybody but some';
  // `Principal {"AWS": "arn:aws:iam::…:root"}` or the account's number: IAM decides.
  // Another account than that of those who attest is a stranger, whatever its IAM says.
  const ours = users.map(accountOf);
  const isOurs = (name: string): boolean => users.length === 0 || ours.includes(accountOf(name));
  const isAccount = names.length > 0 && names.every((name) => ACCOUNT.test(name) && isOurs(name));
  if (isAccount)
    return [['policy.root-delegates', `${[...secrets, ...around].join(', ')} to ${who}`]];
  const areUsers = names.length === 0 || names.some((name) => name === '*' || users.includes(name));
  return [
    ...(secrets.length > 0
      ? ([['policy.unattested-use', `${secrets.join(', ')} to ${who}`]] as const)
      : []),
    ...(around.length > 0
      ? ([
          ['policy.way-around', `${around.join(', ')} to ${who}`, areUsers ? 'error' : 'warning'],
        ] as const)
      : []),
  ];
}

const accountOf = (name: string): string | undefined => /(?:^|:)(\d{12})(?:$|:)/.exec(name)?.[1];

const ACCOUNT = /^(?:\d{12}|arn:aws[a-z-]*:iam::\d{12}:root)$/;

function checkCoverage(
  { accepted }: ManifestSets,
  isAttested: boolean,
  admitted: ReadonlySet<string>,
): readonly PolicyFinding[] {
  if (!isAttested) return [finding('policy.no-attestation', `${accepted.length} accepted sets`)];
  return accepted
    .filter(({ label }) => !admitted.has(label))
    .map(({ label }) => finding('policy.set-not-admitted', label));
}

interface AllowedActions {
  /** Operations that give the secret. */
  readonly secrets: readonly string[];
  /** Operations that lead to it. */
  readonly around: readonly string[];
}

function allowedActions({ Action, NotAction }: PolicyStatement): AllowedActions {
  const matches = (action: string, patterns: PolicyStatement['Action']): boolean =>
    listOf(patterns).some((pattern) => matchesWildcard(pattern, action));
  const isAllowed = (action: string): boolean =>
    Action !== undefined ? matches(action, Action) : !matches(action, NotAction);
  return { secrets: ATTESTED_ACTIONS.filter(isAllowed), around: WAYS_AROUND.filter(isAllowed) };
}

function principalNames(principal: PolicyPrincipal | undefined): readonly string[] {
  if (principal === undefined) return [];
  if (principal === '*') return ['*'];
  return Object.values(principal).flatMap((names) => listOf(names));
}

function namesEverybody({ Principal, NotPrincipal }: PolicyStatement): boolean {
  return NotPrincipal !== undefined || principalNames(Principal).includes('*');
}

const ENDS = /^DateLessThan(Equals)?$/i;
const STARTS = /^DateGreaterThan(Equals)?$/i;

/** Whether a condition on the time has only values that will do. */
function isTimed(
  { Condition = {} }: PolicyStatement,
  operators: RegExp,
  willDo: (timeMs: number) => boolean,
): boolean {
  return Object.entries(Condition).some(
    ([operator, keys]) =>
      operators.test(operator) &&
      Object.entries(keys).some(
        ([key, values]) =>
          key.toLowerCase() === 'aws:currenttime' &&
          listOf(values).every((value) => willDo(Date.parse(value))),
      ),
  );
}

/** One account or organisation, whatever follows. */
const CALLERS = /^(\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:.*|o-[a-z0-9]{10,32}(\/.*)?)$/;

/** Condition keys that say who calls, with an operator that fails when another one does. */
function limitsCallers({ Condition = {} }: PolicyStatement): boolean {
  return Object.entries(Condition).some(
    ([operator, keys]) =>
      /^(String|Arn)(Equals|EqualsIgnoreCase|Like)$/i.test(operator) &&
      Object.entries(keys).some(
        ([key, values]) =>
          /^(kms:CallerAccount|aws:Principal(Account|Arn|OrgID|OrgPaths))$/i.test(key) &&
          listOf(values).every((value) => CALLERS.test(value)),
      ),
  );
}

function finding(
  code: ToolCode,
  detail: string,
  severity?: PolicyFinding['severity'],
  statement?: PolicyStatement,
  index?: number,
): PolicyFinding {
  const { meaning, hint } = TOOL_CODES[code];
  return {
    code,
    severity: severity ?? (WARNINGS.has(code) ? 'warning' : 'error'),
    ...(index !== undefined && { statement: index }),
    ...(statement?.Sid !== undefined && { sid: statement.Sid }),
    meaning,
    detail,
    hint,
  };
}
