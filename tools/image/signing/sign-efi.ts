import { constants, existsSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, rmdir, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '../build/host-tools.js';
import { writing } from '../build/output-folder.js';
import type { ImageSigner } from './image-signer.js';

/** Memory on Linux: what is written there reaches no disk. */
const MEMORY = '/dev/shm';
/** Those that runTool fixes, so that the caller's language does not show. */
const FIXED = /^(?:PATH|LANG|LANGUAGE|LC_.*|TZ|SOURCE_DATE_EPOCH|MTOOLSRC)$/;

/**
 * Signs a PE image with sbsign (Authenticode, SHA-256). A key from a file or standard input reaches
 * sbsign by an open file without a name; one behind a PKCS#11 URI stays in its token, and OpenSSL's
 * engine `pkcs11` signs. Throws `host.*`, `file.unwritable`.
 */
export async function signEfi(input: string, output: string, signer: ImageSigner): Promise<void> {
  // Beside the output: whoever removes that after an interruption removes this, too.
  const certificate = `${output}.pem`;
  await writing(certificate, () => writeFile(certificate, signer.certificatePem));
  try {
    const files = ['--cert', certificate, '--output', output, input];
    if ('pkcs11' in signer.key)
      await runTool('sbsign', ['--engine', 'pkcs11', '--key', signer.key.pkcs11, ...files], {
        env: callersEnvironment(),
      });
    else
      await withNamelessFile(signer.key.pem, (descriptor) =>
        runTool('sbsign', ['--key', '/dev/fd/3', ...files], { descriptors: [descriptor] }),
      );
  } finally {
    await rm(certificate, { force: true });
  }
}

/** Modules of tokens are configured by the environment (SOFTHSM2_CONF, PKCS11_MODULE_PATH, …). */
function callersEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !FIXED.test(entry[0]),
    ),
  );
}

/** The file loses its name before the text gets into it: nothing is left behind, even by a kill. */
async function withNamelessFile<T>(
  text: string,
  use: (descriptor: number) => Promise<T>,
): Promise<T> {
  const place = existsSync(MEMORY) ? MEMORY : tmpdir();
  const folder = await writing(place, () => mkdtemp(join(place, 'tee-image-key-')));
  let file: FileHandle | undefined;
  try {
    file = await writing(folder, () => openNameless(join(folder, 'key')));
    await rmdir(folder);
    await file.writeFile(text);
    return await use(file.fd);
  } finally {
    await file?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function openNameless(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await unlink(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
