import { posix } from 'node:path';
import { printable } from 'tee-verify/measure';
import { type AuditSubject, type Finding, finding } from './finding.js';
import { UnitGraph } from './unit-graph.js';

/** File systems that keep nothing, or cannot be written. */
const HARMLESS = new Set([
  ...['tmpfs', 'ramfs', 'proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup', 'cgroup2', 'securityfs'],
  ...[
    'debugfs',
    'tracefs',
    'configfs',
    'bpf',
    'mqueue',
    'hugetlbfs',
    'efivarfs',
    'pstore',
    'fusectl',
  ],
  ...[
    'binfmt_misc',
    'autofs',
    'rootfs',
    'none',
    'erofs',
    'squashfs',
    'iso9660',
    'cramfs',
    'overlay',
  ],
]);

/** Looks for what is mounted for writing from a disk: /etc/fstab and mount units. */
export async function checkMounts(
  subject: AuditSubject,
  etc: readonly string[],
): Promise<Finding[]> {
  const { tree } = subject;
  const found: Finding[] = [];
  for (const folder of etc) {
    const path = posix.join(folder, 'fstab');
    for (const line of ((await tree.text(path)) ?? '').split('\n')) {
      const [device = '', where = '', type = '', options = ''] = line.trim().split(/\s+/);
      if (device === '' || device.startsWith('#')) continue;
      const problem = problemOf({ device, where, type, options });
      if (problem !== undefined) found.push(finding('writable-root', path, problem));
    }
  }
  const graph = new UnitGraph(tree, etc);
  const names = new Set(graph.folders.flatMap((folder) => tree.names(folder)));
  for (const name of [...names].filter((one) => /\.(mount|swap)$/.test(one)).sort()) {
    const unit = await graph.read(name);
    if (unit === undefined) continue;
    const last = (key: string): string => unit.settings.get(key)?.at(-1) ?? '';
    const problem = name.endsWith('.swap')
      ? problemOf({ device: last('Swap.What'), where: 'none', type: 'swap', options: '' })
      : problemOf({
          device: last('Mount.What'),
          where: last('Mount.Where'),
          type: last('Mount.Type'),
          options: last('Mount.Options'),
        });
    if (problem !== undefined) found.push(finding('writable-root', unit.path, problem));
  }
  return found;
}

interface Mount {
  readonly device: string;
  readonly where: string;
  readonly type: string;
  readonly options: string;
}

function problemOf({ device, where, type, options }: Mount): string | undefined {
  const words = options.split(',');
  const from = printable(device, 100);
  if (type === 'swap') return `swap on ${from} writes memory to a disk`;
  // The last of the two counts.
  const access = words.findLast((word) => word === 'ro' || word === 'rw');
  if (HARMLESS.has(type) || access === 'ro') return undefined;
  // What is mounted already is seen at its own line.
  if (words.includes('bind') || words.includes('rbind')) return undefined;
  return `${from} is mounted for writing at ${printable(where, 100)}`;
}
