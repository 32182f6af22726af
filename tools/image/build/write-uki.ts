import { type FileHandle, open } from 'node:fs/promises';
import type { ByteSource } from 'tee-verify/measure';
import { readPeImage } from 'tee-verify/measure';
import { ToolError } from '../../common/tool-error.js';
import { readAt } from '../disk/read-at.js';
import { writeAll } from '../disk/write-all.js';
import { writing } from './output-folder.js';
import { layoutUki } from './uki-layout.js';

/** What a UKI is made of. */
export interface UkiPlan {
  readonly stub: Uint8Array;
  /** IMAGE_FILE_MACHINE that stub and kernel must have. */
  readonly machine: number;
  readonly kernel: ByteSource;
  /** One behind the other, as the kernel reads them. */
  readonly initrds: readonly ByteSource[];
  readonly osRelease: Uint8Array;
  readonly commandLine: string;
  /** Path of the file to be written. */
  readonly output: string;
}

const COPY_BYTES = 1024 * 1024;
/** The kernel looks for archives at multiples of this. */
const INITRD_ALIGNMENT = 4;

/**
 * Writes a UKI: `.osrel`, `.cmdline`, `.initrd`, `.linux` behind the sections of the stub. The kernel
 * stands last, so that nothing is behind it in memory. Says where the command line stands in the file.
 * Throws the codes of `layoutUki`, `uki-build.architecture`, `file.unreadable`, `file.unwritable`.
 */
export async function writeUki(plan: UkiPlan): Promise<{ readonly commandLineOffset: number }> {
  const kernel = await readPeImage(plan.kernel);
  if (kernel.machine !== plan.machine)
    throw new ToolError('uki-build.architecture', {
      expected: `a kernel for machine 0x${plan.machine.toString(16)}`,
      actual: `0x${kernel.machine.toString(16)}`,
    });
  const contents: Readonly<Record<string, readonly (ByteSource | Uint8Array)[]>> = {
    '.osrel': [plan.osRelease],
    '.cmdline': [new TextEncoder().encode(plan.commandLine)],
    '.initrd': joinInitrds(plan.initrds),
    '.linux': [plan.kernel],
  };
  const added = Object.entries(contents).map(([name, parts]) => ({
    name,
    sizeBytes: parts.reduce((sum, part) => sum + sizeOf(part), 0),
  }));
  const layout = await layoutUki(plan.stub, plan.machine, added);
  await writing(plan.output, async () => {
    const file = await open(plan.output, 'wx', 0o644);
    try {
      await file.truncate(layout.sizeBytes);
      await writeAll(file, layout.head, 0);
      for (const { name, offset } of layout.sections) {
        let at = offset;
        for (const part of contents[name] ?? []) at = await copyTo(file, at, part);
      }
    } finally {
      await file.close();
    }
  });
  const line = layout.sections.find(({ name }) => name === '.cmdline');
  return { commandLineOffset: line?.offset ?? 0 };
}

function joinInitrds(initrds: readonly ByteSource[]): (ByteSource | Uint8Array)[] {
  return initrds.flatMap((initrd, i) => {
    const isLast = i === initrds.length - 1;
    const pad = isLast ? 0 : -initrd.size & (INITRD_ALIGNMENT - 1);
    return pad === 0 ? [initrd] : [initrd, new Uint8Array(pad)];
  });
}

async function copyTo(
  file: FileHandle,
  start: number,
  part: ByteSource | Uint8Array,
): Promise<number> {
  const end = start + sizeOf(part);
  for (let at = start; at < end; at += COPY_BYTES) {
    const length = Math.min(COPY_BYTES, end - at);
    const bytes =
      part instanceof Uint8Array
        ? part.subarray(at - start, at - start + length)
        : await readAt(part, at - start, length, 'an input', 'file.unreadable');
    await writeAll(file, bytes, at);
  }
  return end;
}

const sizeOf = (part: ByteSource | Uint8Array): number =>
  part instanceof Uint8Array ? part.length : part.size;
