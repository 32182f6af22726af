/** The settings of a unit: `Section.Key` → values in order; an empty value clears those before. */
export type UnitSettings = ReadonlyMap<string, readonly string[]>;

/** Reads unit files of systemd, drop-ins behind the unit (systemd.syntax(7)). */
export function parseUnit(...texts: readonly string[]): UnitSettings {
  const settings = new Map<string, string[]>();
  for (const text of texts) {
    let section = '';
    for (const line of joinLines(text)) {
      if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
      const heading = /^\[(.+)\]$/.exec(line);
      if (heading !== null) {
        section = heading[1] as string;
        continue;
      }
      const at = line.indexOf('=');
      if (at < 0) continue;
      const key = `${section}.${line.slice(0, at).trim()}`;
      const value = line.slice(at + 1).trim();
      if (value === '') settings.set(key, []);
      else settings.set(key, [...(settings.get(key) ?? []), value]);
    }
  }
  return settings;
}

/** Lines without their white space at both ends; a backslash at the end goes on in the next one. */
function joinLines(text: string): string[] {
  return text
    .replace(/\\\r?\n(?:[#;].*\n)*/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.trim());
}
