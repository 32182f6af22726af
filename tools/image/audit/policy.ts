import policy from '../../../nix/policy/operator-access.json' with { type: 'json' };

/** How bad it is: `high` is a way in, `medium` helps whoever is in already. */
export type Severity = 'high' | 'medium';

/** What a rule says about the words of a kernel command line (docs/images.md, "Audit"). */
export interface CommandLineRule {
  /**
   * `word`: alone or with any value but a no; `word!`: alone; `word=`: with any value; `word=value`:
   * that one, in which `*` stands for anything.
   */
  readonly forbidden?: readonly string[];
  /** At least one of each list has to be there, with a value that is not empty. */
  readonly required?: readonly (readonly string[])[];
  /** Words whose value may not be a no. */
  readonly notOff?: readonly string[];
  /** Words whose value, a list with commas or spaces, may not hold these. */
  readonly withoutWords?: Readonly<Record<string, readonly string[]>>;
  /** Words that may have these values only. */
  readonly onlyValues?: Readonly<Record<string, readonly string[]>>;
}

/** One rule of nix/policy/operator-access.json, which the Nix modules read, too. */
export interface Rule {
  readonly id: string;
  readonly severity: Severity;
  readonly looksFor: string;
  readonly why: string;
  readonly remedy: string;
  /** Units of systemd; `name@.service` stands for its instances. */
  readonly units?: readonly string[];
  /** File names of programs. */
  readonly programs?: readonly string[];
  /** Programs that nothing may start, though they may be there. */
  readonly commands?: readonly string[];
  /** Paths that may not be there (`setuid`: that may); a part may hold `*`. */
  readonly paths?: readonly string[];
  /** Packages of distributions and of nixpkgs. */
  readonly packages?: readonly string[];
  readonly commandLine?: CommandLineRule;
}

/** Every rule, in the order of the list. */
export const RULES: readonly Rule[] = policy.rules as readonly Rule[];

const BY_ID: ReadonlyMap<string, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));

/** The rule with this id. A wrong one is a fault of this program. */
export function ruleOf(id: string): Rule {
  const rule = BY_ID.get(id);
  if (rule === undefined) throw new TypeError(`no rule ${id}`);
  return rule;
}

/** Whether there is a rule with this id. */
export function isRule(id: string): boolean {
  return BY_ID.has(id);
}
