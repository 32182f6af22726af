import { parse } from 'yaml';
import { isRecord } from './intrinsics.js';

/** Action modules of the component framework (Image Builder user guide, "Action modules"). */
const ACTIONS = [
  'AppendFile',
  'Assert',
  'CopyFile',
  'CopyFolder',
  'CreateFile',
  'CreateFolder',
  'CreateSymlink',
  'DeleteFile',
  'DeleteFolder',
  'ExecuteBash',
  'ExecuteBinary',
  'ExecuteDocument',
  'ListFiles',
  'MoveFile',
  'MoveFolder',
  'ReadFile',
  'Reboot',
  'S3Download',
  'S3Upload',
  'SetFileEncoding',
  'SetFileOwner',
  'SetFilePermissions',
  'SetFolderOwner',
  'SetFolderPermissions',
  'UpdateOS',
  'WebDownload',
];
const PHASES = ['build', 'validate', 'test', 'container-host-test'];
const STEP_KEYS = ['name', 'action', 'timeoutSeconds', 'onFailure', 'maxAttempts', 'inputs'];
const PARAMETER_KEYS = ['type', 'default', 'description'];
/** The service refuses inline data beyond this. */
const MAX_CHARACTERS = 16_000;

export interface ComponentDocument {
  readonly parameters: ReadonlySet<string>;
  /** The shell commands of each step, for a look by other tools. */
  readonly scripts: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Reads and checks a component document (Image Builder user guide, "Document schema"). */
export function checkComponent(data: string): ComponentDocument {
  const problems: string[] = [];
  const scripts = new Map<string, string>();
  const document = parse(data) as Record<string, unknown>;

  if (data.length > MAX_CHARACTERS) problems.push(`${data.length} characters are too many`);
  for (const key of Object.keys(document)) {
    if (!['name', 'description', 'schemaVersion', 'parameters', 'phases'].includes(key)) {
      problems.push(`unknown key ${key}`);
    }
  }
  if (document.schemaVersion !== 1) problems.push('schemaVersion must be 1.0');

  const parameters = readParameters(document.parameters ?? []);
  checkPhases(document.phases);

  const used = [...data.matchAll(/\{\{\s*(.*?)\s*\}\}/g)].map((match) => match[1] ?? '');
  for (const name of used) if (!parameters.has(name)) problems.push(`no parameter ${name}`);
  for (const name of parameters) if (!used.includes(name)) problems.push(`${name} is not used`);
  return { parameters, scripts, problems };

  function readParameters(list: unknown): Set<string> {
    const names = new Set<string>();
    for (const item of list as Record<string, Record<string, unknown>>[]) {
      for (const [name, about] of Object.entries(item)) {
        if (!/^[A-Za-z0-9_-]{3,128}$/.test(name)) problems.push(`bad parameter name ${name}`);
        if (about.type !== 'string') problems.push(`${name}: the only type is string`);
        if (about.default !== undefined && typeof about.default !== 'string') {
          problems.push(`${name}: its default is no string`);
        }
        for (const key of Object.keys(about)) {
          if (!PARAMETER_KEYS.includes(key)) problems.push(`${name}: unknown key ${key}`);
        }
        names.add(name);
      }
    }
    return names;
  }

  function checkPhases(phases: unknown): void {
    if (!Array.isArray(phases) || phases.length === 0) {
      problems.push('no phases');
      return;
    }
    for (const phase of phases) {
      if (!PHASES.includes(phase.name)) problems.push(`unknown phase ${phase.name}`);
      for (const step of phase.steps ?? []) checkStep(step);
    }
  }

  function checkStep(step: Record<string, unknown>): void {
    const name = String(step.name);
    if (scripts.has(name)) problems.push(`two steps ${name}`);
    for (const key of Object.keys(step)) {
      if (!STEP_KEYS.includes(key)) problems.push(`${name}: unknown key ${key}`);
    }
    if (!ACTIONS.includes(String(step.action))) {
      problems.push(`${name}: unknown action ${step.action}`);
    }
    if (!['Abort', 'Continue', 'Ignore', undefined].includes(step.onFailure as string)) {
      problems.push(`${name}: unknown onFailure ${step.onFailure}`);
    }
    if (step.timeoutSeconds !== undefined && !Number.isInteger(step.timeoutSeconds)) {
      problems.push(`${name}: timeoutSeconds must be an integer`);
    }
    const inputs = step.inputs;
    const commands = isRecord(inputs) ? inputs.commands : undefined;
    if (step.action === 'ExecuteBash') {
      if (!Array.isArray(commands) || !commands.every((line) => typeof line === 'string')) {
        problems.push(`${name}: ExecuteBash needs a list of commands`);
      } else scripts.set(name, commands.join('\n'));
    }
  }
}
