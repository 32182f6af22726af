import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runCommand } from './run-command.js';

/** The sections of a UKI, in order: name → contents. */
export type UkiSections = Readonly<Record<string, Uint8Array>>;

/**
 * Adds sections to a stub with objcopy, behind the stub's own sections in memory, and writes the
 * UKI (or addon). For tests: what dracut and older ukify do.
 */
export function buildUki(stub: string, sections: UkiSections, output: string): void {
  const { end, alignment } = endOfStub(readFileSync(stub));
  const folder = `${output}.sections`;
  mkdirSync(folder, { recursive: true });
  mkdirSync(dirname(output), { recursive: true });
  const args: string[] = [];
  let address = end;
  for (const [name, contents] of Object.entries(sections)) {
    address = Math.ceil(address / alignment) * alignment;
    const file = join(folder, name.slice(1));
    writeFileSync(file, contents);
    const at = `${name}=0x${address.toString(16)}`;
    args.push('--add-section', `${name}=${file}`, '--change-section-vma', at);
    args.push('--set-section-flags', `${name}=data,readonly`);
    address += contents.length;
  }
  runCommand('objcopy', [...args, stub, output]);
  rmSync(folder, { recursive: true });
}

/** Where the stub ends in memory, image base included, as objcopy counts. */
function endOfStub(bytes: Uint8Array): { end: number; alignment: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pe = view.getUint32(60, true);
  const optional = pe + 24;
  const base = Number(view.getBigUint64(optional + 24, true)); // PE32+
  const alignment = view.getUint32(optional + 32, true);
  const sizeOfImage = view.getUint32(optional + 56, true);
  return { end: base + sizeOfImage, alignment };
}
