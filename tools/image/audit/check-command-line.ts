import { printable } from 'tee-verify/measure';
import { matches } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { isNo, kernelWords, matchesWord, splitWord } from './kernel-words.js';
import { type CommandLineRule, RULES } from './policy.js';

const WHERE = 'kernel command line';
/** What the kernel knows (security/lockdown); another level changes nothing. */
const LOCKDOWN_LEVELS = ['integrity', 'confidentiality'];

/** Looks for words that let in, and for words that have to be there. */
export function checkCommandLine({ commandLine }: AuditSubject): Finding[] {
  if (commandLine === undefined) return [];
  const words = kernelWords(commandLine);
  const found = RULES.flatMap(({ id, commandLine: rule }) =>
    rule === undefined ? [] : problems(rule, words).map((what) => finding(id, WHERE, what)),
  );
  // systemd takes them away and so finds words that the kernel, and this audit, does not.
  if (commandLine.includes("'"))
    found.push(finding('verity', WHERE, 'single quotation marks, which hide words'));
  return found;
}

/** What is no finding but worth knowing. */
export function notesOnCommandLine({ commandLine }: AuditSubject): string[] {
  if (commandLine === undefined)
    return ['There is no kernel command line to look at: pass the raw image to have it checked.'];
  const levels = kernelWords(commandLine).filter((word) => matchesWord('lockdown=', word));
  const isOn = levels.some((word) => LOCKDOWN_LEVELS.includes(splitWord(word)[1] as string));
  if (levels.length === 0 || isOn || levels.some((word) => isNo(splitWord(word)[1]))) return [];
  return [
    `${printable(levels.join(' '), 100)} turns lockdown on in kernels patched for it only: Linux itself knows lockdown=${LOCKDOWN_LEVELS.join(' and lockdown=')}.`,
  ];
}

/** What one rule has to say about these words. */
function problems(rule: CommandLineRule, words: readonly string[]): string[] {
  const said: string[] = [];
  const say = (text: string): void => {
    said.push(printable(text, 200));
  };
  for (const word of words) {
    const [key, value = ''] = splitWord(word);
    const allowed = Object.entries(rule.onlyValues ?? {}).find(([name]) => name === key)?.[1];
    if (allowed?.some((pattern) => matches(pattern, value)) === false) say(`the word ${word}`);
    const is = (pattern: string): boolean => matchesWord(pattern, word);
    const opens = (pattern: string): boolean =>
      is(pattern) && (/[=!]/.test(pattern) || !isNo(value));
    if (rule.forbidden?.some(opens)) say(`the word ${word}`);
    if (rule.notOff?.some(is) && isNo(value)) say(`${word} turns it off`);
    for (const [name, forbidden] of Object.entries(rule.withoutWords ?? {})) {
      if (splitWord(name)[0] !== key) continue;
      const bad = value.split(/[\s,]+/).filter((part) => forbidden.includes(part));
      if (bad.length > 0) say(`${bad.join(', ')} in ${word}`);
    }
  }
  for (const choices of rule.required ?? [])
    if (
      !words.some(
        (word) => splitWord(word)[1] !== '' && choices.some((choice) => matchesWord(choice, word)),
      )
    )
      say(`none of ${choices.join(', ')}`);
  return said;
}
