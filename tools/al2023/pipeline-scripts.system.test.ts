import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { havePrograms } from '../agent/testing/start-swtpm.js';
import { checkCommandDocument } from './testing/check-command-document.js';
import { checkComponent } from './testing/check-component.js';
import { runScript, type ScriptRun, type StandIns, standInPath } from './testing/run-script.js';
import { baseTemplate, propertyText } from './testing/templates.js';

const ready = havePrograms('jq');
const ARN = 'arn:aws:imagebuilder:eu-west-1:111122223333:image/attestable-ami-recipe/1.0.0/3';
const MEASUREMENTS = {
  HashAlgorithm: 'SHA384',
  PCR4: 'a'.repeat(96),
  PCR7: 'b'.repeat(96),
  PCR12: '0'.repeat(96),
};

describe.skipIf(!ready)('the scripts inside the base template', () => {
  let folder: string;
  let work: string;
  let log: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'al2023-pipeline-'));
    work = join(folder, 'work');
    log = join(folder, 'calls');
    mkdirSync(join(work, 'image'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs a script as on the build instance, with its work directory moved and others' programs played. */
  function run(script: string, standIns: StandIns): ScriptRun {
    const file = join(folder, 'script.sh');
    writeFileSync(
      file,
      script
        .replaceAll('/var/lib/attestable-ami', work)
        .replaceAll('/usr/share/kiwi-image-descriptions-examples', join(folder, 'examples')),
    );
    return runScript(file, [], { env: { PATH: standInPath(join(folder, 'bin'), standIns) } });
  }

  const calls = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  const record = (name: string): string => `echo ${name} "$@" >> ${log}`;

  describe('component step', () => {
    const component = checkComponent(propertyText(baseTemplate(), 'KiwiNgComponent', 'Data'));

    function step(
      name: string,
      standIns: StandIns,
      values: Record<string, string> = {},
    ): ScriptRun {
      const script = component.scripts.get(name);
      if (script === undefined) throw new Error(`no step ${name}`);
      const all = { RecipeSource: 'amazon-linux-sample', IncludePcrMeasurements: 'yes', ...values };
      return run(
        script.replace(/\{\{ (\w+) \}\}/g, (_, key: string) => all[key as keyof typeof all]),
        standIns,
      );
    }

    it('InstallTools installs what the other steps call', () => {
      const { status } = step('InstallTools', { dnf: record('dnf'), cargo: record('cargo') });
      expect(status).toBe(0);
      for (const name of ['kiwi-cli', 'veritysetup', 'erofs-utils', 'mtools', 'jq']) {
        expect(calls()).toMatch(new RegExp(`dnf install .* ${name}( |\n)`));
      }
      expect(calls()).toContain('aws-nitro-tpm-tools');
      // Before 0.8 coldsnap left out blocks of zeros.
      const [, minor] =
        /cargo install --locked --version 0\.(\d+)\.\d+ .*coldsnap/.exec(calls()) ?? [];
      expect(Number(minor)).toBeGreaterThanOrEqual(8);
    });

    it('FetchRecipe takes the Amazon Linux sample', () => {
      const sample = join(folder, 'examples/al2023/attestable-image-example');
      mkdirSync(sample, { recursive: true });
      writeFileSync(join(sample, 'appliance.kiwi'), '<image/>');
      expect(step('FetchRecipe', { dnf: record('dnf') }).status).toBe(0);
      expect(calls()).toContain('dnf install -y kiwi-image-descriptions-examples');
      expect(existsSync(join(work, 'recipe/appliance.kiwi'))).toBe(true);
    });

    it('FetchRecipe downloads a recipe and forgets an earlier build', () => {
      writeFileSync(join(work, 'image/old.raw'), '');
      const aws = `${record('aws')}; mkdir -p ${work}/recipe; echo '<image/>' > ${work}/recipe/config.xml`;
      const values = { RecipeSource: 's3://bucket/recipe' };
      expect(step('FetchRecipe', { aws }, values).status).toBe(0);
      expect(calls()).toContain('aws s3 cp --recursive --no-progress s3://bucket/recipe/ ');
      expect(existsSync(join(work, 'image/old.raw'))).toBe(false);
    });

    it('FetchRecipe fails when there is no image description', () => {
      const values = { RecipeSource: 's3://bucket/empty' };
      const { status, stderr } = step('FetchRecipe', { aws: `mkdir -p ${work}/recipe` }, values);
      expect(stderr).toContain('No image description');
      expect(status).toBe(1);
    });

    it('FetchRecipe refuses a source that is no S3 URI', () => {
      expect(step('FetchRecipe', {}, { RecipeSource: '/etc' }).status).toBe(1);
    });

    it.each([
      [1, 0],
      [0, 1],
      [2, 1],
    ])('BuildRawImage with %i raw images exits with %i', (images, status) => {
      const make = [...Array(images).keys()].map((i) => `touch ${work}/image/${i}.raw`);
      expect(step('BuildRawImage', { 'kiwi-ng': [...make, 'true'].join('; ') }).status).toBe(
        status,
      );
    });

    it('BuildRawImage fails when KIWI does', () => {
      expect(step('BuildRawImage', { 'kiwi-ng': 'exit 4' }).status).toBe(4);
    });

    function tags(measurements: object | undefined, include: string): ScriptRun {
      if (measurements !== undefined) {
        const text = JSON.stringify({ Measurements: measurements });
        writeFileSync(join(work, 'image/pcr_measurements.json'), text);
      }
      return step('WriteTagSpecification', {}, { IncludePcrMeasurements: include });
    }
    const specification = (): unknown =>
      JSON.parse(readFileSync(join(work, 'tag-specifications.json'), 'utf8'));

    it('WriteTagSpecification puts the measurements into the tags', () => {
      expect(tags(MEASUREMENTS, 'yes').status).toBe(0);
      expect(specification()).toEqual([
        {
          ResourceType: 'image',
          Tags: [
            { Key: 'RecipeSource', Value: 'amazon-linux-sample' },
            { Key: 'PCR4', Value: MEASUREMENTS.PCR4 },
            { Key: 'PCR7', Value: MEASUREMENTS.PCR7 },
            { Key: 'PCR12', Value: MEASUREMENTS.PCR12 },
          ],
        },
      ]);
    });

    it('WriteTagSpecification leaves them out when told so', () => {
      expect(tags(undefined, 'no').status).toBe(0);
      expect(JSON.stringify(specification())).not.toContain('PCR');
    });

    it.each([
      ['no file', undefined],
      ['no PCR12', { ...MEASUREMENTS, PCR12: undefined }],
      ['a PCR that is too short', { ...MEASUREMENTS, PCR7: 'b'.repeat(64) }],
      ['an upper-case PCR', { ...MEASUREMENTS, PCR4: 'A'.repeat(96) }],
    ])('WriteTagSpecification fails with %s', (_, measurements) => {
      expect(tags(measurements, 'yes').status).not.toBe(0);
      expect(existsSync(join(work, 'tag-specifications.json'))).toBe(false);
    });
  });

  describe('CreateOutputAmi', () => {
    const { Properties = {} } = baseTemplate().Resources.CreateOutputAmiDocument ?? {};
    const script = checkCommandDocument(Properties.Content).scripts.get('CreateOutputAmi') ?? '';

    const curl = `case "$*" in
      *api/token) echo token ;;
      *instance-id) echo i-0123 ;;
      *placement/region) echo eu-west-1 ;;
      *) exit 22 ;;
    esac`;
    const coldsnap = (): string => `${record('coldsnap')}; echo noise >&2; echo snap-0abc`;
    const aws = (register = 'echo ami-0def', arn = ARN): string => `${record('aws')}
      echo noise >&2
      case "$2" in
        describe-tags) echo '${arn}' ;;
        register-image) cp "${work}/image-tags.json" "${folder}/registered.json"; ${register} ;;
      esac`;

    function createAmi(standIns: StandIns = {}, images = ['image.raw']): ScriptRun {
      for (const name of images) writeFileSync(join(work, 'image', name), '');
      writeFileSync(
        join(work, 'tag-specifications.json'),
        JSON.stringify([{ ResourceType: 'image', Tags: [{ Key: 'PCR4', Value: 'a' }] }]),
      );
      return run(script, { curl, coldsnap: coldsnap(), aws: aws(), ...standIns });
    }

    it('prints the AMI id and nothing else', () => {
      expect(createAmi()).toEqual({ status: 0, stdout: 'ami-0def\n', stderr: '' });
    });

    it('uploads a tagged snapshot, registers and waits, in this order', () => {
      createAmi();
      const steps = calls().match(/coldsnap upload|register-image|wait image-available/g);
      expect(steps).toEqual(['coldsnap upload', 'register-image', 'wait image-available']);
      expect(calls()).toContain('--tag Key=CreatedBy,Value=EC2 Image Builder --tag ');
      expect(calls()).toContain(`Key=Ec2ImageBuilderArn,Value=${ARN} ${work}/image/image.raw`);
      expect(calls()).not.toContain('--omit-zero-blocks');
      expect(calls()).toMatch(/--name attestable-ami-recipe-1\.0\.0-3-\d{14} /);
      expect(calls()).toContain(
        'Ebs={SnapshotId=snap-0abc,VolumeType=gp3,DeleteOnTermination=true}',
      );
    });

    it("adds Image Builder's own tags, which distribution and lifecycle policies ask for", () => {
      createAmi();
      expect(JSON.parse(readFileSync(join(folder, 'registered.json'), 'utf8'))).toEqual([
        {
          ResourceType: 'image',
          Tags: [
            { Key: 'PCR4', Value: 'a' },
            { Key: 'CreatedBy', Value: 'EC2 Image Builder' },
            { Key: 'Ec2ImageBuilderArn', Value: ARN },
          ],
        },
      ]);
    });

    it('says what is left behind when the AMI cannot be registered', () => {
      const { status, stdout } = createAmi({ aws: aws('echo NoGood >&2; exit 254') });
      expect(status).toBe(254);
      expect(stdout).toContain('NoGood');
      expect(stdout).toContain('aws ec2 delete-snapshot --snapshot-id snap-0abc');
      expect(stdout).not.toContain('deregister-image');
    });

    it('names the snapshot when only waiting for it failed', () => {
      const { status, stdout } = createAmi({ coldsnap: 'echo snap-0abc; exit 1' });
      expect(status).toBe(1);
      expect(stdout).toContain('aws ec2 delete-snapshot --snapshot-id snap-0abc');
    });

    it.each([
      [
        'the upload fails',
        () => ({ coldsnap: 'echo broken >&2; exit 1' }),
        ['image.raw'],
        'broken',
      ],
      ['there is no image', () => ({}), [], 'found 0'],
      ['there are two images', () => ({}), ['a.raw', 'b.raw'], 'found 2'],
      [
        'it is no build instance',
        () => ({ aws: aws('', 'None') }),
        ['image.raw'],
        'Ec2ImageBuilderArn',
      ],
      ['there is no metadata', () => ({ curl: 'exit 22' }), ['image.raw'], 'exit status 22'],
    ])('registers nothing when %s', (_, standIns: () => StandIns, images, message) => {
      const { status, stdout } = createAmi(standIns(), images);
      expect(status).not.toBe(0);
      expect(stdout).toContain(message);
      expect(stdout).not.toContain('Left behind');
      expect(calls()).not.toContain('register-image');
    });
  });
});
