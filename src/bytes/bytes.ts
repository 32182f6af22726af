/** Bytes that own an ordinary (never shared, never detached) buffer; what WebCrypto accepts. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A private copy: later changes by the caller cannot reach what is being checked. */
export function copyBytes(source: Uint8Array): Bytes {
  return new Uint8Array(source);
}

/**
 * The bytes of a Uint8Array or ArrayBuffer of any realm (a frame, a worker, a test's sandbox: their
 * classes differ, so `instanceof` says no), undefined for anything else. A view, not a copy.
 */
export function asBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  const tag = Object.prototype.toString.call(value);
  if (ArrayBuffer.isView(value) && tag === '[object Uint8Array]')
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return tag === '[object ArrayBuffer]' ? new Uint8Array(value as ArrayBuffer) : undefined;
}

/** Whether two byte strings are equal. Everything compared here is public, so no constant time. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Joins byte strings. */
export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    // For digests, a loop takes a third of the call.
    if (part.length > 64) joined.set(part, at);
    else for (let i = 0; i < part.length; i++) joined[at + i] = part[i] as number;
    at += part.length;
  }
  return joined;
}

/** Whether every byte equals `value` (default 0); true for the empty string. */
export function isFilledWith(bytes: Uint8Array, value = 0): boolean {
  for (const byte of bytes) if (byte !== value) return false;
  return true;
}

/** Orders byte strings lexicographically; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The bytes of an ASCII text. */
export function asciiBytes(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0x7f;
  return bytes;
}
