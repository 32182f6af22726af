import { asText, isRecord } from './intrinsics.js';
import type { Template } from './read-template.js';

const STATEMENT_KEYS = ['Sid', 'Effect', 'Principal', 'Action', 'Resource', 'Condition'];
const OPERATORS = ['StringEquals', 'StringLike', 'Bool', 'ArnLike'];

/**
 * IAM policies of roles and buckets: well formed, no wildcard in an allowed action, and no `*` as the
 * resource except for the statements listed by Sid with a reason.
 */
export function checkPolicies(
  template: Template,
  anyResource: ReadonlyMap<string, string>,
): string[] {
  const problems: string[] = [];
  for (const [name, { Type, Properties = {} }] of Object.entries(template.Resources)) {
    if (Type === 'AWS::IAM::Role') {
      checkDocument(`${name}.trust`, Properties.AssumeRolePolicyDocument, true);
      for (const policy of (Properties.Policies ?? []) as Record<string, unknown>[]) {
        checkDocument(`${name}.${policy.PolicyName}`, policy.PolicyDocument, false);
      }
    }
    if (Type === 'AWS::S3::BucketPolicy') checkDocument(name, Properties.PolicyDocument, true);
  }
  return problems;

  function checkDocument(where: string, document: unknown, hasPrincipal: boolean): void {
    if (!isRecord(document) || document.Version !== '2012-10-17') {
      problems.push(`${where}: not a policy of version 2012-10-17`);
      return;
    }
    const statements = document.Statement;
    if (!Array.isArray(statements) || statements.length === 0) {
      problems.push(`${where}: no statements`);
      return;
    }
    for (const [i, statement] of statements.entries()) {
      const at = `${where}.${statement.Sid ?? i}`;
      checkStatement(at, statement, hasPrincipal);
      if (statement.Effect === 'Allow') checkWidth(at, statement);
    }
  }

  function checkStatement(where: string, statement: Record<string, unknown>, trust: boolean): void {
    for (const key of Object.keys(statement)) {
      if (!STATEMENT_KEYS.includes(key)) problems.push(`${where}: unknown key ${key}`);
    }
    if (statement.Effect !== 'Allow' && statement.Effect !== 'Deny') {
      problems.push(`${where}: Effect must be Allow or Deny`);
    }
    if (trust !== 'Principal' in statement)
      problems.push(`${where}: Principal missing or misplaced`);
    if (!trust && !('Resource' in statement)) problems.push(`${where}: no Resource`);
    for (const action of [statement.Action].flat()) {
      if (!/^[a-z0-9-]+:([A-Z][A-Za-z]+|\*)$/.test(String(action))) {
        problems.push(`${where}: bad action ${action}`);
      }
    }
    for (const operator of Object.keys((statement.Condition ?? {}) as object)) {
      if (!OPERATORS.includes(operator)) problems.push(`${where}: unknown operator ${operator}`);
    }
  }

  function checkWidth(where: string, statement: Record<string, unknown>): void {
    for (const action of [statement.Action].flat()) {
      if (String(action).includes('*')) problems.push(`${where}: allows ${action}`);
    }
    for (const resource of [statement.Resource ?? []].flat()) {
      const text = asText(resource) ?? '';
      const listed = anyResource.has(String(statement.Sid));
      if (text === '*' && !listed) problems.push(`${where}: allows it on every resource`);
      if (text.endsWith(':::*') && !('Condition' in statement)) {
        problems.push(`${where}: allows it on every bucket of the world`);
      }
    }
  }
}
