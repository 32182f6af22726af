import { reject } from '../result/attestation-error.js';
import { MEASUREMENT_CODES } from '../result/measurement-codes.js';
import type { StubProfile } from './stub-profiles.js';

const MAX_CHARACTERS = 32_768;

/**
 * A command line as systemd-stub passes it on: control characters become spaces, and spaces at the
 * end go, in newer versions at the start, too.
 */
export function normalizeCommandLine(text: string, { trimsLeadingSpace }: StubProfile): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the stub replaces
  const controls = trimsLeadingSpace ? /[\u0000-\u001f\u007f]/g : /[\u0000-\u001f]/g;
  const line = text.replace(controls, ' ').replace(/ +$/, '');
  return trimsLeadingSpace ? line.replace(/^ +/, '') : line;
}

/**
 * Checks and normalizes a command line passed from outside. Throws `uki.command-line` for what the
 * stub would treat in another way: text that is not ASCII, nothing, a profile selector, a control
 * character in front.
 */
export function normalizeOverride(text: string, profile: StubProfile): string {
  const line = normalizeCommandLine(text, profile);
  const printableStart = text.charCodeAt(0) >= 0x20;
  if (
    line === '' ||
    !printableStart ||
    line.startsWith('@') ||
    line.length > MAX_CHARACTERS ||
    !isAscii(line)
  )
    reject(
      MEASUREMENT_CODES['uki.command-line'],
      `1 to ${MAX_CHARACTERS} ASCII characters, not starting with @ or a control character`,
      JSON.stringify(text.slice(0, 64)),
    );
  return line;
}

/** Whether every character is ASCII. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e) return false;
  return true;
}
