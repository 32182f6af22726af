import { ByteWriter } from '../bytes/byte-writer.js';
import { asciiBytes, type Bytes } from '../bytes/bytes.js';

const DIRECTORY = 0o040555;
const FILE = 0o100444;

/**
 * The cpio archive (newc) that systemd-stub wraps a section in: the directory `.extra`, one file,
 * the trailer. Times, owners and device numbers are zero.
 *
 * Source: Linux, "initramfs buffer format"; compared with measured boots.
 */
export function packExtraFile(name: string, contents: Uint8Array): Bytes {
  const writer = new ByteWriter();
  writeEntry(writer, '.extra', { inode: 1, mode: DIRECTORY, links: 1 }, new Uint8Array());
  writeEntry(writer, `.extra/${name}`, { inode: 2, mode: FILE, links: 1 }, contents);
  writeEntry(writer, 'TRAILER!!!', { inode: 0, mode: 0, links: 1 }, new Uint8Array());
  return writer.finish();
}

function writeEntry(
  writer: ByteWriter,
  path: string,
  { inode, mode, links }: { inode: number; mode: number; links: number },
  contents: Uint8Array,
): void {
  const fields = [
    ...[inode, mode, 0, 0, links, 0, contents.length],
    ...[0, 0, 0, 0, path.length + 1, 0],
  ];
  const isTrailer = inode === 0;
  const words = fields.map((field) => field.toString(16).padStart(8, '0'));
  // The stub writes its constant trailer with a capital letter.
  const text = isTrailer ? words.join('').toUpperCase() : words.join('');
  writer.bytes(asciiBytes(`070701${text}${path}\0`));
  pad4(writer);
  writer.bytes(contents);
  pad4(writer);
}

/** Zeros up to a multiple of four bytes. */
function pad4(writer: ByteWriter): void {
  while (writer.length % 4 !== 0) writer.u8(0);
}
