import { encodeHex } from '../../src/bytes/hex.js';
import type { Code, Step } from '../../src/result/codes.js';
import type { Verdict } from '../../src/result/report.js';
import { type BundleOverrides, manifestFor, mintBundle } from './bundle.js';
import { type DocumentOverrides, mintDocument } from './document.js';
import { enclavePcrs, nitroTpmPcrs } from './pcrs.js';
import type { MintPki } from './pki.js';

/** One case as it stands in a file; test-vectors/schema.json describes it. */
export interface VectorCase {
  readonly id: string;
  readonly title: string;
  /** Who would do this and what they would gain; `none` for valid cases. */
  readonly attacker: string;
  readonly input: VectorInput;
  /** Milliseconds since the epoch, or the document's own timestamp. */
  readonly nowMs: number | 'document';
  /** Absent: the verifier's default anchor (AWS Nitro root G1). */
  readonly trustAnchorsPem?: readonly string[];
  /** SHA-256 of the root's DER, as a pin, in hex. */
  readonly trustAnchorsSha256?: readonly string[];
  readonly options: VectorOptions;
  readonly manifest: unknown;
  readonly expected: { readonly verdict: Verdict; readonly code?: Code; readonly step?: Step };
  /** Runs first, in the same chain memory, and must give this. */
  readonly precededBy?: {
    readonly nowMs: number;
    readonly expected: { readonly verdict: Verdict };
  };
}

export interface VectorInput {
  /** bundle: an object; document: bytes; text: a text that is handed over as it is. */
  readonly kind: 'document' | 'bundle' | 'text';
  readonly encoding: 'base64' | 'hex' | 'base64url' | 'json' | 'utf8';
  readonly value: unknown;
  /** After decoding, append this byte (document) or character (text) up to this size. */
  readonly padTo?: { readonly size: number; readonly with: number };
}

export interface VectorOptions {
  /** Lower-case hex; null: the document must carry none; absent: not checked. */
  readonly nonce?: string | null;
  readonly clockToleranceSeconds?: number;
  readonly maxAgeSeconds?: number;
  readonly allowDebug?: boolean;
  readonly allowPartialManifest?: boolean;
  readonly requireQuote?: boolean;
  /** Public keys (JWK) that may sign the manifest. */
  readonly manifestKeys?: readonly object[];
}

/** What every case says about itself: id, title and attacker. */
export type About = readonly [id: string, title: string, attacker: string];

/** Everything of a case that differs from the usual. */
export interface CaseOverrides {
  readonly input?: VectorInput;
  readonly nowMs?: number | 'document';
  /** null: leave it to the verifier's default. */
  readonly trustAnchorsPem?: readonly string[] | null;
  readonly trustAnchorsSha256?: readonly string[];
  readonly options?: VectorOptions;
  readonly manifest?: unknown;
  readonly precededBy?: VectorCase['precededBy'];
}

/** The expectation: `verified`, `unappraised`, or the code of a rejection. */
export type Expectation = 'verified' | 'unappraised' | Code;

/** Collects cases around one PKI, one time and one nonce. */
export class CaseKit {
  readonly pki: MintPki;
  readonly nowMs: number;
  readonly nonce: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
  /** Documents are two seconds old when they are verified. */
  readonly documentMs: number;
  readonly cases: VectorCase[] = [];

  constructor(pki: MintPki) {
    this.pki = pki;
    this.nowMs = pki.nowMs;
    this.documentMs = pki.nowMs - 2000;
  }

  /** Adds a case with the given input and the usual rest. */
  add(
    expected: Expectation,
    about: About,
    overrides: CaseOverrides & { input: VectorInput },
  ): void {
    const [id, title, attacker] = about;
    const { trustAnchorsPem = [this.pki.anchorPem] } = overrides;
    this.cases.push({
      id,
      title,
      attacker,
      input: overrides.input,
      nowMs: overrides.nowMs ?? this.nowMs,
      ...(trustAnchorsPem === null ? {} : { trustAnchorsPem }),
      ...(overrides.trustAnchorsSha256 && { trustAnchorsSha256: overrides.trustAnchorsSha256 }),
      options: overrides.options ?? { nonce: encodeHex(this.nonce) },
      manifest: overrides.manifest === undefined ? manifestFor(nitroTpmPcrs()) : overrides.manifest,
      expected: expectation(expected),
      ...(overrides.precededBy && { precededBy: overrides.precededBy }),
    });
  }

  /** A bare document: mints one with these differences. */
  async document(
    expected: Expectation,
    about: About,
    document: DocumentOverrides = {},
    overrides: CaseOverrides = {},
  ): Promise<void> {
    const bytes = await this.mintDocument(document);
    const manifest =
      document.platform === 'enclave' ? manifestFor(enclavePcrs(), 'enclave') : undefined;
    this.add(expected, about, {
      input: documentInput(bytes),
      ...(manifest && { manifest }),
      ...overrides,
    });
  }

  /** A bundle with quote: mints one with these differences. */
  async bundle(
    expected: Expectation,
    about: About,
    bundle: BundleOverrides = {},
    overrides: CaseOverrides = {},
  ): Promise<void> {
    const minted = await mintBundle(this.pki, {
      nonce: this.nonce,
      ...bundle,
      document: { timestampMs: this.documentMs, ...bundle.document },
    });
    this.add(expected, about, { input: bundleInput(minted.bundle), ...overrides });
  }

  /** A document from this kit's PKI, time and nonce. */
  mintDocument(overrides: DocumentOverrides = {}): Promise<Uint8Array> {
    return mintDocument(this.pki, {
      timestampMs: this.documentMs,
      nonce: this.nonce,
      ...overrides,
    });
  }
}

export const documentInput = (bytes: Uint8Array): VectorInput => ({
  kind: 'document',
  encoding: 'base64',
  value: Buffer.from(bytes).toString('base64'),
});

export const bundleInput = (bundle: unknown): VectorInput => ({
  kind: 'bundle',
  encoding: 'json',
  value: bundle,
});

export const textInput = (text: string): VectorInput => ({
  kind: 'text',
  encoding: 'utf8',
  value: text,
});

function expectation(expected: Expectation): VectorCase['expected'] {
  if (expected === 'verified' || expected === 'unappraised') return { verdict: expected };
  return {
    verdict: 'rejected',
    code: expected,
    step: expected.slice(0, expected.indexOf('.')) as Step,
  };
}
