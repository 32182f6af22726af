import { createPrivateKey } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { runCommand } from './run-command.js';

const SNAKEOIL = '/usr/share/ovmf/PkKek-1-snakeoil';

/** Signs a PE image with OVMF's snakeoil key, whose certificate stands in its PK, KEK and db. */
export function signImage(input: string, output: string): void {
  const key = `${output}.key`;
  const encrypted = createPrivateKey({
    key: readFileSync(`${SNAKEOIL}.key`),
    passphrase: 'snakeoil', // public: the key is for tests only
  });
  writeFileSync(key, encrypted.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  try {
    runCommand('sbsign', ['--key', key, '--cert', `${SNAKEOIL}.pem`, '--output', output, input]);
  } finally {
    rmSync(key);
  }
}
