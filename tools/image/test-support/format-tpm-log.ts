import type { TpmLogEntry } from '../boot/tpm-log.js';

const NAMES: Readonly<Record<TpmLogEntry['kind'], string>> = {
  command: 'SWTPM_IO_Read',
  response: 'SWTPM_IO_Write',
  'control-command': 'Ctrl Cmd',
  'control-response': 'Ctrl Rsp',
};

/** Entries as swtpm logs them. For tests. */
export function formatTpmLog(entries: readonly TpmLogEntry[]): string {
  return entries
    .map(({ kind, bytes }) => {
      const hex = Buffer.from(bytes).toString('hex').toUpperCase();
      const lines = hex.match(/.{1,32}/g) ?? [];
      const data = lines.map((line) => ` ${line.replace(/../g, '$& ')}\n`).join('');
      return ` ${NAMES[kind]}: length ${bytes.length}\n${data}`;
    })
    .join('');
}
