import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { havePrograms } from '../../agent/testing/start-swtpm.js';
import { buildImage } from '../build/build-image.js';
import { createIdentity } from '../signing/create-identity.js';
import { signBuild } from '../signing/sign-build.js';
import { debianKernel } from './debian-kernel.js';

/** The command as it is shipped. */
export const COMMAND: string = fileURLToPath(new URL('../bin/tee-image.js', import.meta.url));
/** Of the identity. */
export const OWNER = '3f1c7a52-5d0e-4c1b-9a53-0c6d2f0e8b11';
const STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

/** A build, an identity, and the build signed, in a folder of their own. For tests. */
export interface SigningFixture {
  readonly folder: string;
  /** A path in the folder. The build is `out`, signed it is `signed`. */
  readonly at: (...names: readonly string[]) => string;
  /** Of the identity. */
  readonly keys: string;
  build(out: string, version: string, commandLine: string): Promise<void>;
  remove(): void;
}

/** Whether the programs and the built command are there; says loudly what is not. */
export function canSign(): boolean {
  const programs = ['mkfs.erofs', 'veritysetup', 'mkfs.vfat', 'mcopy', 'sbsign', 'sbverify'];
  const have = havePrograms(...programs, 'softhsm2-util', STUB);
  if (existsSync(fileURLToPath(new URL('../../dist/tee-image.js', import.meta.url)))) return have;
  if (process.env.CI !== undefined) throw new Error('tools/dist is missing: npm run build');
  console.warn('SKIPPED: tee-image sign, because tools/dist is missing (npm run build)');
  return false;
}

/** Builds and signs. */
export async function makeSigningFixture(): Promise<SigningFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'tee-image-sign-test-'));
  const at = (...names: readonly string[]): string => join(folder, ...names);
  const keys = at('keys');
  async function build(out: string, version: string, commandLine: string): Promise<void> {
    await buildImage({
      ...{ kernel: debianKernel(), initrds: [at('initrd')], root: at('root'), commandLine },
      ...{ architecture: 'x86_64', name: 'payments', version, out, sourceRevision: 'abc123' },
    });
  }
  mkdirSync(at('root/etc'), { recursive: true });
  writeFileSync(at('root/etc/os-release'), 'ID=test\n');
  writeFileSync(at('initrd'), Buffer.alloc(5000, 7));
  await build(at('out'), '1', 'console=ttyS0');
  await createIdentity(keys, { ownerGuid: OWNER });
  await signBuild({ build: at('out'), identity: keys, output: at('signed') });
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, at, keys, build, remove };
}
