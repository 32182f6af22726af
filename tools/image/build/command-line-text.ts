import { ToolError } from '../../common/tool-error.js';
import { checkCommandLine } from '../audit/check-command-line.js';
import type { AuditSubject } from '../audit/finding.js';

/** COMMAND_LINE_SIZE of the kernel on x86-64 and arm64, with its NUL. */
const MAX_CHARACTERS = 2047;
/** Anywhere: systemd also takes `rd.roothash=`, and quotation marks inside of words. */
const ROOT_HASH = /(?:root|usr)hash=/g;

/**
 * The command line of an image: the caller's words, then the root hash. systemd finds the partitions
 * by it: their UUIDs are its halves (systemd-veritysetup-generator(8)).
 *
 * Throws `uki-build.command-line` for what a stub, the kernel or systemd would read differently, for
 * words that say another root hash, and for those that turn dm-verity off.
 */
export function withRootHash(words: string, mount: 'root' | 'usr', rootHash: string): string {
  const line = [words, `${mount}hash=${rootHash}`].filter((part) => part !== '').join(' ');
  const wrong = (expected: string, actual: string): ToolError =>
    new ToolError('uki-build.command-line', { expected, actual });
  if (!/^[\x20-\x7e]*$/.test(words)) throw wrong('printable ASCII', JSON.stringify(words));
  if (words.trim() !== words) throw wrong('no space at its ends', JSON.stringify(words));
  if (!isReadAlike(words))
    throw wrong('double quotation marks in pairs, and no single ones', JSON.stringify(words));
  const own = words.replaceAll('"', '').match(ROOT_HASH)?.[0];
  if (own !== undefined) throw wrong('no root hash', own);
  const bypass = findVerityBypass(line);
  if (bypass !== undefined) throw wrong('words that leave dm-verity on', bypass);
  if (line.length > MAX_CHARACTERS)
    throw wrong(`at most ${MAX_CHARACTERS} characters with the root hash`, `${line.length}`);
  return line;
}

/**
 * The root hash that a command line names; undefined when it names none, or several, or when the
 * kernel and systemd would take different words from the line.
 */
export function findRootHash(
  line: string,
): { readonly mount: 'root' | 'usr'; readonly rootHash: string } | undefined {
  if (!isReadAlike(line) || line.replaceAll('"', '').match(ROOT_HASH)?.length !== 1)
    return undefined;
  // Words in quotation marks may hold spaces; the root hash is a word of its own.
  const words = line.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
  for (const word of words) {
    const found = /^("?)(root|usr)hash=([0-9a-f]{64})\1$/.exec(word);
    if (found !== null) return { mount: found[2] as 'root' | 'usr', rootHash: found[3] as string };
  }
  return undefined;
}

/** A word that turns dm-verity off or goes round it, by the rule of the audit; undefined without. */
export function findVerityBypass(commandLine: string): string | undefined {
  // Looks at nothing else of what is audited.
  const subject = { commandLine } as AuditSubject;
  return checkCommandLine(subject).find(({ rule }) => rule === 'verity')?.what;
}

/**
 * Whether the kernel and systemd take the same words from a line: single quotation marks and
 * backslashes before spaces join words for systemd only, other characters part them for one of them.
 */
function isReadAlike(line: string): boolean {
  if (!/^[\t\n\x20-\x7e]*$/.test(line)) return false;
  return /^(?:[^"'\\]|\\(?![\s"'])|"(?:[^"'\\]|\\(?![\s"']))*")*$/.test(line);
}
