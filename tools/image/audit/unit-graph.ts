import { posix } from 'node:path';
import type { FileTree } from './file-tree.js';
import { parseUnit, type UnitSettings } from './unit-file.js';

/** A unit that is started at boot, or by something that is. */
export interface StartedUnit {
  readonly name: string;
  /** How it came to be started, e.g. `default.target → multi-user.target → sshd.service`. */
  readonly chain: readonly string[];
}

/** One unit as it stands in the root. */
export interface Unit {
  /** `getty@.service` for `getty@tty1.service`, when only that is there. */
  readonly path: string;
  readonly settings: UnitSettings;
}

const FOLDERS = [
  ...['/run/systemd/system', '/usr/local/lib/systemd/system'],
  ...['/usr/lib/systemd/system', '/lib/systemd/system'],
];
const PULLS = [
  ...['Wants', 'Requires', 'Requisite', 'BindsTo', 'Upholds', 'OnFailure', 'OnSuccess'],
].map((key) => `Unit.${key}`);
const UNIT_NAME =
  /^[^/\s]+\.(service|socket|target|timer|path|mount|automount|slice|scope|device|swap)$/;
const MAX_STARTED = 10_000;

/** The units of a root: which are there, and which are started. */
export class UnitGraph {
  readonly #tree: FileTree;
  readonly #folders: readonly string[];

  /** `etc`: folders that hold what is /etc when the system runs, strongest first. */
  constructor(tree: FileTree, etc: readonly string[] = ['/etc']) {
    this.#tree = tree;
    const own = etc.flatMap((folder) =>
      ['system.control', 'system', 'system.attached'].map((name) => `${folder}/systemd/${name}`),
    );
    this.#folders = [...own, ...FOLDERS];
  }

  /** Folders with units that exist. */
  get folders(): readonly string[] {
    return this.#folders.filter((folder) => this.#tree.resolve(folder)?.kind === 'directory');
  }

  /** Where the unit stands, its template otherwise; undefined when it is not there or masked. */
  find(name: string): string | undefined {
    for (const candidate of [name, templateOf(name)]) {
      if (candidate === undefined) continue;
      const path = this.#folders
        .map((folder) => posix.join(folder, candidate))
        .find((at) => this.#tree.entry(at) !== undefined);
      // A link to /dev/null, or an empty file, masks the unit and its template.
      if (path !== undefined) return this.#isMask(path) ? undefined : path;
    }
    return undefined;
  }

  /** The unit with its drop-ins; undefined when it is not there or masked. */
  async read(name: string): Promise<Unit | undefined> {
    const path = this.find(name);
    if (path === undefined) return undefined;
    const texts = [(await this.#tree.text(path)) ?? ''];
    const real = posix.basename(this.#tree.where(path) ?? path);
    const names = [...new Set([name, real].flatMap(dropInFolders))];
    for (const dropIn of this.#dropIns(names)) texts.push((await this.#tree.text(dropIn)) ?? '');
    return { path, settings: parseUnit(...texts) };
  }

  /** Every unit that is started from these on, itself included. */
  async started(from: readonly string[]): Promise<Map<string, StartedUnit>> {
    const found = new Map<string, StartedUnit>();
    const open: StartedUnit[] = from.map((name) => ({ name, chain: [name] }));
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const { name, chain } = next;
      if (found.has(name) || found.size >= MAX_STARTED || !UNIT_NAME.test(name)) continue;
      const unit = await this.read(name);
      if (unit === undefined) continue;
      found.set(name, next);
      // A link to another name of the unit starts that one.
      const real = posix.basename(this.#tree.where(unit.path) ?? unit.path);
      const others = [...(await this.#pulled(name, unit.settings)), real];
      for (const other of others)
        if (!found.has(other)) open.push({ name: other, chain: [...chain, other] });
    }
    return found;
  }

  /** Units that this one starts, or that are started by what it waits for. */
  async #pulled(name: string, settings: UnitSettings): Promise<string[]> {
    const named = PULLS.flatMap((key) => settings.get(key) ?? []).flatMap((text) =>
      text.split(/\s+/),
    );
    const linked = this.#folders.flatMap((folder) =>
      [name, templateOf(name)].flatMap((unit) =>
        unit === undefined
          ? []
          : ['wants', 'requires', 'upholds'].flatMap((kind) =>
              this.#tree.names(posix.join(folder, `${unit}.${kind}`)),
            ),
      ),
    );
    return [...named.map((text) => fill(text, name)), ...linked, ...triggered(name, settings)];
  }

  /** In the order of their names, whatever folder they are in; of one name the strongest counts. */
  #dropIns(names: readonly string[]): string[] {
    const found = new Map<string, string>();
    for (const folder of names.flatMap((name) => this.#folders.map((at) => posix.join(at, name))))
      for (const name of this.#tree.names(folder))
        if (name.endsWith('.conf') && !found.has(name)) found.set(name, posix.join(folder, name));
    return [...found.keys()].sort().map((name) => found.get(name) as string);
  }

  #isMask(path: string): boolean {
    const where = this.#tree.where(path);
    const file = this.#tree.resolve(path);
    return where === '/dev/null' || (file?.kind === 'file' && file.sizeBytes === 0);
  }
}

/** `getty@.service` of `getty@tty1.service`; undefined for what is no instance. */
export function templateOf(name: string): string | undefined {
  const match = /^([^@]+@)[^.]*(\.[a-z]+)$/.exec(name);
  const template = match === null ? undefined : `${match[1]}${match[2]}`;
  return template === name ? undefined : template;
}

/** Folders of drop-ins, strongest first: `a-b@x.service.d`, `a-b@.service.d`, `a-.service.d`, `service.d`. */
function dropInFolders(name: string): string[] {
  const kind = name.slice(name.lastIndexOf('.'));
  const stem = name.slice(0, -kind.length).replace(/@.*$/, '');
  const ends = [...stem.matchAll(/-(?=.)/g)].map(({ index }) => index + 1).reverse();
  const prefixes = ends.map((end) => `${stem.slice(0, end)}${kind}`);
  const template = templateOf(name);
  const own = [name, ...(template === undefined ? [] : [template]), ...prefixes];
  return [...own.map((one) => `${one}.d`), `${kind.slice(1)}.d`];
}

/** What a socket, a timer or a path starts. */
function triggered(name: string, settings: UnitSettings): string[] {
  const [, stem, kind] = /^(.+)\.(socket|timer|path)$/.exec(name) ?? [];
  if (stem === undefined) return [];
  const said = settings.get(
    kind === 'socket' ? 'Socket.Service' : kind === 'timer' ? 'Timer.Unit' : 'Path.Unit',
  );
  if (said !== undefined && said.length > 0) return [...said];
  const accepts = settings.get('Socket.Accept')?.at(-1);
  const isEach = accepts !== undefined && /^(yes|true|on|1|y|t)$/i.test(accepts);
  return [isEach ? `${stem}@.service` : `${stem}.service`];
}

/** Fills in what stands for the instance's name. */
function fill(text: string, name: string): string {
  const instance = /@(.*)\.[a-z]+$/.exec(name)?.[1] ?? '';
  return text.replaceAll(/%[iI]/g, instance);
}
