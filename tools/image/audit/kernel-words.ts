import { matches } from './file-tree.js';

/** The words of a kernel command line. Quotation marks keep spaces inside one word. */
export function kernelWords(commandLine: string): string[] {
  return [...commandLine.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)].map(([word]) =>
    word.replaceAll('"', ''),
  );
}

/** `key=value` as its two parts; no value is undefined. The kernel takes - and _ for the same. */
export function splitWord(word: string): readonly [key: string, value: string | undefined] {
  const at = word.indexOf('=');
  const key = at < 0 ? word : word.slice(0, at);
  const isFlag = key.startsWith('-');
  return [isFlag ? key : key.replaceAll('-', '_'), at < 0 ? undefined : word.slice(at + 1)];
}

/**
 * Whether a word is what a pattern of the policy names (see `CommandLineRule`). A `*` in the
 * pattern's value stands for anything.
 */
export function matchesWord(pattern: string, word: string): boolean {
  const [key, value] = splitWord(word);
  const isAlone = pattern.endsWith('!');
  const [wantedKey, wanted] = splitWord(isAlone ? pattern.slice(0, -1) : pattern);
  if (key !== wantedKey) return false;
  if (isAlone) return value === undefined;
  if (wanted === undefined) return true;
  return value !== undefined && (wanted === '' || matches(wanted, value));
}

/** What systemd reads as a no (parse_boolean). */
export function isNo(value: string | undefined): boolean {
  return value !== undefined && /^(0|no|n|false|f|off)$/i.test(value);
}
