import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CODES } from '../src/result/codes.js';
import { checkSchema } from './check-schema.js';
import { loadCases } from './load-cases.js';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const schema = read('./schema.json');
const cases = loadCases();

describe('the committed cases', () => {
  it('are at least 120, each with its own id', () => {
    expect(cases.length).toBeGreaterThanOrEqual(120);
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
  });

  it('follow the schema', () => {
    expect(cases.flatMap((one) => checkSchema(one, schema, one.id))).toEqual([]);
  });

  it('name a code of the table and its step exactly when they are rejected', () => {
    for (const { id, attacker, expected } of cases) {
      const { verdict, code, step } = expected;
      if (verdict === 'rejected') {
        expect(code !== undefined && Object.hasOwn(CODES, code), `${id}: ${code}`).toBe(true);
        expect(step, id).toBe(code?.split('.')[0]);
        expect(attacker, id).not.toBe('none');
      } else {
        expect(code, id).toBeUndefined();
        expect(attacker, id).toBe('none');
      }
    }
  });

  it('are the ones the index lists', () => {
    const listed = read('./index.json').cases.map(({ id }: { id: string }) => id);
    expect([...listed].sort()).toEqual(cases.map(({ id }) => id).sort());
  });

  it('reach every code that evidence or a manifest can cause', () => {
    const ours = /^(evidence|cbor|cose|x509|document|quote|bundle|freshness|manifest|pcr)\./;
    const reached = new Set(cases.map(({ expected }) => expected.code));
    const missing = Object.keys(CODES).filter(
      (code) => ours.test(code) && !reached.has(code as keyof typeof CODES),
    );
    expect(missing).toEqual([]);
  });
});

describe('the schema checker', () => {
  it('finds what is wrong', () => {
    const [good] = cases;
    const wrong = (change: object): string[] => checkSchema({ ...good, ...change }, schema);
    expect(wrong({})).toEqual([]);
    expect(wrong({ id: 'Not An Id' })).toHaveLength(1);
    expect(wrong({ extra: 1 })).toEqual(['$: unknown extra']);
    expect(wrong({ nowMs: 'yesterday' })).toHaveLength(1);
    expect(wrong({ options: { nonce: 'zz', allowDebug: 1 } })).toHaveLength(2);
    expect(wrong({ expected: {} })).toEqual(['$.expected: verdict is missing']);
    expect(wrong({ trustAnchorsPem: ['x', 1] })).toHaveLength(2);
    expect(() => checkSchema(1, { not: {} })).toThrow('not supported');
  });
});
