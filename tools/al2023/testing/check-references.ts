import { findResourceSchema, type ServiceSpec } from './check-properties.js';
import { asIntrinsic, isKnownFunction, isRecord, namesInSub } from './intrinsics.js';
import type { Template } from './read-template.js';

const PSEUDO_PARAMETERS = [
  'AWS::AccountId',
  'AWS::NoValue',
  'AWS::Partition',
  'AWS::Region',
  'AWS::StackId',
  'AWS::StackName',
  'AWS::URLSuffix',
];

/** Every name that a template uses exists, and every parameter and condition that exists is used. */
export function checkReferences(template: Template, spec: ServiceSpec): string[] {
  const problems: string[] = [];
  const used = new Set<string>();

  for (const [name, resource] of Object.entries(template.Resources)) {
    visit(`Resources.${name}`, resource.Properties);
    const { DependsOn, Condition } = resource as { DependsOn?: unknown; Condition?: unknown };
    for (const other of [DependsOn ?? []].flat()) {
      if (other === name || !(String(other) in template.Resources)) {
        problems.push(`Resources.${name}: DependsOn ${other} is no other resource`);
      }
    }
    if (Condition !== undefined) useCondition(`Resources.${name}`, Condition);
  }
  visit('Conditions', template.Conditions);
  visit('Outputs', template.Outputs);

  for (const name of Object.keys(template.Parameters)) {
    if (!used.has(name)) problems.push(`Parameters.${name}: not used`);
    if (name in template.Resources) problems.push(`Parameters.${name}: also a resource`);
  }
  for (const name of Object.keys(template.Conditions)) {
    if (!used.has(`condition ${name}`)) problems.push(`Conditions.${name}: not used`);
  }
  return problems;

  function visit(where: string, value: unknown): void {
    const call = asIntrinsic(value);
    if (call !== undefined) useFunction(where, call.name, call.argument);
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) visit(`${where}[${i}]`, item);
    } else if (isRecord(value)) {
      for (const [key, item] of Object.entries(value)) visit(`${where}.${key}`, item);
    }
  }

  function useFunction(where: string, name: string, argument: unknown): void {
    if (!isKnownFunction(name)) problems.push(`${where}: unknown function ${name}`);
    if (name === 'Ref') useName(where, String(argument));
    if (name === 'Condition') useCondition(where, argument);
    if (name === 'Fn::If') useCondition(where, (argument as unknown[])[0]);
    if (name === 'Fn::GetAtt') {
      const [resource, attribute] = argument as string[];
      useAttribute(where, resource ?? '', attribute ?? '');
    }
    if (name === 'Fn::Sub') {
      for (const part of namesInSub(argument)) {
        const dot = part.indexOf('.');
        if (dot < 0) useName(where, part);
        else useAttribute(where, part.slice(0, dot), part.slice(dot + 1));
      }
    }
  }

  function useName(where: string, name: string): void {
    used.add(name);
    const exists =
      name in template.Parameters || name in template.Resources || PSEUDO_PARAMETERS.includes(name);
    if (!exists) problems.push(`${where}: ${name} is neither a parameter nor a resource`);
  }

  function useAttribute(where: string, name: string, attribute: string): void {
    const resource = template.Resources[name];
    if (resource === undefined) {
      problems.push(`${where}: ${name} is no resource`);
      return;
    }
    const schema = findResourceSchema(spec, resource.Type);
    if (schema !== undefined && !(attribute in schema.attributes)) {
      problems.push(`${where}: ${resource.Type} has no attribute ${attribute}`);
    }
  }

  function useCondition(where: string, name: unknown): void {
    used.add(`condition ${name}`);
    if (!(String(name) in template.Conditions)) problems.push(`${where}: no condition ${name}`);
  }
}
