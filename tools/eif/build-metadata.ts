import { parseEifMetadata } from 'tee-verify/measure';
import { ToolError } from '../common/tool-error.js';

/** What the metadata section says; no PCR covers it. */
export interface BuildMetadata {
  /** Default `enclave`. */
  readonly name?: string;
  /** Default `1.0`. */
  readonly version?: string;
  /** Version of this tool. */
  readonly toolVersion: string;
  /** The text of the kernel's configuration (`.config`): names its system and version. */
  readonly kernelConfig?: string;
  /** Anything of the caller's own: CustomMetadata. */
  readonly custom?: Readonly<Record<string, unknown>>;
}

/** Fixed, or two builds would differ. */
const BUILD_TIME = '1970-01-01T00:00:00+00:00';
/** The head of every .config: `# Linux/x86_64 6.1.0 Kernel Configuration`. */
const CONFIG_HEAD = /^# (\w+)\/\S+ (\S+) Kernel Configuration$/m;
const UNKNOWN = 'unknown';

/**
 * The metadata section (specification of the Enclave Image Format: PascalCase keys). Throws
 * `build.kernel-config`, `eif.metadata-malformed`.
 */
export function encodeBuildMetadata(metadata: BuildMetadata): Uint8Array {
  const { name = 'enclave', version = '1.0', toolVersion, kernelConfig, custom = {} } = metadata;
  const [system, kernel] = kernelConfig === undefined ? [] : readConfigHead(kernelConfig);
  const json = {
    ImageName: name,
    ImageVersion: version,
    BuildMetadata: {
      BuildTime: BUILD_TIME,
      BuildTool: 'tee-eif',
      BuildToolVersion: toolVersion,
      OperatingSystem: system ?? UNKNOWN,
      KernelVersion: kernel ?? UNKNOWN,
    },
    DockerInfo: {},
    CustomMetadata: custom,
  };
  const section = new TextEncoder().encode(JSON.stringify(json));
  parseEifMetadata(section); // what cannot be read back must not be shipped
  return section;
}

function readConfigHead(config: string): [system: string, kernel: string] {
  const [, system, kernel] = CONFIG_HEAD.exec(config.slice(0, 4096)) ?? [];
  if (system === undefined || kernel === undefined)
    throw new ToolError('build.kernel-config', {
      expected: 'a line like "# Linux/x86_64 6.1.0 Kernel Configuration" at the top',
      actual: JSON.stringify(config.slice(0, 60)),
    });
  return [system, kernel];
}
