import { describe, expect, it } from 'vitest';
import { Batches } from './batches.js';

describe('batches', () => {
  it('go on step by step, in the order they came, so many at a time', async () => {
    const batches = new Batches(2);
    const log: string[] = [];
    const run = async (name: string): Promise<void> => {
      await batches.join();
      log.push(`${name}1`);
      await undefined;
      log.push(`${name}2`);
    };
    await Promise.all(['a', 'b', 'c'].map(run));
    expect(log).toEqual(['a1', 'b1', 'a2', 'b2', 'c1', 'c2']);
  });

  it('wait for nobody, and begin anew', async () => {
    const batches = new Batches(16);
    await batches.join();
    await Promise.all([batches.join(), batches.join()]);
    const late: string[] = [];
    const first = batches.join().then(() => {
      late.push('first');
      return batches.join();
    });
    await Promise.all([first, batches.join().then(() => late.push('second'))]);
    expect(late).toEqual(['first', 'second']);
  });

  it('let what comes in be read between two of them', async () => {
    const batches = new Batches(1);
    const log: string[] = [];
    const entered = [1, 2, 3].map((n) => batches.join().then(() => log.push(`batch ${n}`)));
    setImmediate(() => log.push('something else'));
    await Promise.all(entered);
    expect(log.indexOf('something else')).toBeLessThan(3);
  });
});
