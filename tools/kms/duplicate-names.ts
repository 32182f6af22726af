/** Strings and brackets of JSON, whatever stands between them. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** A name that stands twice in one object of a text that is JSON, or undefined. */
export function findDuplicateName(json: string): string | undefined {
  /** Names of the objects around; null for an array. */
  const open: (Set<string> | null)[] = [];
  let last: string | undefined;
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':' && last !== undefined) {
      const name = JSON.parse(last) as string;
      const names = open.at(-1);
      if (names?.has(name)) return name;
      names?.add(name);
    }
    last = token.startsWith('"') ? token : undefined;
  }
  return undefined;
}
