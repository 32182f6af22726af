import { ToolError } from '../../common/tool-error.js';

/** COMMAND_LINE_SIZE of the kernel on x86-64 and arm64, with its NUL. */
const MAX_CHARACTERS = 2047;

/**
 * The command line of an image: the caller's words, then the root hash. systemd finds the partitions
 * by it: their UUIDs are its halves (systemd-veritysetup-generator(8)).
 *
 * Throws `uki-build.command-line` for what a stub or the kernel would read differently, and for words
 * that say another root hash.
 */
export function withRootHash(words: string, mount: 'root' | 'usr', rootHash: string): string {
  const line = [words, `${mount}hash=${rootHash}`].filter((part) => part !== '').join(' ');
  const wrong = (expected: string, actual: string): ToolError =>
    new ToolError('uki-build.command-line', { expected, actual });
  if (!/^[\x20-\x7e]*$/.test(words)) throw wrong('printable ASCII', JSON.stringify(words));
  if (words.trim() !== words) throw wrong('no space at its ends', JSON.stringify(words));
  const own = /(?:^|[\s"])((?:root|usr)hash)=/.exec(words)?.[1];
  if (own !== undefined) throw wrong('no root hash', own);
  if (line.length > MAX_CHARACTERS)
    throw wrong(`at most ${MAX_CHARACTERS} characters with the root hash`, `${line.length}`);
  return line;
}

/** The root hash that a command line names; undefined when it names none, or several. */
export function findRootHash(
  line: string,
): { readonly mount: 'root' | 'usr'; readonly rootHash: string } | undefined {
  const found = line
    .split(/\s+/)
    .map((word) => /^"?(root|usr)hash=(.*?)"?$/.exec(word))
    .filter((match) => match !== null);
  const [first] = found;
  if (found.length !== 1 || !/^[0-9a-f]{64}$/.test(first?.[2] ?? '')) return undefined;
  return { mount: first?.[1] as 'root' | 'usr', rootHash: first?.[2] as string };
}
