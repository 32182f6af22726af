import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { VerifyOptions } from 'tee-verify';
import { decodeBase64 } from '../src/bytes/base64.js';
import { decodeHex } from '../src/bytes/hex.js';
import type { VectorCase, VectorInput } from './mint/vector-case.js';

const folder: string = fileURLToPath(new URL('./cases/', import.meta.url));

/** Every case, by the name of its file. */
export function loadCases(): VectorCase[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(folder + file, 'utf8')) as VectorCase);
}

/** The evidence as it is to be handed to a verifier. */
export function evidenceOf(input: VectorInput): string | Uint8Array | object {
  const { kind, encoding, value, padTo } = input;
  if (encoding === 'json') return structuredClone(value) as object;
  const text = value as string;
  if (kind !== 'document')
    return padTo ? text.padEnd(padTo.size, String.fromCharCode(padTo.with)) : text;
  const bytes =
    encoding === 'hex'
      ? decodeHex(text)
      : encoding === 'utf8'
        ? new TextEncoder().encode(text)
        : decodeBase64(text);
  if (bytes === undefined) throw new TypeError(`input is not ${encoding}`);
  if (padTo === undefined) return bytes;
  const padded = new Uint8Array(padTo.size).fill(padTo.with);
  padded.set(bytes);
  return padded;
}

/** The case's options in this library's terms. */
export function optionsOf(vector: VectorCase): VerifyOptions {
  const { trustAnchorsPem, trustAnchorsSha256, nowMs } = vector;
  const anchors = [
    ...(trustAnchorsPem ?? []),
    ...(trustAnchorsSha256 ?? []).map((sha256) => ({ sha256 })),
  ];
  const { manifestKeys, ...rest } = vector.options;
  return {
    ...rest,
    ...(manifestKeys && {
      manifestKeys: manifestKeys as NonNullable<VerifyOptions['manifestKeys']>,
    }),
    now: nowMs === 'document' ? nowMs : new Date(nowMs),
    ...(anchors.length > 0 && { trustAnchors: anchors }),
  };
}
