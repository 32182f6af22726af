/** The text with one place changed; throws when the place is gone, so that no test goes stale. */
export function change(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the text no longer has: ${from}`);
  return text.replace(from, () => to);
}
