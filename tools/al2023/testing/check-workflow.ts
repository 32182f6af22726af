import { parse } from 'yaml';
import { isRecord } from './intrinsics.js';

interface Action {
  readonly required: readonly string[];
  readonly optional: readonly string[];
  readonly outputs: readonly string[];
  /** Outputs that are lists: an entry of it is named with [n]. */
  readonly lists?: readonly string[];
  readonly maxSeconds: number;
}

const HOUR = 3600;

/** Step actions of a build workflow (Image Builder user guide, "Supported step actions"). */
const ACTIONS: Record<string, Action> = {
  LaunchInstance: {
    required: ['waitFor'],
    optional: ['imageIdOverride', 'instanceTypesOverride', 'healthCheck'],
    outputs: ['instanceId'],
    maxSeconds: 12 * HOUR,
  },
  ExecuteComponents: {
    required: ['instanceId'],
    optional: [],
    outputs: ['runCommandId', 'status', 'output'],
    maxSeconds: 24 * HOUR,
  },
  RunCommand: {
    required: ['instanceId', 'documentName'],
    optional: ['parameters', 'documentVersion'],
    outputs: ['runCommandId', 'status', 'output'],
    lists: ['output'],
    maxSeconds: 12 * HOUR,
  },
  CreateImage: {
    required: ['instanceId'],
    optional: [],
    outputs: ['imageId'],
    maxSeconds: 12 * HOUR,
  },
  TerminateInstance: {
    required: ['instanceId'],
    optional: ['waitForTermination'],
    outputs: [],
    maxSeconds: 12 * HOUR,
  },
};
const STEP_KEYS = [
  'name',
  'description',
  'action',
  'if',
  'inputs',
  'onFailure',
  'rollbackEnabled',
  'timeoutSeconds',
];
const MAX_STEPS = 15;
const MAX_CHARACTERS = 16_000;

/** Checks a build workflow's document (Image Builder user guide, "Create a YAML workflow document"). */
export function checkWorkflow(data: string): string[] {
  const problems: string[] = [];
  const document = parse(data) as Record<string, unknown>;
  const earlier = new Map<string, Action>();

  if (data.length > MAX_CHARACTERS) problems.push(`${data.length} characters are too many`);
  for (const key of Object.keys(document)) {
    const known = ['name', 'description', 'schemaVersion', 'parameters', 'steps', 'outputs'];
    if (!known.includes(key)) problems.push(`unknown key ${key}`);
  }
  if (document.schemaVersion !== 1) problems.push('schemaVersion must be 1.0');

  const parameters = ((document.parameters ?? []) as { name: string }[]).map(({ name }) => name);
  const steps = (document.steps ?? []) as Record<string, unknown>[];
  if (steps.length === 0 || steps.length > MAX_STEPS) problems.push(`${steps.length} steps`);
  for (const step of steps) checkStep(step);

  const outputs = (document.outputs ?? []) as { name: string; value: string }[];
  for (const { name, value } of outputs) checkPath(`output ${name}`, value);
  // "Build workflow must have output named ImageId to build AMI."
  if (!outputs.some(({ name }) => name === 'ImageId')) problems.push('no output ImageId');
  for (const name of parameters) {
    if (!data.includes(`$.parameters.${name}`)) problems.push(`parameter ${name} is not used`);
  }
  return problems;

  function checkStep(step: Record<string, unknown>): void {
    const name = String(step.name);
    const action = ACTIONS[String(step.action)];
    if (!/^\w{3,128}$/.test(name)) problems.push(`bad step name ${name}`);
    if (earlier.has(name)) problems.push(`two steps ${name}`);
    for (const key of Object.keys(step)) {
      if (!STEP_KEYS.includes(key)) problems.push(`${name}: unknown key ${key}`);
    }
    if (!['Abort', 'Continue', undefined].includes(step.onFailure as string)) {
      problems.push(`${name}: unknown onFailure ${step.onFailure}`);
    }
    if (action === undefined) {
      problems.push(`${name}: unknown action ${step.action}`);
      return;
    }
    const seconds = step.timeoutSeconds ?? 1;
    if (!Number.isInteger(seconds) || Number(seconds) < 1 || Number(seconds) > action.maxSeconds) {
      problems.push(`${name}: timeoutSeconds ${seconds} is out of range`);
    }
    checkInputs(name, action, isRecord(step.inputs) ? step.inputs : {});
    earlier.set(name, action);
  }

  function checkInputs(step: string, action: Action, inputs: Record<string, unknown>): void {
    const names = Object.keys(inputs).map((key) => key.replace(/\.\$$/, ''));
    for (const name of names) {
      if (![...action.required, ...action.optional].includes(name)) {
        problems.push(`${step}: unknown input ${name}`);
      }
    }
    for (const name of action.required) {
      if (!names.includes(name)) problems.push(`${step}: input ${name} is missing`);
    }
    for (const [key, value] of Object.entries(inputs)) {
      if (key.endsWith('.$')) checkPath(`${step}.${key}`, value);
      // Without .$ at the name the path would be taken as it stands.
      else if (String(value).startsWith('$.')) problems.push(`${step}.${key}: a path needs .$`);
    }
  }

  function checkPath(where: string, value: unknown): void {
    const [, node, name, output, index] =
      /^\$\.(\w+)\.(\w+)(?:\.(\w+)(\[\d+\])?)?$/.exec(String(value)) ?? [];
    if (node === 'parameters' && output === undefined) {
      if (!parameters.includes(name ?? '')) problems.push(`${where}: no parameter ${name}`);
      return;
    }
    const action = earlier.get(name ?? '');
    if (node !== 'stepOutputs' || action === undefined || output === undefined) {
      problems.push(`${where}: ${value} names no earlier step's output`);
    } else if (!action.outputs.includes(output)) {
      problems.push(`${where}: step ${name} has no output ${output}`);
    } else if ((index !== undefined) !== (action.lists ?? []).includes(output)) {
      problems.push(`${where}: ${value} must name one string`);
    }
  }
}
