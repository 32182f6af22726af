import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinearChecksum } from './linear-checksum.js';

const digestOf = (index: number): Uint8Array => createHash('sha256').update(`${index}`).digest();

describe('LinearChecksum', () => {
  it('is the hash of all digests in the order of their indices, however threads take turns', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { maxLength: 60 }),
        fc.infiniteStream(fc.nat(2)),
        (threads, turns) => {
          const all = createHash('sha256');
          const queues: number[][] = [[], [], []];
          threads.forEach((thread, index) => {
            all.update(digestOf(index));
            queues[thread]?.push(index);
          });
          const checksum = new LinearChecksum(3);
          const open = new Set([0, 1, 2]);
          for (const turn of turns) {
            if (open.size === 0) break;
            const thread = [...open][turn % open.size] as number;
            const index = queues[thread]?.shift();
            if (index !== undefined) checksum.add(thread, index, digestOf(index));
            else {
              checksum.end(thread);
              open.delete(thread);
            }
          }
          expect(checksum.digest()).toBe(all.digest('base64'));
        },
      ),
    );
  });

  it('is not to be had before every thread has ended', () => {
    const checksum = new LinearChecksum(2);
    checksum.add(0, 3, digestOf(3));
    checksum.end(0);
    expect(() => checksum.digest()).toThrow(TypeError);
    checksum.end(1);
    expect(checksum.digest()).toBe(createHash('sha256').update(digestOf(3)).digest('base64'));
  });
});
