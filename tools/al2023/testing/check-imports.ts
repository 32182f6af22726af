import { asIntrinsic, isRecord } from './intrinsics.js';
import type { Template } from './read-template.js';

/** How an export's name must begin, so that two base stacks do not clash. */
const OWN_STACK = `\${AWS::StackName}`;

/**
 * Every value that one template imports is exported by the other, when the parameter names the
 * other's stack: `${BaseStackName}-X` needs an export `${AWS::StackName}-X`.
 */
export function checkImports(
  importing: Template,
  exporting: Template,
  stackNameParameter: string,
): string[] {
  const exported = new Set<string>();
  const problems: string[] = [];
  for (const [name, output] of Object.entries(exporting.Outputs)) {
    const exportName = subText(output.Export?.Name);
    if (!exportName?.startsWith(`${OWN_STACK}-`)) {
      problems.push(`Outputs.${name}: its export must begin with the stack's name`);
    } else if (exported.has(exportName)) {
      problems.push(`Outputs.${name}: ${exportName} is exported twice`);
    } else exported.add(exportName);
  }

  for (const imported of findImports(importing.Resources)) {
    const text = subText(imported);
    const expected = text?.replace(`\${${stackNameParameter}}`, OWN_STACK);
    if (expected === undefined || !exported.has(expected)) {
      problems.push(`import of ${text ?? JSON.stringify(imported)}: the other stack exports none`);
    }
  }
  return problems;
}

function findImports(value: unknown): unknown[] {
  const call = asIntrinsic(value);
  if (call?.name === 'Fn::ImportValue') return [call.argument];
  if (Array.isArray(value)) return value.flatMap(findImports);
  return isRecord(value) ? Object.values(value).flatMap(findImports) : [];
}

function subText(value: unknown): string | undefined {
  const call = asIntrinsic(value);
  return call?.name === 'Fn::Sub' && typeof call.argument === 'string' ? call.argument : undefined;
}
