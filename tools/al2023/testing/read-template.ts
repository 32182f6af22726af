import { isAlias, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml';

/** A CloudFormation template as plain data: `!Ref x` is read as `{ Ref: x }`, as in JSON. */
export interface Template {
  readonly Parameters: Record<string, TemplateParameter>;
  readonly Conditions: Record<string, unknown>;
  readonly Resources: Record<string, TemplateResource>;
  readonly Outputs: Record<string, TemplateOutput>;
}

export interface TemplateParameter {
  readonly Type: string;
  readonly Default?: string;
  readonly AllowedValues?: readonly string[];
  readonly AllowedPattern?: string;
}

export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Record<string, unknown>;
}

export interface TemplateOutput {
  readonly Value: unknown;
  readonly Export?: { readonly Name: unknown };
}

const SECTIONS = [
  'AWSTemplateFormatVersion',
  'Description',
  'Parameters',
  'Conditions',
  'Resources',
  'Outputs',
];

/** Reads a template; throws on bad YAML, doubled keys and sections that CloudFormation does not know. */
export function readTemplate(text: string): Template {
  const document = parseDocument(text, { logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  const template = toPlain(document.contents) as Record<string, unknown>;
  for (const section of Object.keys(template)) {
    if (!SECTIONS.includes(section)) throw new Error(`unknown section ${section}`);
  }
  return { Parameters: {}, Conditions: {}, Outputs: {}, ...template } as unknown as Template;
}

function toPlain(node: unknown): unknown {
  if (isAlias(node)) throw new Error('CloudFormation does not read YAML aliases');
  if (isMap(node)) {
    const entries = node.items.map((pair) => {
      if (!isPair(pair) || !isScalar(pair.key)) throw new Error('a key must be a string');
      return [String(pair.key.value), toPlain(pair.value)] as const;
    });
    return withTag(node.tag, Object.fromEntries(entries));
  }
  if (isSeq(node)) return withTag(node.tag, node.items.map(toPlain));
  if (isScalar(node)) return withTag(node.tag, node.value);
  return null;
}

function withTag(tag: string | undefined, value: unknown): unknown {
  if (tag === undefined || !tag.startsWith('!')) return value;
  const name = tag.slice(1);
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  if (name === 'GetAtt' && typeof value === 'string') {
    const dot = value.indexOf('.');
    return { 'Fn::GetAtt': [value.slice(0, dot), value.slice(dot + 1)] };
  }
  return { [`Fn::${name}`]: value };
}
