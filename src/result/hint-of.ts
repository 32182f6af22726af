let hints: Readonly<Record<string, string>> | undefined;

/** What to do about a code of verification; where to read it while the hints are not loaded. */
export function hintOf(code: string): string {
  return hints?.[code] ?? 'See docs/codes.md.';
}

/** Makes the hints known. Every caller brings the same table, so the first one counts. */
export function provideHints(table: Readonly<Record<string, string>>): void {
  hints ??= table;
}

/**
 * Loads the hints: they are a tenth of the verifier, and only a refusal needs them. Without them
 * (no network for the chunk, say) an error still has its code, meaning, expected and actual.
 */
export async function loadHints(): Promise<void> {
  if (hints !== undefined) return;
  try {
    provideHints((await import('./hints.js')).HINTS);
  } catch {
    // The verdict does not depend on it.
  }
}
