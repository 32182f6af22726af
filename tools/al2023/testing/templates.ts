import { readFileSync } from 'node:fs';
import { asIntrinsic, asText } from './intrinsics.js';
import { readTemplate, type Template } from './read-template.js';

const file = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

export const baseTemplateText = (): string => file('base-template.yaml');
export const pipelineTemplateText = (): string => file('pipeline-template.yaml');
export const baseTemplate = (): Template => readTemplate(baseTemplateText());
export const pipelineTemplate = (): Template => readTemplate(pipelineTemplateText());

/** A property's text; throws when the resource has none, so that no check runs on nothing. */
export function propertyText(template: Template, resource: string, property: string): string {
  const text = asText(template.Resources[resource]?.Properties?.[property]);
  if (text === undefined) throw new Error(`${resource}.${property} is no text`);
  return text;
}

/** The names of the resources that a `Fn::Sub` or a list of them mentions. */
export function refersTo(value: unknown, name: string): boolean {
  const call = asIntrinsic(value);
  return call?.name === 'Fn::Sub' && String(call.argument).includes(`\${${name}}`);
}
