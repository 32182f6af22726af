import type { FileTree } from './file-tree.js';
import { ruleOf, type Severity } from './policy.js';
import type { Initrd } from './read-initrd.js';

/** One thing that an audit found. */
export interface Finding {
  /** Id of the rule. */
  readonly rule: string;
  readonly severity: Severity;
  /** Where it is: a path of the root, a unit, `kernel command line`, or a path of the ESP. */
  readonly where: string;
  /** What was found there. */
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** What is audited. */
export interface AuditSubject {
  readonly tree: FileTree;
  /** The UKI's command line; undefined when only a root is at hand. */
  readonly commandLine?: string;
  /** The UKI's initrd; undefined when there is none, or only a root is at hand. */
  readonly initrd?: Initrd;
  /** Every file of the EFI system partition but the UKI. */
  readonly otherEspFiles?: readonly string[];
}

/** A finding by a rule of the list. */
export function finding(
  rule: string,
  where: string,
  what: string,
  severity: Severity = ruleOf(rule).severity,
): Finding {
  const { why, remedy } = ruleOf(rule);
  return { rule, severity, where, what, why, remedy };
}
