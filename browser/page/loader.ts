/**
 * Loads the parts of the page as classic scripts: module scripts and import() do not work from
 * file://. It knows what rollup writes in its AMD format, and nothing else. A script of its own,
 * the only one that the page names.
 */

type Factory = (...dependencies: unknown[]) => void;
type Require = (
  names: readonly string[],
  resolve: (part: unknown) => void,
  reject: (error: unknown) => void,
) => void;
type ScriptUrl = (url: string) => string;
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: ScriptUrl }): { createScriptURL: ScriptUrl };
}

const parts = new Map<string, Promise<object>>();
const home: string = new URL('.', (document.currentScript as HTMLScriptElement).src).href;
let defined: readonly [readonly string[], Factory] | undefined;

/** Scripts come from the page's own folder; the page's policy (Trusted Types) allows no others. */
const scriptUrl: ScriptUrl = (url) => {
  if (!url.startsWith(home)) throw new TypeError(`not a part of this page: ${url}`);
  return url;
};
const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
const policy = trustedTypes?.createPolicy('tee-verify-parts', { createScriptURL: scriptUrl });

function load(name: string): Promise<object> {
  const url = new URL(name, home).href;
  let part = parts.get(url);
  if (part === undefined) {
    part = fetchPart(url);
    parts.set(url, part);
  }
  return part;
}

async function fetchPart(url: string): Promise<object> {
  const script = document.createElement('script');
  script.src = policy === undefined ? scriptUrl(url) : policy.createScriptURL(url);
  const [names, factory] = await new Promise<readonly [readonly string[], Factory]>(
    (resolve, reject) => {
      // The load event follows its script at once: nothing else can have called define meanwhile.
      script.onload = () => {
        if (defined === undefined) reject(new TypeError(`not a part of this page: ${url}`));
        else resolve(defined);
        defined = undefined;
      };
      script.onerror = () => {
        parts.delete(url);
        reject(new TypeError(`cannot load ${url}`));
      };
      document.head.append(script);
    },
  );
  const exports = {};
  const require: Require = ([wanted = ''], resolve, reject) =>
    void load(wanted).then(resolve, reject);
  const own: Readonly<Record<string, unknown>> = { exports, require };
  factory(...(await Promise.all(names.map((wanted) => own[wanted] ?? load(wanted)))));
  return exports;
}

(globalThis as unknown as { define: unknown }).define = (
  names: readonly string[],
  factory: Factory,
): void => {
  defined = [names, factory];
};

void load('page.js');
