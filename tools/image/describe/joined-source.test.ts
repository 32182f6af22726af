import fc from 'fast-check';
import { bytesSource } from 'tee-verify/measure';
import { describe, expect, it } from 'vitest';
import { joinedSource } from './joined-source.js';

describe('joinedSource', () => {
  it('reads as the parts do, filled up to four bytes each', async () => {
    const partsOf = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(partsOf, fc.nat(50), fc.nat(50), async (parts, offset, length) => {
        const padded = parts.flatMap((part) => [part, new Uint8Array((4 - (part.length % 4)) % 4)]);
        const whole = new Uint8Array(Buffer.concat(padded));
        const joined = joinedSource(parts.map((part) => bytesSource(part)));
        expect(joined.size).toBe(whole.length);
        expect(await joined.read(offset, length)).toEqual(whole.slice(offset, offset + length));
      }),
    );
  });
});
