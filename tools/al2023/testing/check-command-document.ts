import { isRecord } from './intrinsics.js';

/** Plug-ins of a Command document (Systems Manager user guide, "Command document plugin reference"). */
const ACTIONS = ['aws:runShellScript', 'aws:runDocument', 'aws:downloadContent'];
const STEP_KEYS = ['name', 'action', 'precondition', 'inputs', 'onFailure', 'isEnd', 'finallyStep'];

export interface CommandDocument {
  readonly parameters: ReadonlySet<string>;
  readonly scripts: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Checks the content of a Systems Manager document of type Command, schema version 2.2. */
export function checkCommandDocument(content: unknown): CommandDocument {
  const problems: string[] = [];
  const scripts = new Map<string, string>();
  const document = isRecord(content) ? content : {};
  const declared = isRecord(document.parameters) ? document.parameters : {};
  const parameters = new Set(Object.keys(declared));

  for (const key of Object.keys(document)) {
    if (!['schemaVersion', 'description', 'parameters', 'mainSteps'].includes(key)) {
      problems.push(`unknown key ${key}`);
    }
  }
  if (document.schemaVersion !== '2.2') problems.push("schemaVersion must be '2.2'");

  const steps = (document.mainSteps ?? []) as Record<string, unknown>[];
  if (steps.length === 0) problems.push('no steps');
  for (const step of steps) checkStep(step);

  const text = JSON.stringify(document.mainSteps ?? []);
  const used = [...text.matchAll(/\{\{\s*(.*?)\s*\}\}/g)].map((match) => match[1] ?? '');
  for (const name of used) {
    if (!parameters.has(name) && !name.includes(':')) problems.push(`no parameter ${name}`);
  }
  for (const name of parameters) if (!used.includes(name)) problems.push(`${name} is not used`);
  return { parameters, scripts, problems };

  function checkStep(step: Record<string, unknown>): void {
    const name = String(step.name);
    if (!/^[A-Za-z0-9_-]{3,128}$/.test(name)) problems.push(`bad step name ${name}`);
    if (scripts.has(name)) problems.push(`two steps ${name}`);
    for (const key of Object.keys(step)) {
      if (!STEP_KEYS.includes(key)) problems.push(`${name}: unknown key ${key}`);
    }
    if (!ACTIONS.includes(String(step.action))) {
      problems.push(`${name}: unknown action ${step.action}`);
      return;
    }
    if (step.action !== 'aws:runShellScript') return;
    const inputs = isRecord(step.inputs) ? step.inputs : {};
    for (const key of Object.keys(inputs)) {
      if (!['runCommand', 'timeoutSeconds', 'workingDirectory'].includes(key)) {
        problems.push(`${name}: unknown input ${key}`);
      }
    }
    // The service takes it as a string and refuses more than two days.
    const seconds = inputs.timeoutSeconds ?? '3600';
    if (typeof seconds !== 'string' || !(Number(seconds) > 0 && Number(seconds) <= 172_800)) {
      problems.push(`${name}: timeoutSeconds must be a string of 1 to 172800`);
    }
    const lines = inputs.runCommand;
    if (!Array.isArray(lines) || !lines.every((line) => typeof line === 'string')) {
      problems.push(`${name}: runCommand must be a list of strings`);
    } else scripts.set(name, lines.join('\n'));
  }
}
