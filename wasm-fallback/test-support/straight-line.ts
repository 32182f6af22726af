import {
  add,
  contains,
  type Interval,
  multiply,
  shiftLeft,
  shiftRight,
  signed,
  subtract,
} from './interval.js';

/** An expression as the generated code writes it; `bits` is the width of the machine's operation. */
type Node =
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'load'; readonly operand: string; readonly index: number }
  | { readonly kind: 'cast'; readonly to: string; readonly of: Node }
  | { readonly kind: 'op'; readonly op: string; readonly left: Node; readonly right: Node };

/** One generated function: `const name: i64 = node` lines, then stores of nodes. */
export interface StraightLine {
  readonly name: string;
  readonly operands: readonly string[];
  readonly lines: readonly { readonly name: string; readonly node: Node }[];
  readonly stores: readonly Node[];
}

const PRECEDENCE = [['&'], ['<<', '>>'], ['+', '-'], ['*']];

/** Reads the functions of field-unrolled.ts. Throws at anything that isn't of its few forms. */
export function parseStraightLines(source: string): Map<string, StraightLine> {
  const functions = new Map<string, StraightLine>();
  for (const match of source.matchAll(
    /^export function (\w+)\((.*)\): void \{\n([\s\S]*?)^\}$/gm,
  )) {
    const [, name = '', operands = '', body = ''] = match;
    const lines: { name: string; node: Node }[] = [];
    const stores: Node[] = [];
    for (const line of body.trimEnd().split('\n')) {
      const constant = /^ {2}const (\w+): i64 = (.*);$/.exec(line);
      const store = /^ {2}store<i32>\(o, (.*), (\d+)\);$/.exec(line);
      if (constant) lines.push({ name: constant[1] ?? '', node: parse(constant[2] ?? '') });
      else if (store && Number(store[2]) === 4 * stores.length) stores.push(parse(store[1] ?? ''));
      else throw new Error(`not understood: ${line}`);
    }
    functions.set(name, { name, operands: operands.split(', '), lines, stores });
  }
  if (functions.size !== (source.match(/function/g) ?? []).length)
    throw new Error('lost a function');
  return functions;
}

function parse(text: string): Node {
  const tokens = text.match(/load<i32>|0x[0-9a-f]+|\w+|<<|>>|[-+*&(),]/g) ?? [];
  if (tokens.join('') !== text.replaceAll(' ', '')) throw new Error(`not understood: ${text}`);
  let at = 0;
  const take = (expected?: string): string => {
    const token = tokens[at++] ?? '';
    if (expected !== undefined && token !== expected) throw new Error(`${expected} in ${text}`);
    return token;
  };
  function level(depth: number): Node {
    const ops = PRECEDENCE[depth];
    if (!ops) return atom();
    let left = level(depth + 1);
    while (ops.includes(tokens[at] ?? ''))
      left = { kind: 'op', op: take(), left, right: level(depth + 1) };
    return left;
  }
  function atom(): Node {
    const token = take();
    let node: Node;
    if (token === '(') {
      node = level(0);
      take(')');
    } else if (token === 'load<i32>') {
      take('(');
      const operand = take();
      take(',');
      node = { kind: 'load', operand, index: Number(take()) / 4 };
      take(')');
    } else
      node = /^\d/.test(token)
        ? { kind: 'number', value: BigInt(token) }
        : { kind: 'name', name: token };
    while (tokens[at] === 'as') {
      take();
      node = { kind: 'cast', to: take(), of: node };
    }
    return node;
  }
  const node = level(0);
  if (at !== tokens.length) throw new Error(`not understood: ${text}`);
  return node;
}

/** What the limbs of each operand may be, and the value of a shift operand. */
export interface Inputs {
  readonly limbs: Readonly<Record<string, readonly Interval[]>>;
  readonly shift: bigint;
}

/**
 * Runs a function over intervals. Throws where a sum, difference, product or left shift may leave
 * its 64-bit or 32-bit signed word. Returns the intervals of the stored words before the last cast to
 * 32 bits: whether that loses anything is for the caller, who knows the value of the whole.
 */
export function runOverIntervals(code: StraightLine, inputs: Inputs): Interval[] {
  const names = new Map<string, { interval: Interval; bits: bigint }>();
  function evaluate(node: Node): { interval: Interval; bits: bigint } {
    switch (node.kind) {
      case 'number':
        return { interval: [node.value, node.value], bits: 0n };
      case 'name': {
        if (node.name === 's') return { interval: [inputs.shift, inputs.shift], bits: 0n };
        const known = names.get(node.name);
        if (!known) throw new Error(`${code.name}: ${node.name} is unknown`);
        return known;
      }
      case 'load': {
        const interval = inputs.limbs[node.operand]?.[node.index];
        if (!interval) throw new Error(`${code.name}: no ${node.operand}[${node.index}]`);
        return { interval, bits: 32n };
      }
      case 'cast':
        return { interval: evaluate(node.of).interval, bits: node.to === 'i64' ? 64n : 32n };
      case 'op':
        return operate(node.op, evaluate(node.left), evaluate(node.right));
    }
  }
  function operate(
    op: string,
    { interval: a, bits: bitsA }: { interval: Interval; bits: bigint },
    { interval: b, bits: bitsB }: { interval: Interval; bits: bigint },
  ): { interval: Interval; bits: bigint } {
    const bits = bitsA > bitsB ? bitsA : bitsB;
    let interval: Interval;
    if (op === '+') interval = add(a, b);
    else if (op === '-') interval = subtract(a, b);
    else if (op === '*') interval = multiply(a, b);
    else if (op === '<<') interval = shiftLeft(a, b[0]);
    else if (op === '>>') interval = shiftRight(a, b[0]);
    else interval = [0n, b[1]]; // & with a mask
    if (!contains(signed(bits), interval))
      throw new Error(`${code.name}: ${bits} bits may overflow: ${interval[0]} to ${interval[1]}`);
    return { interval, bits };
  }
  for (const { name, node } of code.lines)
    names.set(name, { interval: evaluate(node).interval, bits: 64n });
  return code.stores.map((node) => evaluate(node).interval);
}
