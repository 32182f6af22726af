import type { VerifyOptions } from '../../src/options.js';
import { byId } from './dom.js';
import type { Caveats } from './view-verdict.js';

/** What the reader chose: options for the verifier, and what was waived. */
export interface Settings {
  readonly options: VerifyOptions;
  readonly caveats: Caveats;
}

const field = (id: string): HTMLInputElement => byId<HTMLInputElement>(id);
const checked = (id: string): boolean => field(id).checked;
const value = (id: string): string => field(id).value.trim();

/** Fields with a problem are marked, and said to be wrong. */
function complain(id: string, problem: string): boolean {
  field(id).setAttribute('aria-invalid', `${problem !== ''}`);
  byId(`${id}-problem`).textContent = problem;
  return problem === '';
}

/** Reads the form; undefined when a field is not as it must be, which is then said beside it. */
export function readSettings(): Settings | undefined {
  const nonce = value('nonce').replace(/[\s:]/g, '');
  const given = value('given-time');
  const age = value('max-age');
  const anchor = value('anchor');
  const keys = parseKeys(value('manifest-keys'));
  const now = checked('time-document')
    ? 'document'
    : checked('time-given')
      ? new Date(`${given}Z`)
      : undefined;
  const good = [
    complain(
      'nonce',
      /^([0-9a-f]{2}){0,1024}$/i.test(nonce) ? '' : 'An even number of hex digits, at most 2048.',
    ),
    complain(
      'given-time',
      now instanceof Date && Number.isNaN(now.getTime()) ? 'Choose a date and a time (UTC).' : '',
    ),
    complain('max-age', age === '' || /^\d{1,9}$/.test(age) ? '' : 'A number of seconds.'),
    complain('anchor', anchor === '' || isPem(anchor) ? '' : 'A certificate as PEM.'),
    complain('manifest-keys', keys === 'bad' ? 'A JWK, or a JWK set, as JSON.' : ''),
  ].every(Boolean);
  if (!good) return undefined;
  const flags = {
    requireQuote: checked('require-quote'),
    allowDebug: checked('allow-debug'),
    allowPartialManifest: checked('allow-partial'),
  };
  return {
    options: {
      ...flags,
      ...(nonce !== '' ? { nonce } : checked('no-nonce') && { nonce: null }),
      ...(now !== undefined && { now }),
      ...(age !== '' && { maxAgeSeconds: Number(age) }),
      ...(anchor !== '' && { trustAnchors: [anchor] }),
      ...(keys !== undefined && keys !== 'bad' && { manifestKeys: keys }),
    },
    caveats: {
      otherAnchor: anchor !== '',
      waived: [
        flags.allowDebug && 'enclaves in debug mode are accepted',
        flags.allowPartialManifest && 'the manifest need not pin what makes an image',
      ].filter((one) => one !== false),
    },
  };
}

function isPem(text: string): boolean {
  return /^(\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----)+\s*$/.test(
    text,
  );
}

/** JWKs as the verifier takes them; undefined for none. */
function parseKeys(text: string): VerifyOptions['manifestKeys'] | 'bad' | undefined {
  if (text === '') return undefined;
  try {
    const json = JSON.parse(text);
    if (Array.isArray(json?.keys) && json.keys.length > 0) return json;
    return typeof json?.kty === 'string' ? [json] : 'bad';
  } catch {
    return 'bad';
  }
}
