import type { JWK } from 'jose';
import { isPlainObject } from '../bytes/plain-object.js';
import type { ManifestKey, ManifestKeys, ManifestSigners } from './signed-manifest.js';

const MAX_THRESHOLD = 16;

/** Who may sign, read once. */
export interface Rules {
  readonly keys: readonly ManifestKey[];
  readonly anchors: ManifestSigners['anchors'];
  readonly threshold: number;
  readonly minVersion: number | undefined;
}

const KNOWN: readonly string[] = ['keys', 'anchors', 'threshold', 'minVersion'];

/**
 * A rule that is misspelled, lost (undefined), or that copying would lose (inherited, computed) must
 * not be ignored: TypeError.
 */
export function demandPlainRules(manifestKeys: ManifestKeys): void {
  if (Array.isArray(manifestKeys) || typeof manifestKeys === 'string') return;
  if (!isPlainObject(manifestKeys))
    throw new TypeError('manifestKeys must be keys, PEM text, or rules as a plain object');
  for (const [key, { value, enumerable }] of Object.entries(
    Object.getOwnPropertyDescriptors(manifestKeys),
  )) {
    if (!KNOWN.includes(key) || enumerable !== true)
      throw new TypeError(`manifestKeys: unknown ${key}; known are ${KNOWN.join(', ')}`);
    if (value === undefined) throw new TypeError(`manifestKeys: ${key} is undefined: leave it out`);
  }
}

/** The rules with their defaults. TypeError for what cannot be used. */
export function readSigners(manifestKeys: ManifestKeys): Rules {
  const isList = Array.isArray(manifestKeys) || typeof manifestKeys === 'string';
  const given = (isList ? { keys: manifestKeys } : manifestKeys) as ManifestSigners;
  const { keys, anchors, threshold = 1, minVersion } = given;
  const list = keys === undefined ? [] : Array.isArray(keys) ? keys : [keys as JWK | string];
  if (keys === undefined ? anchors === undefined : list.length === 0)
    throw new TypeError('manifestKeys must hold at least one key or anchor');
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > MAX_THRESHOLD)
    throw new TypeError(`threshold must be a whole number of 1 to ${MAX_THRESHOLD}`);
  if (minVersion !== undefined && (!Number.isSafeInteger(minVersion) || minVersion < 0))
    throw new TypeError('minVersion must be a whole number, 0 or more');
  return { keys: list as readonly ManifestKey[], anchors, threshold, minVersion };
}
