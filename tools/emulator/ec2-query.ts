import type { LocalRequest, LocalResponse } from './local-server.js';

/** Parameters of the EC2 query protocol as a tree: `Tag.1.Key` is `{ Tag: { 1: { Key } } }`. */
export interface QueryTree {
  readonly [name: string]: string | QueryTree;
}

/** What an XML answer is made of; arrays become `<item>`s. */
export type XmlValue =
  | string
  | number
  | boolean
  | readonly XmlValue[]
  | { readonly [name: string]: XmlValue };

const NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/';
const MAX_PARAMETERS = 2000;

/** Reads the form of a request. */
export function readQuery({ body }: LocalRequest): QueryTree {
  const tree: Record<string, unknown> = Object.create(null);
  const parameters = [...new URLSearchParams(new TextDecoder().decode(body))];
  for (const [name, value] of parameters.slice(0, MAX_PARAMETERS)) {
    const parts = name.split('.');
    let node = tree;
    for (const part of parts.slice(0, -1)) {
      const next = node[part];
      if (typeof next === 'object') node = next as Record<string, unknown>;
      else {
        node[part] = Object.create(null);
        node = node[part] as Record<string, unknown>;
      }
    }
    node[parts.at(-1) as string] = value;
  }
  return tree as QueryTree;
}

/** The text at a path such as `Ebs.SnapshotId`. */
export function textAt(tree: QueryTree, path: string): string | undefined {
  let node: string | QueryTree | undefined = tree;
  for (const part of path.split('.')) node = typeof node === 'object' ? node[part] : undefined;
  return typeof node === 'string' ? node : undefined;
}

/** The members of a list that is numbered from 1. */
export function listAt(tree: QueryTree, name: string): readonly (string | QueryTree)[] {
  const list = tree[name];
  if (list === undefined || typeof list === 'string') return [];
  return Object.keys(list)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => list[key] as string | QueryTree);
}

/** A successful answer to an action. */
export function xmlAnswer(
  action: string,
  content: { readonly [name: string]: XmlValue },
): LocalResponse {
  const body = `<${action}Response xmlns="${NAMESPACE}">${toXml({ requestId: 'emulator', ...content })}</${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body };
}

/** An error of EC2. */
export class Ec2Error extends Error {
  readonly #status: number;
  readonly #code: string;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.#code = code;
    this.#status = status;
  }

  toResponse(): LocalResponse {
    const error = toXml({ Errors: { Error: { Code: this.#code, Message: this.message } } });
    return {
      status: this.#status,
      headers: { 'content-type': 'text/xml;charset=UTF-8' },
      body: `<Response>${error}<RequestID>emulator</RequestID></Response>`,
    };
  }
}

function toXml(value: XmlValue): string {
  if (Array.isArray(value)) return value.map((item) => `<item>${toXml(item)}</item>`).join('');
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([name, content]) => `<${name}>${toXml(content)}</${name}>`)
      .join('');
  return String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
