import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentlyUsed } from './recently-used.js';

describe('RecentlyUsed', () => {
  it('forgets what was used longest ago, and never holds more than its capacity', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.tuple(fc.boolean(), fc.constantFrom(...'abcdefgh')), { maxLength: 60 }),
        (capacity, steps) => {
          const map = new RecentlyUsed<string>(capacity);
          /** Keys, the one used last at the end. */
          let model: string[] = [];
          for (const [isSet, key] of steps) {
            const isThere = model.includes(key);
            if (isSet) expect(map.set(key, key)).toBe(key);
            else expect(map.get(key)).toBe(isThere ? key : undefined);
            if (isSet || isThere)
              model = [...model.filter((other) => other !== key), key].slice(-capacity);
            expect(map.size).toBe(model.length);
          }
          for (const key of 'abcdefgh')
            expect(map.get(key)).toBe(model.includes(key) ? key : undefined);
          map.clear();
          expect(map.size).toBe(0);
        },
      ),
    );
  });
});
