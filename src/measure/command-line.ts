import { AttestationError } from '../result/attestation-error.js';

const MAX_CHARACTERS = 32_768;

/**
 * A command line as systemd-stub passes it on: control characters become spaces, white space at
 * both ends goes (its `mangle_stub_cmdline`).
 */
export function normalizeCommandLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the stub replaces
  return text.replace(/[\u0000-\u0020\u007f]/g, ' ').replace(/^ +| +$/g, '');
}

/**
 * Checks and normalizes a command line passed from outside. Throws `uki.command-line` for what the
 * stub would treat in another way: text that is not ASCII, nothing, a profile selector.
 */
export function normalizeOverride(text: string): string {
  const line = normalizeCommandLine(text);
  if (line === '' || line.startsWith('@') || line.length > MAX_CHARACTERS || !isAscii(line))
    throw new AttestationError('uki.command-line', {
      expected: `1 to ${MAX_CHARACTERS} ASCII characters, not starting with @`,
      actual: JSON.stringify(line.slice(0, 64)),
    });
  return line;
}

/** Whether every character is ASCII. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e) return false;
  return true;
}
