import { beforeAll, describe, expect, it } from 'vitest';
import { checkCommandDocument } from './testing/check-command-document.js';
import { checkComponent } from './testing/check-component.js';
import { checkPolicies } from './testing/check-policies.js';
import { checkProperties, loadServiceSpec, type ServiceSpec } from './testing/check-properties.js';
import { checkReferences } from './testing/check-references.js';
import { checkWorkflow } from './testing/check-workflow.js';
import { baseTemplate, propertyText, refersTo } from './testing/templates.js';

/** Statements that may name every resource, and why. */
const ANY_RESOURCE = new Map([
  ['LookUp', 'EC2 Describe calls know no resources'],
  ['ReadResult', "Systems Manager's command results know no resources"],
]);

describe('the base template', () => {
  let spec: ServiceSpec;
  const template = baseTemplate();

  beforeAll(async () => {
    spec = await loadServiceSpec();
  });

  it('has the documented parameters and defaults', () => {
    const defaults = Object.entries(template.Parameters).map(([name, p]) => [name, p.Default]);
    expect(Object.fromEntries(defaults)).toEqual({
      ResourceNamePrefix: 'attestable-ami',
      SubnetId: undefined,
      SecurityGroupId: undefined,
      KeyPair: '',
      TerminateInstanceOnFailure: 'true',
      ImageBuilderResourceVersion: '1.0.0',
      InstanceType: 'c7i.2xlarge',
    });
  });

  it('has the documented outputs', () => {
    expect(Object.keys(template.Outputs)).toEqual([
      'InfrastructureConfigurationArn',
      'ImageBuilderExecutionRoleArn',
      'ImageWorkflowArn',
      'KiwiNgComponentArn',
    ]);
  });

  it("fits CloudFormation's resource schemas", () => {
    expect(checkProperties(template, spec)).toEqual([]);
  });

  it('refers to what exists and uses all it declares', () => {
    expect(checkReferences(template, spec)).toEqual([]);
  });

  it('grants no wildcard actions, and every resource only where nothing narrower works', () => {
    expect(checkPolicies(template, ANY_RESOURCE)).toEqual([]);
  });

  it('keeps its logs encrypted, private and off plain HTTP', () => {
    const bucket = template.Resources.LogBucket?.Properties ?? {};
    expect(bucket.BucketEncryption).toBeDefined();
    expect(Object.values(bucket.PublicAccessBlockConfiguration as object)).toEqual(
      Array(4).fill(true),
    );
    expect(JSON.stringify(template.Resources.LogBucketPolicy)).toContain(
      '"Effect":"Deny","Principal":"*","Action":"s3:*"',
    );
  });

  it('asks for IMDSv2 on build instances', () => {
    const { Properties = {} } = template.Resources.InfrastructureConfiguration ?? {};
    expect(Properties.InstanceMetadataOptions).toMatchObject({ HttpTokens: 'required' });
  });

  it('has a sound component document', () => {
    const component = checkComponent(propertyText(template, 'KiwiNgComponent', 'Data'));
    expect(component.problems).toEqual([]);
    expect([...component.parameters]).toEqual(['RecipeSource', 'IncludePcrMeasurements']);
    expect([...component.scripts.keys()]).toEqual([
      'InstallTools',
      'FetchRecipe',
      'BuildRawImage',
      'WriteTagSpecification',
    ]);
  });

  it('has a sound command document that registers a UEFI, TPM 2.0, ENA and IMDSv2 image', () => {
    const { Properties = {} } = template.Resources.CreateOutputAmiDocument ?? {};
    expect(Properties.DocumentType).toBe('Command');
    const document = checkCommandDocument(Properties.Content);
    expect(document.problems).toEqual([]);
    const script = document.scripts.get('CreateOutputAmi') ?? '';
    for (const option of [
      '--boot-mode uefi',
      '--tpm-support v2.0',
      '--ena-support',
      '--imds-support v2.0',
    ]) {
      expect(script).toContain(option);
    }
  });

  it('has a sound workflow that runs that document', () => {
    const { Properties = {} } = template.Resources.ImageWorkflow ?? {};
    expect(Properties.Type).toBe('BUILD');
    expect(refersTo(Properties.Data, 'CreateOutputAmiDocument')).toBe(true);
    expect(checkWorkflow(propertyText(template, 'ImageWorkflow', 'Data'))).toEqual([]);
  });

  it('lets the step time out later than the document it runs', () => {
    const step = /name: CreateOutputAmi\n.*\n.*\n\s*timeoutSeconds: (\d+)/.exec(
      propertyText(template, 'ImageWorkflow', 'Data'),
    );
    const content = JSON.stringify(template.Resources.CreateOutputAmiDocument);
    const document = /"timeoutSeconds":"(\d+)"/.exec(content);
    expect(Number(step?.[1])).toBeGreaterThan(Number(document?.[1]));
  });
});
