// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are CloudFormation's placeholders
import { beforeAll, describe, expect, it } from 'vitest';
import { change } from './testing/change.js';
import { checkImports } from './testing/check-imports.js';
import { checkPolicies } from './testing/check-policies.js';
import { checkProperties, loadServiceSpec, type ServiceSpec } from './testing/check-properties.js';
import { checkReferences } from './testing/check-references.js';
import { readTemplate } from './testing/read-template.js';
import {
  baseTemplate,
  baseTemplateText,
  pipelineTemplate,
  pipelineTemplateText,
} from './testing/templates.js';

/** Each row breaks a template that is fine; the checker must say so, else it checks nothing. */
describe('the template checkers find what is wrong', () => {
  let spec: ServiceSpec;

  beforeAll(async () => {
    spec = await loadServiceSpec();
  });

  const base = (from: string, to: string) => readTemplate(change(baseTemplateText(), from, to));
  const pipeline = (from: string, to: string) =>
    readTemplate(change(pipelineTemplateText(), from, to));

  it.each([
    ['an unknown resource type', 'AWS::SSM::Document', 'AWS::SSM::Paper', 'no resource type'],
    ['an unknown property', 'TargetType:', 'TargetKind:', 'unknown property TargetKind'],
    ['an unknown nested property', 'HttpTokens:', 'HttpToken:', 'unknown property HttpToken'],
    ['a missing property', '      Platform: Linux\n', '', 'required property Platform'],
    ['a string for a list', 'InstanceTypes:\n        - ', 'InstanceTypes: ', 'type array'],
    ['a string for a boolean', 'BlockPublicAcls: true', "BlockPublicAcls: 'yes'", 'a boolean'],
    ['a string for a number', 'ExpirationInDays: 90', 'ExpirationInDays: soon', 'an integer'],
    ['a value that is none of the allowed', 'Platform: Linux', 'Platform: Plan9', 'one of'],
    ['a list for a string', 'S3KeyPrefix: !Ref', 'S3KeyPrefix: [x] #', 'expected a string'],
    [
      'a parameter that is no boolean',
      'TerminateInstanceOnFailure: !Ref TerminateInstanceOnFailure',
      'TerminateInstanceOnFailure: !Ref InstanceType',
      'a boolean',
    ],
    [
      'an unknown key of a resource',
      'Type: AWS::S3::BucketPolicy\n',
      'Type: AWS::S3::BucketPolicy\n    Dependson: LogBucket\n',
      'unknown key Dependson',
    ],
  ])('%s', (_, from, to, problem) => {
    expect(checkProperties(base(from, to), spec).join('\n')).toContain(problem);
  });

  it.each([
    ['a Ref to nothing', '!Ref SubnetId', '!Ref SubNetId', 'neither a parameter nor a resource'],
    ['a parameter that nothing uses', '!Ref InstanceType', 'c7i.large', 'InstanceType: not used'],
    ['a condition that is not declared', '!If [HasKeyPair', '!If [HasKeys', 'no condition HasKeys'],
    [
      'a condition that nothing uses',
      '!If [HasKeyPair, !Ref KeyPair, !Ref AWS::NoValue]',
      '!Ref KeyPair',
      'HasKeyPair: not used',
    ],
    [
      'an attribute that is none',
      '!GetAtt LogBucket.Arn',
      '!GetAtt LogBucket.Ran',
      'no attribute Ran',
    ],
    [
      'an attribute of nothing',
      '!GetAtt LogBucket.Arn',
      '!GetAtt Bucket.Arn',
      'Bucket is no resource',
    ],
    [
      'a Sub of nothing',
      '${ResourceNamePrefix}-workflow',
      '${Prefix}-workflow',
      'Prefix is neither',
    ],
    ['a pseudo parameter that is none', '${AWS::Region}', '${AWS::Zone}', 'AWS::Zone is neither'],
    ['an unknown function', '!Not [', '!Nor [', 'unknown function Fn::Nor'],
    [
      'a dependency on nothing',
      'Type: AWS::S3::BucketPolicy',
      'Type: AWS::S3::BucketPolicy\n    DependsOn: Bucket',
      'DependsOn Bucket',
    ],
  ])('%s', (_, from, to, problem) => {
    expect(checkReferences(base(from, to), spec).join('\n')).toContain(problem);
  });

  it.each([
    [
      'an export that is gone',
      "    Export:\n      Name: !Sub '${AWS::StackName}-ImageWorkflowArn'\n",
      '',
    ],
    ['an export of another name', '-ImageWorkflowArn', '-WorkflowArn'],
    [
      'an export without the stack in it',
      "'${AWS::StackName}-ImageWorkflowArn'",
      "'x-ImageWorkflowArn'",
    ],
    ['two exports of one name', '-ImageWorkflowArn', '-KiwiNgComponentArn'],
  ])('%s', (_, from, to) => {
    expect(checkImports(pipelineTemplate(), base(from, to), 'BaseStackName')).not.toEqual([]);
  });

  it('an import of what is not exported', () => {
    const broken = pipeline('${BaseStackName}-ImageWorkflowArn', '${BaseStackName}-Workflow');
    expect(checkImports(broken, baseTemplate(), 'BaseStackName').join()).toContain('exports none');
  });

  it.each([
    ['a wildcard action', 'Action: s3:PutObject', "Action: 's3:*'", 'allows s3:*'],
    ['a wildcard for all actions', 'Action: s3:PutObject', "Action: '*'", 'bad action *'],
    ['every resource', "Resource: !Sub '${LogBucket.Arn}/*'", "Resource: '*'", 'every resource'],
    ['a listed statement under another name', 'Sid: LookUp', 'Sid: Look', 'every resource'],
    [
      'every bucket of the world',
      '                Condition:\n                  StringEquals:\n                    aws:ResourceAccount: !Ref AWS::AccountId\n',
      '',
      'every bucket',
    ],
    ['an effect that is none', 'Effect: Deny', 'Effect: Refuse', 'Allow or Deny'],
    ['an operator that is none', 'StringEquals:', 'StringEqual:', 'unknown operator StringEqual'],
    ['a misspelt key', 'Sid: LookUp', 'SID: LookUp', 'unknown key SID'],
    ['an old policy version', "Version: '2012-10-17'", "Version: '2008-10-17'", 'version'],
    ['a resource policy without principal', "            Principal: '*'\n", '', 'Principal'],
  ])('%s', (_, from, to, problem) => {
    const listed = new Map([
      ['LookUp', 'reason'],
      ['ReadResult', 'reason'],
    ]);
    expect(checkPolicies(base(from, to), listed).join('\n')).toContain(problem);
  });

  it.each([
    ['a doubled key', '  SubnetId:\n', '  KeyPair:\n    Type: String\n  SubnetId:\n'],
    ['a section that is none', 'Outputs:\n', 'Output:\n'],
    ['broken YAML', 'Conditions:\n', 'Conditions: [\n'],
  ])('%s', (_, from, to) => {
    expect(() => base(from, to)).toThrow();
  });
});
