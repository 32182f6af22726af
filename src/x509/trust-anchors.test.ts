import { createHash } from 'node:crypto';
import { createNodeProvider } from 'tee-verify/node';
import { describe, expect, it } from 'vitest';
import { mintPki } from '../../test-vectors/mint/index.js';
import { decodeHex, encodeHex } from '../bytes/hex.js';
import { createEngine } from '../crypto/engine.js';
import { runFlowSync } from '../crypto/flow.js';
import type { SyncCrypto } from '../crypto/provider.js';
import {
  AWS_NITRO_ROOT_G1_SHA256,
  isTrustAnchor,
  resolveTrustAnchors,
  type TrustAnchor,
} from './trust-anchors.js';

const pki = await mintPki({ now: new Date('2026-03-01T12:00:00Z') });
const other = await mintPki({ now: new Date('2026-03-01T12:00:00Z') });
const engine = createEngine('node', createNodeProvider().sync as SyncCrypto);
const pin = createHash('sha256').update(pki.rootDer).digest('hex');
const trusts = (anchors: readonly TrustAnchor[], der: Uint8Array): boolean =>
  runFlowSync(isTrustAnchor(der, resolveTrustAnchors(anchors), engine));

describe('trust anchors', () => {
  it.each([
    ['PEM', pki.rootPem],
    ['PEM with CRLF and text around', `subject=x\n${pki.rootPem.replaceAll('\n', '\r\n')}\nend`],
    ['DER', pki.rootDer],
    ['a pin', { sha256: pin }],
    ['a pin in upper case with colons', { sha256: pin.toUpperCase().replace(/..(?!$)/g, '$&:') }],
    ['a PEM bundle', other.rootPem + pki.rootPem],
  ] as const)('%s', (_name, anchor) => {
    expect(trusts([anchor], pki.rootDer)).toBe(true);
    const [regional] = pki.chain.slice(1);
    expect(trusts([anchor], regional as Uint8Array)).toBe(false);
    const changed = pki.rootDer.slice();
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
    expect(trusts([anchor], changed)).toBe(false);
    expect(trusts([anchor], pki.rootDer.subarray(0, -1))).toBe(false);
    expect(trusts([anchor], new Uint8Array(0))).toBe(false);
  });

  it('any one of several is enough, and none of the others', () => {
    const anchors = [{ sha256: '00'.repeat(32) }, other.rootDer, { sha256: pin }];
    expect(trusts(anchors, pki.rootDer)).toBe(true);
    expect(trusts(anchors.slice(0, 2), pki.rootDer)).toBe(false);
  });

  it('is the AWS root by default, and only that', () => {
    const { pins, certificates } = resolveTrustAnchors(undefined);
    expect(certificates).toEqual([]);
    expect(pins.map(encodeHex)).toEqual([AWS_NITRO_ROOT_G1_SHA256]);
    expect(AWS_NITRO_ROOT_G1_SHA256).toMatch(/^641a0321a3e244ef/);
  });

  it('keeps its own copy of DER bytes', () => {
    const mine = pki.rootDer.slice();
    const anchors = resolveTrustAnchors([mine]);
    mine.fill(0);
    expect(runFlowSync(isTrustAnchor(pki.rootDer, anchors, engine))).toBe(true);
    expect(runFlowSync(isTrustAnchor(mine, anchors, engine))).toBe(false);
  });

  it('names a set by what is in it, in any order, and a pin unlike its certificate', () => {
    const id = (...anchors: TrustAnchor[]): string => resolveTrustAnchors(anchors).id;
    expect(id(pki.rootDer, { sha256: pin })).toBe(id({ sha256: pin }, pki.rootPem));
    const sets = [[pki.rootDer], [other.rootDer], [{ sha256: pin }], [pki.rootDer, other.rootDer]];
    expect(new Set(sets.map((set) => id(...set))).size).toBe(sets.length);
  });

  it.each([
    ['no anchors', []],
    ['not a list', pki.rootPem],
    ['an object', { sha256: pin }],
    ['empty text', ['']],
    ['text without PEM', ['hello']],
    ['base64 without PEM lines', [Buffer.from(pki.rootDer).toString('base64')]],
    ['PEM of a key', [pki.rootPem.replaceAll('CERTIFICATE', 'PUBLIC KEY')]],
    ['PEM with a broken body', [pki.rootPem.replace('MII', 'M*I')]],
    ['PEM with base64url', ['-----BEGIN CERTIFICATE-----\nAA-_\n-----END CERTIFICATE-----']],
    ['PEM with bits left over', ['-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----']],
    ['PEM without its end', [pki.rootPem.replace(/-----END.*/s, '')]],
    ['a good and an empty one', [pki.rootPem, '']],
    ['no DER bytes', [new Uint8Array(0)]],
    ['an ArrayBuffer', [new ArrayBuffer(8)]],
    ['null', [null]],
    ['a number', [5]],
    ['undefined', [undefined]],
    ['a pin of SHA-1', [{ sha256: '00'.repeat(20) }]],
    ['a pin with a letter too much', [{ sha256: `${pin}0` }]],
    ['a pin that is not hex', [{ sha256: 'z'.repeat(64) }]],
    ['a pin as bytes', [{ sha256: decodeHex(pin) }]],
    ['a pin that is undefined', [{ sha256: undefined }]],
  ])('%s is a TypeError', (_name, anchors) => {
    expect(() => resolveTrustAnchors(anchors as never)).toThrow(TypeError);
  });
});
