/** Options of the library that hints name, and what they are called on the command line. */
const FLAGS: Readonly<Record<string, string>> = {
  '`now`': '--at',
  maxAgeSeconds: '--max-age',
  clockToleranceSeconds: '--clock-tolerance',
  manifestKeys: '--manifest-keys',
  allowPartialManifest: '--allow-partial-manifest',
  allowDebug: '--allow-debug',
};

/** A hint in the words of the command line. */
export function flagsIn(hint: string): string {
  return Object.entries(FLAGS).reduce((text, [name, flag]) => text.replaceAll(name, flag), hint);
}
