// Writes assembly/field-unrolled.ts: the field arithmetic of both curves, without loops.
// The text it writes is the straight-line form of the column sums described below.
//
// Representation. A field element is a vector of 28-bit limbs, least significant first, each limb a
// signed 32-bit word: value = sum a[i] * 2^(28 i). P-384 has 14 limbs (R = 2^392), P-256 has 10
// (R = 2^280). Elements are kept in Montgomery form, a * R mod p (Montgomery, "Modular
// multiplication without trial division", Math. Comp. 44, 1985).
//
// Multiplication is by columns (product scanning): column k sums a[i] * b[k-i] in one signed 64-bit
// word, without any carry inside the column. Reduction is interleaved: for the low columns
// q[k] = column mod 2^28, and q[k] * p * 2^(28 k) is added, which clears column k. Both primes are
// -1 mod 2^28 ("Montgomery-friendly", Gueron and Krasnov, "Fast prime field elliptic-curve
// cryptography with 256-bit primes", 2013), so -1/p mod 2^28 = 1 and q[k] needs no multiplication.
// Nor does q * p: p + 1 is a sum of four signed powers of two (SP 800-186, G.1), each one a shift
// in one later column, and the -q of "p = (p + 1) - 1" is exactly what clears column k.
//
// The limits on the limbs of the operands are stated in assembly/point.ts and proven for every
// intermediate value by bounds.test.ts, which reads the generated text.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Limbs, and p + 1 as [sign, exponent of two]. */
const CURVES = [
  {
    limbs: 14,
    terms: [
      ['+', 384],
      ['-', 128],
      ['-', 96],
      ['+', 32],
    ],
  },
  {
    limbs: 10,
    terms: [
      ['+', 256],
      ['-', 224],
      ['+', 192],
      ['+', 96],
    ],
  },
];
const range = (n) => [...Array(n).keys()];
const load = (name, from, n) =>
  range(n).map((i) => `  const ${name}${i}: i64 = load<i32>(${from}, ${4 * i});`);

/** The products of column k of a * b. */
const product = (k, n) =>
  range(n)
    .filter((i) => k - i >= 0 && k - i < n)
    .map((i) => `a${i} * b${k - i}`)
    .join(' + ');

/** The products of column k of a * a: each mixed product once, doubled at the end. */
function square(k, n) {
  const mixed = range(n)
    .filter((i) => i < k - i && k - i < n)
    .map((i) => `a${i} * a${k - i}`);
  const middle = k % 2 === 0 ? [`a${k / 2} * a${k / 2}`] : [];
  return [...(mixed.length ? [`((${mixed.join(' + ')}) << 1)`] : []), ...middle].join(' + ');
}

/** o = a * b / R, or a * a / R, minus c << s when `subtracts`. */
function multiplication({ limbs: n, terms }, squares, subtracts) {
  const name = `${squares ? 'sqr' : 'mul'}${subtracts ? 'Sub' : ''}${n}`;
  const operands = ['o', 'a', ...(squares ? [] : ['b']), ...(subtracts ? ['c'] : [])];
  const out = [
    `export function ${name}(${operands.map((x) => `${x}: usize`).join(', ')}` +
      `${subtracts ? ', s: i64' : ''}): void {`,
    ...load('a', 'a', n),
    ...(squares ? [] : load('b', 'b', n)),
  ];
  for (const k of range(2 * n)) {
    const sum = (squares ? square : product)(k, n);
    let column = sum ? `(${sum})` : '';
    if (k > 0) column += `${column ? ' + ' : ''}(t${k - 1} >> 28)`;
    for (const [sign, exponent] of terms) {
      const from = k - Math.floor(exponent / 28);
      if (from >= 0 && from < n) column += ` ${sign} (q${from} << ${exponent % 28})`;
    }
    if (subtracts && k >= n) column += ` - ((load<i32>(c, ${4 * (k - n)}) as i64) << s)`;
    out.push(`  const t${k}: i64 = ${column};`);
    if (k < n) out.push(`  const q${k}: i64 = t${k} & 0xfffffff;`);
  }
  for (const i of range(n - 1))
    out.push(`  store<i32>(o, (t${n + i} & 0xfffffff) as i32, ${4 * i});`);
  out.push(`  store<i32>(o, t${2 * n - 1} as i32, ${4 * (n - 1)});`, '}', '');
  return out;
}

/** o = a + (b << s) and o = (a << s) - b, limb by limb, without carries. */
function linear({ limbs: n }) {
  const line = (i, sum) => `  store<i32>(o, ${sum}, ${4 * i});`;
  const at = (name, i) => `load<i32>(${name}, ${4 * i})`;
  return [
    `export function addShl${n}(o: usize, a: usize, b: usize, s: i32): void {`,
    ...range(n).map((i) => line(i, `${at('a', i)} + (${at('b', i)} << s)`)),
    '}',
    '',
    `export function shlSub${n}(o: usize, a: usize, s: i32, b: usize): void {`,
    ...range(n).map((i) => line(i, `(${at('a', i)} << s) - ${at('b', i)}`)),
    '}',
    '',
  ];
}

/** The whole text of assembly/field-unrolled.ts. */
export function fieldSource() {
  const lines = ['// Written by generate-field.mjs, which explains it. Do not edit.', ''];
  for (const curve of CURVES) {
    for (const subtracts of [false, true])
      for (const squares of [false, true]) lines.push(...multiplication(curve, squares, subtracts));
    lines.push(...linear(curve));
  }
  return lines.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(new URL('assembly/field-unrolled.ts', import.meta.url), fieldSource());
