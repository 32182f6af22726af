import { asciiBytes, type Bytes } from './bytes.js';

/** The two digits of each byte, as they lie in memory. */
const DIGITS = new Uint16Array(
  asciiBytes(Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join(''))
    .buffer,
);
/** For short texts: each verification writes some 50, and a byte string costs more than its digits. */
const SCRATCH = new Uint16Array(128);
const ASCII = new TextDecoder();

/** Value of a byte as a hex digit, -1 for the others. */
const VALUES: Int8Array = Int8Array.from({ length: 256 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()),
);

/** ECMAScript 2026 has both in the engine, many times faster; Node 20 does not. */
const NATIVE: { fromHex?(text: string): Bytes } = Uint8Array as { fromHex?(text: string): Bytes };
type WithHex = Uint8Array & { toHex?(): string };

/** Lower-case hex without separators. */
export function encodeHex(bytes: Uint8Array): string {
  const native = (bytes as WithHex).toHex?.();
  if (native !== undefined) return native;
  const { length } = bytes;
  // A text that grows by digits takes twice as long, and fifteen times the memory.
  const digits = length > SCRATCH.length ? new Uint16Array(length) : SCRATCH.subarray(0, length);
  for (let i = 0; i < length; i++) digits[i] = DIGITS[bytes[i] as number] as number;
  return ASCII.decode(digits);
}

/** The bytes of a hex text (either case, no prefix, no separators), or undefined when it is not one. */
export function decodeHex(text: string): Bytes | undefined {
  try {
    // Its byte strings live outside of the engine's heap: for a digest, the loop is faster.
    if (NATIVE.fromHex && text.length > 128) return NATIVE.fromHex(text);
  } catch {
    return undefined;
  }
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  let wrong = 0;
  for (let i = 0; i < bytes.length; i++) {
    const high = VALUES[text.charCodeAt(2 * i)] ?? -1;
    const low = VALUES[text.charCodeAt(2 * i + 1)] ?? -1;
    // Negative once, negative for ever.
    wrong |= high | low;
    bytes[i] = (high << 4) | low;
  }
  return wrong < 0 ? undefined : bytes;
}

/** A byte as a message shows it, e.g. 0x05. */
export function hexByte(value: number): string {
  return `0x${encodeHex(Uint8Array.of(value))}`;
}
