import { concatBytes } from '../bytes/bytes.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import type { CreateHasher } from './hasher.js';

/** What kind of thing an event measures. */
export type MeasuredEventKind =
  | 'action'
  | 'separator'
  | 'image'
  | 'kernel'
  | 'variable'
  | 'authority'
  | 'section-name'
  | 'section'
  | 'load-options'
  | 'command-line'
  | 'initrd';

/** One predicted extend of a PCR, as it stands in a manifest's list of events. */
export interface MeasuredEvent {
  readonly pcr: number;
  /** SHA-384 of what is measured: 96 lower-case hex digits. */
  readonly digest: string;
  /** One line for people, e.g. `Authenticode digest of the UKI`. */
  readonly description: string;
  readonly kind: MeasuredEventKind;
}

/** The value of a PCR after extending these digests (hex) in order, from zeros; lower-case hex. */
export function extendAll(digests: readonly string[], createHasher: CreateHasher): string {
  let value: Uint8Array = new Uint8Array(48);
  for (const digest of digests) {
    const hasher = createHasher('SHA-384');
    hasher.update(concatBytes(value, decodeHex(digest) ?? new Uint8Array()));
    value = hasher.digest();
  }
  return encodeHex(value);
}
