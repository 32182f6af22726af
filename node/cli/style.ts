import { styleText } from 'node:util';

/** Colours for a terminal; the same text without them everywhere else. */
export interface Style {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly warn: (text: string) => string;
}

/** Colours only on a terminal, and not when NO_COLOR is set (no-color.org). */
export function styleFor(stream: { readonly isTTY?: boolean }): Style {
  const isColoured = stream.isTTY === true && (process.env.NO_COLOR ?? '') === '';
  const style =
    (format: Parameters<typeof styleText>[0]) =>
    (text: string): string =>
      isColoured ? styleText(format, text) : text;
  return {
    good: style('green'),
    bad: style('red'),
    dim: style('dim'),
    bold: style('bold'),
    warn: style('yellow'),
  };
}

/**
 * Text from evidence may hold anything: control characters are shown, never sent to the terminal,
 * and neither are the marks that reorder text.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  );
}

/** JSON that is safe on a terminal: what would control it or reorder text is written as \\u escapes. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) =>
      Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
      ).join(''),
  );
}
