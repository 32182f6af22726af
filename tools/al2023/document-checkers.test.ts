import { describe, expect, it } from 'vitest';
import { change } from './testing/change.js';
import { checkCommandDocument } from './testing/check-command-document.js';
import { checkComponent } from './testing/check-component.js';
import { checkWorkflow } from './testing/check-workflow.js';
import { readTemplate } from './testing/read-template.js';
import { baseTemplate, baseTemplateText, propertyText } from './testing/templates.js';

/** Each row breaks a document that is fine; the checker must say so, else it checks nothing. */
describe('the document checkers find what is wrong', () => {
  it.each([
    ['an unknown action', 'action: ExecuteBash', 'action: ExecuteBush', 'unknown action'],
    ['an unknown phase', '- name: build', '- name: bild', 'unknown phase'],
    [
      'a parameter that is not declared',
      '{{ RecipeSource }}',
      '{{ Recipe }}',
      'no parameter Recipe',
    ],
    ['a parameter that nothing uses', '{{ IncludePcrMeasurements }}', 'yes', 'is not used'],
    ['a parameter of another type', 'type: string', 'type: boolean', 'the only type is string'],
    ['a parameter key that is none', 'default: amazon', 'allowed: amazon', 'unknown key allowed'],
    ['a step key that is none', 'onFailure: Abort', 'onfailure: Abort', 'unknown key onfailure'],
    ['a reaction that is none', 'onFailure: Abort', 'onFailure: Panic', 'unknown onFailure'],
    ['a doubled step', 'name: FetchRecipe', 'name: InstallTools', 'two steps'],
    ['commands that are no list', 'commands:\n', 'command:\n', 'needs a list of commands'],
    ['another schema version', 'schemaVersion: 1.0', 'schemaVersion: 2.0', 'schemaVersion'],
    ['too much text', 'name: KiwiNg', `name: KiwiNg # ${'x'.repeat(16_000)}`, 'too many'],
  ])('component: %s', (_, from, to, problem) => {
    const data = propertyText(baseTemplate(), 'KiwiNgComponent', 'Data');
    expect(checkComponent(change(data, from, to)).problems.join('\n')).toContain(problem);
  });

  it.each([
    ['an unknown action', 'action: RunCommand', 'action: RunScript', 'unknown action'],
    ['an unknown input', 'documentName:', 'document:', 'unknown input document'],
    [
      'a missing input',
      '      waitFor: ssmAgent\n',
      '      healthCheck: RUNNING\n',
      'waitFor is missing',
    ],
    ['a path without its mark', 'instanceId.$:', 'instanceId:', 'a path needs .$'],
    [
      'a step that is none',
      'stepOutputs.LaunchBuildInstance.',
      'stepOutputs.Launch.',
      'names no earlier',
    ],
    [
      'an output that is none',
      '.LaunchBuildInstance.instanceId',
      '.LaunchBuildInstance.id',
      'no output id',
    ],
    [
      'a whole list as the AMI',
      'CreateOutputAmi.output[0]',
      'CreateOutputAmi.output',
      'one string',
    ],
    ['no ImageId', 'name: ImageId', 'name: AmiId', 'no output ImageId'],
    ['a doubled step', 'name: ApplyBuildComponents', 'name: LaunchBuildInstance', 'two steps'],
    ['a bad step name', 'name: ApplyBuildComponents', 'name: Apply Components', 'bad step name'],
    ['too long a wait', 'timeoutSeconds: 14400', 'timeoutSeconds: 86400', 'out of range'],
    ['a reaction that is none', 'onFailure: Continue', 'onFailure: Ignore', 'unknown onFailure'],
    ['a step key that is none', 'onFailure: Abort', 'onfailure: Abort', 'unknown key'],
  ])('workflow: %s', (_, from, to, problem) => {
    const data = propertyText(baseTemplate(), 'ImageWorkflow', 'Data');
    expect(checkWorkflow(change(data, from, to)).join('\n')).toContain(problem);
  });

  it.each([
    ['a number for the version', "schemaVersion: '2.2'", 'schemaVersion: 2.2', 'schemaVersion'],
    ['an unknown action', 'action: aws:runShellScript', 'action: aws:runScript', 'unknown action'],
    ['an unknown input', 'runCommand:', 'runCommands:', 'unknown input'],
    ['a number for the time', "timeoutSeconds: '10800'", 'timeoutSeconds: 10800', 'a string'],
    [
      'a parameter that is not declared',
      'set -euo pipefail\n                  work=',
      'x={{ Y }}\n                  work=',
      'no parameter Y',
    ],
    ['a key that is none', 'mainSteps:', 'steps:', 'unknown key steps'],
  ])('command document: %s', (_, from, to, problem) => {
    const { Properties = {} } =
      readTemplate(change(baseTemplateText(), from, to)).Resources.CreateOutputAmiDocument ?? {};
    expect(checkCommandDocument(Properties.Content).problems.join('\n')).toContain(problem);
  });
});
