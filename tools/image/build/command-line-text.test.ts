import { describe, expect, it } from 'vitest';
import { findRootHash, withRootHash } from './command-line-text.js';

const HASH = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

describe('withRootHash', () => {
  it.each(['', 'console=ttyS0 panic=30', 'dyndbg="file a.c +p; file b.c +p" quiet', 'x=a\\n'])(
    'adds it to %j, where it is found again',
    (words) => {
      const line = withRootHash(words, 'usr', HASH);
      expect(line).toBe(`${words}${words === '' ? '' : ' '}usrhash=${HASH}`);
      expect(findRootHash(line)).toEqual({ mount: 'usr', rootHash: HASH });
    },
  );

  it.each([
    ...[`roothash=${OTHER}`, 'quiet usrhash=', `rd.roothash=${OTHER}`, `root"hash"=${OTHER}`],
    // Opens quotation marks around the root hash.
    'x="a',
    // systemd takes single quotation marks and backslashes for marks, the kernel does not.
    ...["'systemd.verity=0'", "x='a b'", 'x=a\\ b', 'x=\\"a b\\"'],
    // Without dm-verity, or round it.
    ...['systemd.verity=no', 'rd.systemd.verity=0', '"systemd.verity=off"', 'root=/dev/nvme0n1p2'],
    'systemd.verity_root_options=ignore-corruption',
    ...['a\nb', 'é', ' a', 'a '],
  ])('refuses %j', (words) => {
    expect(() => withRootHash(words, 'root', HASH)).toThrow(/^uki-build\.command-line: /);
  });
});

describe('findRootHash', () => {
  it.each([
    ...['', 'quiet', `roothash=${HASH.slice(1)}`, `roothash=${HASH.toUpperCase()}`],
    ...[`roothash=${HASH} roothash=${HASH}`, `roothash=${HASH} rd.roothash=${OTHER}`],
    ...[`roothash=${HASH} 'roothash=${OTHER}'`, `roothash=${HASH} root"hash"=${OTHER}`],
    ...[`x="a roothash=${HASH} b"`, `"a roothash=${HASH}"`, `x=a\u00a0roothash=${HASH}`],
    ...[`'roothash=${HASH}'`, `x=\\" roothash=${HASH} \\"`],
  ])('finds none in %j', (line) => {
    expect(findRootHash(line)).toBeUndefined();
  });

  it('finds it in quotation marks', () => {
    expect(findRootHash(`quiet "roothash=${HASH}"\n`)?.rootHash).toBe(HASH);
  });
});
