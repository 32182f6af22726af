import type { ToolCode } from '../common/codes.js';
import { ATTESTATION_KEY_PREFIX, type AttestedPlatform } from './manifest-sets.js';
import { listOf, type PolicyConditions } from './policy-document.js';

/** What the conditions of a statement demand of the attestation. */
export interface AttestationBinding {
  /** PCR index → lower-case hex that is accepted; empty when nothing can match. */
  readonly pcrs: ReadonlyMap<number, readonly string[]>;
  /** Whether a call without attestation never meets the conditions. */
  readonly demandsAttestation: boolean;
  /** What is wrong with single conditions. */
  readonly problems: readonly ConditionProblem[];
}

/** One thing that is wrong with a condition. */
export interface ConditionProblem {
  readonly code: ToolCode;
  readonly detail: string;
}

const OPERATOR = /^(ForAnyValue:|ForAllValues:)?(.+?)(IfExists)?$/i;
const KEY = /^(?:(nitrotpm)?pcr(0|[1-9]\d?)|(imagesha384))$/;
const PCR_HEX = /^[0-9a-fA-F]{96}$/;
/** Operators that hold only when a value is there and equal. */
const EQUAL: Readonly<
  Record<string, { readonly ignoresCase: boolean; readonly wildcards: boolean }>
> = {
  stringequals: { ignoresCase: false, wildcards: false },
  stringequalsignorecase: { ignoresCase: true, wildcards: false },
  stringlike: { ignoresCase: false, wildcards: true },
};

/** Reads the conditions on attestation, for a machine of this platform. */
export function readBinding(
  conditions: PolicyConditions,
  platform: AttestedPlatform,
): AttestationBinding {
  const pcrs = new Map<number, readonly string[]>();
  const problems: ConditionProblem[] = [];
  let demandsAttestation = false;
  const prefix = ATTESTATION_KEY_PREFIX.toLowerCase();
  for (const [operator, keys] of Object.entries(conditions))
    for (const [key, values] of Object.entries(keys)) {
      if (!key.toLowerCase().startsWith(prefix)) continue;
      const detail = `${operator} ${key}`;
      const report = (code: ToolCode, more = ''): void => {
        problems.push({ code, detail: `${detail}${more}` });
      };
      const judged = judgeOperator(operator, listOf(values));
      if (judged.demandsAttestation) demandsAttestation = true;
      if (judged.problem !== undefined) report(judged.problem);
      const named = KEY.exec(key.toLowerCase().slice(prefix.length));
      if (named === null || Number(named[2] ?? 0) > 31) {
        report('policy.key-unknown');
        continue;
      }
      if ((named[1] === undefined ? 'enclave' : 'nitrotpm') !== platform) {
        report('policy.wrong-platform-keys', `, but the manifest is for ${platform}`);
        continue;
      }
      if (judged.compares === undefined) continue;
      const accepted: string[] = [];
      for (const value of listOf(values)) {
        // A variable of the policy, such as the PCR itself, is put in before values are compared.
        if (value.includes('${')) report('policy.wildcard', `: ${value.slice(0, 120)}`);
        else if (!PCR_HEX.test(value)) report('policy.value-malformed', `: ${value.slice(0, 120)}`);
        else if (!judged.compares.ignoresCase && /[A-F]/.test(value))
          report('policy.case-sensitive', `: ${value}`);
        else accepted.push(value.toLowerCase());
      }
      const index = Number(named[2] ?? 0);
      const before = pcrs.get(index);
      // Conditions on one key are an AND: what all of them accept.
      pcrs.set(
        index,
        before === undefined ? accepted : before.filter((one) => accepted.includes(one)),
      );
    }
  return { pcrs, demandsAttestation, problems };
}

interface JudgedOperator {
  /** Present when the condition binds a PCR to its values. */
  readonly compares?: { readonly ignoresCase: boolean };
  readonly demandsAttestation: boolean;
  readonly problem?: ToolCode;
}

function judgeOperator(text: string, values: readonly string[]): JudgedOperator {
  const [, set = '', name = '', ifExists] = OPERATOR.exec(text) ?? [];
  const operator = name.toLowerCase();
  if (operator === 'null') {
    const wantsPresence = values.every((value) => value.toLowerCase() === 'false');
    return { demandsAttestation: wantsPresence, problem: 'policy.null-condition' };
  }
  if (ifExists !== undefined) return { demandsAttestation: false, problem: 'policy.if-exists' };
  if (set.toLowerCase() === 'forallvalues:')
    return { demandsAttestation: false, problem: 'policy.for-all-values' };
  if (/not/.test(operator)) return { demandsAttestation: false, problem: 'policy.negated' };
  const compares = Object.hasOwn(EQUAL, operator) ? EQUAL[operator] : undefined;
  if (compares === undefined)
    return { demandsAttestation: false, problem: 'policy.operator-unsuitable' };
  if (compares.wildcards && values.some((value) => /[*?]/.test(value)))
    return { demandsAttestation: true, problem: 'policy.wildcard' };
  return { demandsAttestation: true, compares };
}
