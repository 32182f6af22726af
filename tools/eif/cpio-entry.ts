/** What a regular file of an archive holds. */
export type CpioContents =
  | { readonly bytes: Uint8Array }
  /** A file of the tree; read when the archive is written, and refused if it changed by then. */
  | { readonly file: Buffer; readonly sizeBytes: number };

/**
 * One entry of an archive. Names are bytes, not text: here one character a byte (latin1), so that
 * they sort as bytes do.
 */
export interface CpioEntry {
  /** Relative, without `.` and `..`. */
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'symlink';
  /** Permission bits. */
  readonly mode: number;
  /** Of a file. */
  readonly contents?: CpioContents;
  /** Entries with the same link are one file with several names. */
  readonly link?: string;
  /** Of a symbolic link: where it points, written down and never followed. */
  readonly target?: string;
}

/** How an entry's size in the archive follows from it. */
export function contentBytes({ contents, target }: CpioEntry): number {
  if (target !== undefined) return target.length;
  if (contents === undefined) return 0;
  return 'bytes' in contents ? contents.bytes.length : contents.sizeBytes;
}
