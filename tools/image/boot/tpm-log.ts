import { ToolError } from '../../common/tool-error.js';

/** What went between QEMU, or the guest behind it, and swtpm. */
export interface TpmLogEntry {
  /** To and from the TPM itself, or to and from swtpm's control channel. */
  readonly kind: 'command' | 'response' | 'control-command' | 'control-response';
  readonly bytes: Uint8Array;
}

const KINDS: Readonly<Record<string, TpmLogEntry['kind']>> = {
  SWTPM_IO_Read: 'command',
  SWTPM_IO_Write: 'response',
  'Ctrl Cmd': 'control-command',
  'Ctrl Rsp': 'control-response',
};
const HEADER = /^ ?(SWTPM_IO_Read|SWTPM_IO_Write|Ctrl Cmd|Ctrl Rsp): length (\d{1,5})$/;
const DATA = /^(?: ?[0-9A-F]{2}){1,16} ?$/;
/** Neither TPM commands nor swtpm's control messages are larger. */
const MAX_BYTES = 8192;
const MAX_LINE_CHARACTERS = 4096;

/**
 * Reads the log that swtpm writes with `--log level=4`: a header line with the number of bytes, and
 * their hex. Text comes in pieces, as the file grows. Throws `boot.tpm-log`.
 */
export class TpmLogReader {
  #rest = '';
  #open: { kind: TpmLogEntry['kind']; bytes: Uint8Array; filled: number } | undefined;

  /** The entries that this piece completes. */
  read(text: string): TpmLogEntry[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE_CHARACTERS) fail('lines', 'a line without end');
    const entries: TpmLogEntry[] = [];
    for (const line of lines) {
      const entry = this.#readLine(line);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  #readLine(line: string): TpmLogEntry | undefined {
    const header = HEADER.exec(line);
    const open = this.#open;
    if (open === undefined) {
      if (header === null) {
        // Messages such as "Data client disconnected" stand between entries; hex must not.
        if (DATA.test(line)) fail('a header line', line);
        return undefined;
      }
      const [, name = '', length = ''] = header;
      const size = Number(length);
      if (size === 0 || size > MAX_BYTES) fail(`1 to ${MAX_BYTES} bytes`, line);
      const kind = KINDS[name] as TpmLogEntry['kind'];
      this.#open = { kind, bytes: new Uint8Array(size), filled: 0 };
      return undefined;
    }
    if (!DATA.test(line)) fail(`${open.bytes.length} bytes of hex`, line);
    const bytes = Buffer.from(line.replaceAll(' ', ''), 'hex');
    if (open.filled + bytes.length > open.bytes.length)
      fail(`${open.bytes.length} bytes of hex`, `more: ${line}`);
    open.bytes.set(bytes, open.filled);
    open.filled += bytes.length;
    if (open.filled < open.bytes.length) return undefined;
    this.#open = undefined;
    return { kind: open.kind, bytes: open.bytes };
  }
}

function fail(expected: string, actual: string): never {
  throw new ToolError('boot.tpm-log', { expected, actual: actual.slice(0, 120) });
}
