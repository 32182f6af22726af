import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import type { FileTree } from './file-tree.js';
import { type AuditSubject, type Finding, finding } from './finding.js';

/** Lists of accounts below /etc, and those that become it. */
const TABLES = ['passwd', 'passwd-', 'shadow', 'shadow-'];
const FACTORY = ['/usr/share/factory/etc', '/usr/etc', '/usr/lib', '/var/lib/extrausers'];
/** What NixOS makes /etc/shadow of at each boot. */
const NIX_LISTS = ['/nix/store/*-users-groups.json', '/nix/store/*-userborn.json'];
const NIX_PLAIN = ['password', 'initialPassword'];
const NIX_HASHED = ['hashedPassword', 'initialHashedPassword'];
/** Accounts as JSON (systemd's userdb and homed). */
const RECORDS = [
  ...['/etc/userdb', '/usr/lib/userdb', '/usr/local/lib/userdb', '/var/lib/systemd/home'].map(
    (folder) => `${folder}/*`,
  ),
];
/** Files of this name let in, wherever a server looks for them. */
const KEYS = /^authorized_keys2?$/;
const TMPFILES = [
  '/etc/tmpfiles.d/*.conf',
  '/usr/lib/tmpfiles.d/*.conf',
  '/usr/local/lib/tmpfiles.d/*.conf',
];
/** Credentials that systemd sets passwords from (systemd-sysusers(8), "CREDENTIALS"). */
const CREDENTIALS = ['/etc/credstore/passwd.*', '/usr/lib/credstore/passwd.*'];

/** Looks for accounts with a password, or with an empty one, and for keys that may log in. */
export async function checkAccounts(
  { tree }: AuditSubject,
  etc: readonly string[],
): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const folder of [...etc, ...FACTORY])
    for (const name of TABLES) {
      const path = posix.join(folder, name);
      const text = await tree.text(path);
      // A folder of programs may hold anything else of this name.
      if (text === undefined || (folder === '/usr/lib' && !text.includes(':'))) continue;
      found.push(...checkTable(path, text));
    }
  for (const path of NIX_LISTS.flatMap((pattern) => tree.glob(pattern)))
    found.push(...checkNixList(path, (await tree.text(path)) ?? ''));
  for (const path of CREDENTIALS.flatMap((pattern) => tree.glob(pattern)))
    found.push(finding('password', path, 'a credential from which systemd sets a password'));
  for (const path of RECORDS.flatMap((pattern) => tree.glob(pattern)))
    found.push(...checkRecord(path, (await tree.text(path)) ?? ''));
  for (const path of TMPFILES.flatMap((pattern) => tree.glob(pattern)))
    found.push(...checkTmpfiles(path, (await tree.text(path)) ?? ''));
  for (const { path, kind, sizeBytes } of tree.all())
    if (kind === 'file' && sizeBytes > 0 && KEYS.test(posix.basename(path)))
      found.push(finding('authorized-keys', path, 'it is there'));
  return found;
}

/** A record of a user (systemd's USER_RECORD); passwords and keys are in its privileged part. */
function checkRecord(path: string, text: string): Finding[] {
  const found: Finding[] = [];
  if (/"hashedPassword"\s*:\s*\[\s*"(?![!*])/.test(text))
    found.push(finding('password', path, 'a user record has a password'));
  if (/"sshAuthorizedKeys"\s*:\s*\[\s*"/.test(text))
    found.push(finding('authorized-keys', path, 'a user record has keys'));
  return found;
}

/** Lines that write accounts or keys at boot; those with `^` take them from a credential. */
function checkTmpfiles(path: string, text: string): Finding[] {
  return text.split('\n').flatMap((line) => {
    const [type = '', where = '', , , , , contents] = line.trim().split(/\s+/);
    if (!/^[fwLC]/.test(type) || type.includes('^') || contents === undefined) return [];
    const name = posix.basename(where);
    const rule = KEYS.test(name)
      ? 'authorized-keys'
      : TABLES.includes(name)
        ? 'password'
        : undefined;
    return rule === undefined ? [] : [finding(rule, path, `it writes ${printable(where, 100)}`)];
  });
}

/** Root's second field in /etc/shadow, or in /etc/passwd; undefined when there is no account. */
export async function rootPassword(
  tree: FileTree,
  etc: readonly string[],
): Promise<string | undefined> {
  for (const name of ['shadow', 'passwd'])
    for (const folder of etc) {
      const field = /^root:([^:\n]*)/m.exec((await tree.text(posix.join(folder, name))) ?? '')?.[1];
      if (field !== undefined && field !== 'x') return field;
    }
  return undefined;
}

/** Whether no password fits this field (shadow(5)). */
export function isLocked(field: string): boolean {
  return /^[!*]/.test(field);
}

function checkTable(path: string, text: string): Finding[] {
  const isShadow = posix.basename(path).startsWith('shadow');
  return text.split('\n').flatMap((line) => {
    const [name = '', field] = line.split(':');
    // NIS entries and comments are no accounts.
    if (name === '' || /^[+#-]/.test(name) || field === undefined) return [];
    if (isLocked(field) || (field === 'x' && !isShadow)) return [];
    const account = printable(name, 50);
    if (field === '') return [finding('password', path, `${account} needs no password`)];
    return [finding('password', path, `${account} has a password`)];
  });
}

function checkNixList(path: string, text: string): Finding[] {
  let users: unknown;
  try {
    users = (JSON.parse(text) as { users?: unknown }).users;
  } catch {
    return [];
  }
  if (!Array.isArray(users)) return [];
  return (users as readonly unknown[]).flatMap((user) => {
    const fields = (typeof user === 'object' && user !== null ? user : {}) as Record<
      string,
      unknown
    >;
    const isSet = (key: string): boolean => typeof fields[key] === 'string';
    const plain = NIX_PLAIN.find(isSet);
    const hashed = NIX_HASHED.find((key) => isSet(key) && !isLocked(fields[key] as string));
    const file = ['hashedPasswordFile', 'passwordFile'].find(isSet);
    const key = plain ?? hashed ?? file;
    if (key === undefined) return [];
    return [finding('password', path, `${printable(String(fields.name), 50)} has ${key}`)];
  });
}
