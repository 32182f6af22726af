import { beforeAll, describe, expect, it } from 'vitest';
import { checkComponent } from './testing/check-component.js';
import { checkImports } from './testing/check-imports.js';
import { checkProperties, loadServiceSpec, type ServiceSpec } from './testing/check-properties.js';
import { checkReferences } from './testing/check-references.js';
import { baseTemplate, pipelineTemplate, propertyText } from './testing/templates.js';

describe('the pipeline template', () => {
  let spec: ServiceSpec;
  const template = pipelineTemplate();

  beforeAll(async () => {
    spec = await loadServiceSpec();
  });

  it('has the documented parameters and defaults', () => {
    const defaults = Object.entries(template.Parameters).map(([name, p]) => [name, p.Default]);
    expect(Object.fromEntries(defaults)).toEqual({
      BaseStackName: undefined,
      RecipeSource: '',
      IncludePcrMeasurements: 'yes',
      ResourceNamePrefix: 'attestable-ami',
      ImageBuilderResourceVersion: '1.0.0',
    });
  });

  it('has the documented outputs', () => {
    expect(Object.keys(template.Outputs)).toEqual(['ImagePipelineArn', 'ImageRecipeArn']);
  });

  it("fits CloudFormation's resource schemas", () => {
    expect(checkProperties(template, spec)).toEqual([]);
  });

  it('refers to what exists and uses all it declares', () => {
    expect(checkReferences(template, spec)).toEqual([]);
  });

  it('imports only what the base stack exports', () => {
    expect(checkImports(template, baseTemplate(), 'BaseStackName')).toEqual([]);
  });

  it('sets only parameters that the component has', () => {
    const { parameters } = checkComponent(propertyText(baseTemplate(), 'KiwiNgComponent', 'Data'));
    const text = JSON.stringify(template.Resources.ImageRecipe?.Properties?.Components);
    const names = [...text.matchAll(/"Name":"(\w+)"/g)].map((match) => match[1]);
    expect(new Set(names)).toEqual(parameters);
  });

  it('is enabled and started by hand', () => {
    const { Properties = {} } = template.Resources.ImagePipeline ?? {};
    expect(Properties.Status).toBe('ENABLED');
    expect(Properties).not.toHaveProperty('Schedule');
  });

  const pattern = new RegExp(template.Parameters.RecipeSource?.AllowedPattern ?? '(?!)');

  it.each([
    '',
    's3://your-bucket/path/to/recipe',
    's3://your.bucket-1',
    's3://bucket/a_b/c.d+e=f/',
  ])('takes the recipe source %j', (source) => {
    expect(source).toMatch(pattern);
  });

  it.each([
    "s3://bucket/'; reboot; '",
    's3://bucket/$(id)',
    's3://bucket/`id`',
    's3://bucket/a b',
    's3://bucket/a\nid',
    's3://bucket/{{ x }}',
    'https://bucket/recipe',
    '/etc',
    's3://b',
  ])('refuses the recipe source %j, which would reach a shell', (source) => {
    expect(source).not.toMatch(pattern);
  });
});
