import { loadAwsServiceSpec } from '@aws-cdk/aws-service-spec';
import type { Property, PropertyType, Resource } from '@aws-cdk/service-spec-types';
import { asIntrinsic, isRecord } from './intrinsics.js';
import type { Template } from './read-template.js';

/** CloudFormation's resource schemas, from a package: nothing is fetched. */
export type ServiceSpec = Awaited<ReturnType<typeof loadAwsServiceSpec>>;

export { loadAwsServiceSpec as loadServiceSpec };

export function findResourceSchema(spec: ServiceSpec, type: string): Resource | undefined {
  return [...spec.lookup('resource', 'cloudFormationType', 'equals', type)][0];
}

const RESOURCE_KEYS = [
  'Type',
  'Properties',
  'DependsOn',
  'Condition',
  'DeletionPolicy',
  'UpdateReplacePolicy',
  'Metadata',
];

/** Every resource against its schema: type, names, required properties and types of values. */
export function checkProperties(template: Template, spec: ServiceSpec): string[] {
  const problems: string[] = [];

  for (const [name, resource] of Object.entries(template.Resources)) {
    for (const key of Object.keys(resource)) {
      if (!RESOURCE_KEYS.includes(key)) problems.push(`${name}: unknown key ${key}`);
    }
    const schema = findResourceSchema(spec, resource.Type);
    if (schema === undefined) problems.push(`${name}: no resource type ${resource.Type}`);
    else checkObject(name, resource.Properties ?? {}, schema.properties);
  }
  return problems;

  function checkObject(
    where: string,
    value: Record<string, unknown>,
    properties: Record<string, Property>,
  ): void {
    for (const [key, item] of Object.entries(value)) {
      const property = properties[key];
      if (property === undefined) problems.push(`${where}: unknown property ${key}`);
      else checkValue(`${where}.${key}`, item, property.type);
    }
    for (const [key, property] of Object.entries(properties)) {
      if (property.required === true && !(key in value)) {
        problems.push(`${where}: required property ${key} is missing`);
      }
    }
  }

  function checkValue(where: string, value: unknown, type: PropertyType): void {
    const call = asIntrinsic(value);
    if (call?.name === 'Fn::If') {
      const [, yes, no] = call.argument as unknown[];
      for (const branch of [yes, no]) if (!isNoValue(branch)) checkValue(where, branch, type);
      return;
    }
    if (call !== undefined && type.type !== 'json') {
      checkCallResult(where, call.argument, type);
      return;
    }
    switch (type.type) {
      case 'array':
        if (!Array.isArray(value)) expected(where, 'a list', value);
        else
          for (const [i, item] of value.entries()) checkValue(`${where}[${i}]`, item, type.element);
        return;
      case 'map':
        if (!isRecord(value)) expected(where, 'a map', value);
        else
          for (const [k, v] of Object.entries(value)) checkValue(`${where}.${k}`, v, type.element);
        return;
      case 'ref':
        if (!isRecord(value)) expected(where, 'an object', value);
        else checkObject(where, value, spec.get('typeDefinition', type.reference.$ref).properties);
        return;
      case 'tag':
        if (!isRecord(value) || !('Key' in value) || !('Value' in value)) {
          expected(where, 'a tag', value);
        }
        return;
      case 'union': {
        const before = problems.length;
        for (const one of type.types) {
          problems.length = before;
          checkValue(where, value, one);
          if (problems.length === before) return;
        }
        return;
      }
      case 'json':
        if (!isRecord(value) && !Array.isArray(value)) expected(where, 'a JSON object', value);
        return;
      default:
        checkScalar(where, value, type);
    }
  }

  function checkScalar(where: string, value: unknown, type: PropertyType): void {
    switch (type.type) {
      case 'string':
      case 'date-time':
        if (typeof value !== 'string') expected(where, 'a string', value);
        else if (type.type === 'string' && type.allowedValues?.includes(value) === false) {
          expected(where, `one of ${type.allowedValues.join(', ')}`, value);
        }
        return;
      case 'integer':
        if (!Number.isInteger(value)) expected(where, 'an integer', value);
        return;
      case 'number':
        if (typeof value !== 'number') expected(where, 'a number', value);
        return;
      case 'boolean':
        if (typeof value !== 'boolean') expected(where, 'a boolean', value);
        return;
      default:
        problems.push(`${where}: the schema's type ${type.type} is not checked here`);
    }
  }

  /** Functions give strings here: fine for a scalar, and for a boolean if only true and false can come. */
  function checkCallResult(where: string, argument: unknown, type: PropertyType): void {
    const parameter = typeof argument === 'string' ? template.Parameters[argument] : undefined;
    if (type.type === 'boolean') {
      const values = [...(parameter?.AllowedValues ?? [])].sort();
      if (values.join() !== 'false,true') expected(where, 'a boolean', { Ref: argument });
    } else if (!['string', 'integer', 'number', 'union', 'date-time'].includes(type.type)) {
      expected(where, `a value of type ${type.type}`, argument);
    }
  }

  function expected(where: string, what: string, value: unknown): void {
    problems.push(`${where}: expected ${what}, not ${JSON.stringify(value)}`);
  }
}

function isNoValue(value: unknown): boolean {
  const call = asIntrinsic(value);
  return call?.name === 'Ref' && call.argument === 'AWS::NoValue';
}
