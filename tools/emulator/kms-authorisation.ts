import {
  type KeyPolicy,
  listOf,
  matchesWildcard,
  type PolicyPrincipal,
} from '../kms/policy-document.js';
import { conditionsHold, type RequestContext } from './kms-conditions.js';

/** Who calls, as the emulator knows them. */
export interface EmulatedPrincipal {
  /** e.g. `arn:aws:iam::111122223333:role/app`. */
  readonly arn: string;
  /** What IAM policies of the account allow them: counts where the key policy leaves it to IAM. */
  readonly iamActions: readonly string[];
}

/** One call to be decided. */
export interface AuthorisationRequest {
  readonly principal: EmulatedPrincipal;
  readonly accountId: string;
  /** e.g. `kms:Decrypt`. */
  readonly action: string;
  readonly keyArn: string;
  readonly context: RequestContext;
}

/**
 * What a key policy says to a call, as IAM evaluates it: a Deny that matches wins; else an Allow for
 * the caller, or one for the account together with the caller's own IAM policies.
 */
export function isAllowed(policy: KeyPolicy, request: AuthorisationRequest): boolean {
  const { principal, accountId, action, keyArn, context } = request;
  let allowed = false;
  for (const statement of policy.Statement) {
    const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, Condition } = statement;
    const actionMatches =
      Action !== undefined ? matchesAny(Action, action) : !matchesAny(NotAction ?? [], action);
    if (!actionMatches || !matchesAny(Resource ?? [], keyArn)) continue;
    if (!conditionsHold(Condition ?? {}, context)) continue;
    const named =
      Principal !== undefined
        ? namesPrincipal(Principal, principal.arn, accountId)
        : namesPrincipal(NotPrincipal ?? '*', principal.arn, accountId) === 'no'
          ? 'caller'
          : 'no';
    if (named === 'no') continue;
    if (Effect === 'Deny') return false;
    if (named === 'caller' || matchesAny(principal.iamActions, action)) allowed = true;
  }
  return allowed;
}

/** Whether a principal element names the caller, or the caller's account. */
function namesPrincipal(
  element: PolicyPrincipal,
  arn: string,
  accountId: string,
): 'caller' | 'account' | 'no' {
  if (element === '*') return 'caller';
  const names = listOf(element.AWS);
  if (names.includes('*') || names.includes(arn)) return 'caller';
  const account = [accountId, `arn:aws:iam::${accountId}:root`];
  return names.some((name) => account.includes(name)) ? 'account' : 'no';
}

function matchesAny(patterns: string | readonly string[], text: string): boolean {
  return listOf(patterns).some((pattern) => matchesWildcard(pattern, text));
}
