import type { ByteSource } from 'tee-verify/measure';

const ALIGNMENT = 4;

/** Sources one behind the other, each filled up with zeros to four bytes, as the stub does it. */
export function joinedSource(parts: readonly ByteSource[]): ByteSource {
  let size = 0;
  const placed = parts.map((part) => {
    const start = size;
    size += Math.ceil(part.size / ALIGNMENT) * ALIGNMENT;
    return { part, start };
  });
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      for (const { part, start } of placed) {
        const from = Math.max(offset, start);
        const to = Math.min(offset + bytes.length, start + part.size);
        if (from < to) bytes.set(await part.read(from - start, to - from), from - offset);
      }
      return bytes;
    },
  };
}
