import { createNodeProvider } from 'tee-verify/node';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  addExtensions,
  type CertificateChange,
  certificateParts,
  changePath,
  der as derBytes,
  derToRaw,
  editExtension,
  extension,
  MODULE_ID,
  mintBelow,
  mintPki,
  OID,
  type PathLevel,
  rawToDer,
  twin,
  validity,
} from '../../test-vectors/mint/index.js';
import type { NitroIdentity, NitroPath } from '../../tools/simulator/nitro-pki.js';
import { createEngine, type Engine } from '../crypto/engine.js';
import { runFlow, runFlowSync } from '../crypto/flow.js';
import type { SyncCrypto } from '../crypto/provider.js';
import type { Code } from '../result/codes.js';
import type { VerificationTime } from '../result/verification-time.js';
import { expectCode, notes, rejectionOf, thrownBy } from '../test-support/rejection.js';
import { parseCertificate } from './certificate.js';
import { ChainMemory } from './chain-memory.js';
import { judgePath, judgePathSignatures, type PathRules, startPathSignatures } from './path.js';
import { resolveTrustAnchors } from './trust-anchors.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const HOUR = 3_600_000;
const pki = await mintPki({ now: new Date(NOW) });
const otherPki = await mintPki({ now: new Date(NOW) });
const good = await pki.issuePath(MODULE_ID.nitrotpm, NOW);
const theirs = await otherPki.issuePath(MODULE_ID.nitrotpm, NOW);
const otherRoot = theirs.authorities[0] as NitroIdentity;
const [root, regional, zonal, instance] = good.authorities as [
  NitroIdentity,
  NitroIdentity,
  NitroIdentity,
  NitroIdentity,
];

const sync = createNodeProvider().sync as SyncCrypto;
let verified: string[] = [];
/** Counts the signatures that are checked. */
const engine: Engine = createEngine('counting', {
  digest: sync.digest,
  verify(algorithm, key, message, signature) {
    const valid = sync.verify(algorithm, key, message, signature);
    verified.push(valid ? 'valid' : 'invalid');
    return valid;
  },
});
beforeEach(() => {
  verified = [];
});

const at = (nowMs: number, clockToleranceSeconds = 0): VerificationTime => ({
  nowMs,
  source: 'given',
  clockToleranceSeconds,
  documentMs: NOW,
});
const anchors = resolveTrustAnchors([pki.rootDer]);
const rulesFor = (change: Partial<PathRules> = {}): PathRules => ({
  anchors,
  time: at(NOW),
  memory: undefined,
  memoryScope: '',
  ...change,
});

function judge(path: NitroPath | Uint8Array[], rules: PathRules = rulesFor(), heard = notes()) {
  const all = Array.isArray(path) ? path : [...path.authorities.map((a) => a.der), path.leaf.der];
  return runFlowSync(
    (function* () {
      const bundle = all.slice(0, -1);
      const judged = yield* judgePath(bundle, all.at(-1) as Uint8Array, rules, engine, heard.note);
      const started = startPathSignatures(judged, engine);
      yield* judgePathSignatures(judged, started, rules, heard.note);
      return judged;
    })(),
  );
}
const changed = (level: PathLevel, change: CertificateChange): Promise<NitroPath> =>
  changePath(good, level, change);
const nameOf = (identity: NitroIdentity): Uint8Array => certificateParts(identity.der).subject;
const hex = derBytes.hex;

describe('a good path', () => {
  it('passes, with every signature checked but the anchor\u2019s own', () => {
    const heard = notes();
    const path = judge(good, rulesFor(), heard);
    expect(verified).toEqual(['valid', 'valid', 'valid', 'valid']);
    expect(path.leaf.subject.text).toContain('tpm0000');
    expect(heard.heard.join('\n')).toContain('4 certificate signatures');
  });

  it.each([
    [
      'CA without key identifiers',
      'zonal',
      editExtension(OID.subjectKeyIdentifier, () => undefined),
    ],
    [
      'CA without authority key identifier',
      'zonal',
      editExtension(OID.authorityKeyIdentifier, () => undefined),
    ],
    ['leaf without basicConstraints', 'leaf', editExtension(OID.basicConstraints, () => undefined)],
    [
      'unknown extension that is not critical',
      'instance',
      addExtensions(extension(OID.unknown, hex('0500'))),
    ],
    [
      'CA without path length',
      'zonal',
      editExtension(OID.basicConstraints, () =>
        extension(OID.basicConstraints, hex('30030101ff'), true),
      ),
    ],
  ] as const)('%s', async (_name, level, parts) => {
    judge(await changed(level, { parts }));
  });

  it('accepts the twin of a signature, which is as valid', async () => {
    judge(
      await changed('leaf', { signature: (s) => rawToDer(twin(derToRaw(s, 'P-384'), 'P-384')) }),
    );
  });
});

describe('a bad path', () => {
  const row = async (code: Code, path: NitroPath | Uint8Array[], rules = rulesFor()) =>
    expectCode(() => judge(path, rules), code);
  const constraints = (bits: string, critical = true): CertificateChange => ({
    parts: editExtension(OID.basicConstraints, () =>
      extension(OID.basicConstraints, hex(bits), critical),
    ),
  });
  const usage = (bits: string | undefined): CertificateChange => ({
    parts: editExtension(OID.keyUsage, () =>
      bits === undefined ? undefined : extension(OID.keyUsage, hex(bits), true),
    ),
  });

  it.each<readonly [string, Code, PathLevel, CertificateChange]>([
    ['basicConstraints empty as CA', 'x509.basic-constraints', 'instance', constraints('3000')],
    [
      'basicConstraints not critical',
      'x509.basic-constraints',
      'zonal',
      constraints('30030101ff', false),
    ],
    [
      'basicConstraints absent in CA',
      'x509.basic-constraints',
      'regional',
      { parts: editExtension(OID.basicConstraints, () => undefined) },
    ],
    ['pathLen 0 above a CA', 'x509.path-length-exceeded', 'zonal', constraints('30060101ff020100')],
    [
      'pathLen 1 above two CAs',
      'x509.path-length-exceeded',
      'regional',
      constraints('30060101ff020101'),
    ],
    ['pathLen 2 above three CAs', 'x509.untrusted-anchor', 'root', constraints('30060101ff020102')],
    ['CA without keyCertSign', 'x509.key-usage', 'instance', usage('03020780')],
    ['CA without keyUsage', 'x509.key-usage', 'instance', usage(undefined)],
    ['leaf without digitalSignature', 'x509.key-usage', 'leaf', usage('03020204')],
    ['leaf with decipherOnly alone', 'x509.key-usage', 'leaf', usage('0303070080')],
    ['leaf without keyUsage', 'x509.key-usage', 'leaf', usage(undefined)],
    ['leaf with CA flag', 'x509.leaf-is-ca', 'leaf', constraints('30030101ff')],
    ['leaf with path length', 'x509.leaf-is-ca', 'leaf', constraints('3003020100')],
    [
      'critical unknown extension in a CA',
      'x509.extension-unknown-critical',
      'zonal',
      { parts: addExtensions(extension(OID.unknown, hex('0500'), true)) },
    ],
    [
      'critical name constraints',
      'x509.extension-unknown-critical',
      'instance',
      { parts: addExtensions(extension(OID.nameConstraints, hex('3000'), true)) },
    ],
    [
      'critical unknown extension in the leaf',
      'x509.extension-unknown-critical',
      'leaf',
      { parts: addExtensions(extension(OID.unknown, hex('0500'), true)) },
    ],
    [
      'issuer of another name',
      'x509.name-mismatch',
      'leaf',
      { parts: () => ({ issuer: nameOf(zonal) }) },
    ],
    [
      'authority key identifier of another key',
      'x509.key-identifier-mismatch',
      'instance',
      {
        parts: editExtension(OID.authorityKeyIdentifier, () =>
          extension(OID.authorityKeyIdentifier, hex('30038001aa')),
        ),
      },
    ],
    [
      'signature of the right form by nobody',
      'x509.signature-invalid',
      'leaf',
      { signature: () => hex('3006020101020101') },
    ],
    ['signature over SHA-256', 'x509.signature-invalid', 'zonal', { hash: 'SHA-256' }],
    ['self-signed leaf', 'x509.signature-invalid', 'leaf', { signWith: good.leaf.keys.privateKey }],
    [
      'regional signed by another root of the same name',
      'x509.signature-invalid',
      'regional',
      { signWith: otherRoot.keys.privateKey },
    ],
    ['root signed again: same key, other signature', 'x509.untrusted-anchor', 'root', {}],
  ])('%s', async (_name, code, level, change) => {
    await row(code, await changed(level, change));
  });

  it('pathLen of the anchor itself counts', async () => {
    const path = await changed('root', constraints('30060101ff020102'));
    const own = resolveTrustAnchors([path.authorities[0]?.der as Uint8Array]);
    await row('x509.path-length-exceeded', path, rulesFor({ anchors: own }));
  });

  const ders = [...good.authorities.map((a) => a.der), good.leaf.der];
  it.each<readonly [string, Code, readonly number[]]>([
    ['no root', 'x509.untrusted-anchor', [1, 2, 3, 4]],
    ['leaf first', 'x509.untrusted-anchor', [4, 3, 2, 1, 0]],
    ['reversed bundle', 'x509.untrusted-anchor', [3, 2, 1, 0, 4]],
    ['regional missing', 'x509.name-mismatch', [0, 2, 3, 4]],
    ['instance missing', 'x509.name-mismatch', [0, 1, 2, 4]],
    ['zonal and instance swapped', 'x509.name-mismatch', [0, 1, 3, 2, 4]],
    ['root twice', 'x509.chain-length', [0, 0, 1, 2, 3, 4]],
    ['leaf in the bundle too', 'x509.chain-length', [0, 1, 2, 3, 4, 4]],
    ['instance twice, not side by side', 'x509.chain-length', [0, 3, 1, 2, 3, 4]],
    ['instance as leaf', 'x509.leaf-is-ca', [0, 1, 2, 3]],
    ['root alone as bundle', 'x509.name-mismatch', [0, 4]],
    ['root as leaf', 'x509.leaf-is-ca', [0]],
    ['leaf alone', 'x509.untrusted-anchor', [4]],
  ])('%s', async (_name, code, order) => {
    await row(
      code,
      order.map((i) => ders[i] as Uint8Array),
    );
  });

  it('leaf as CA', async () => {
    const above = await mintBelow(zonal, good.leaf, nameOf(zonal), 'leaf as CA');
    const below = await mintBelow(above, good.leaf, nameOf(above), 'below');
    const path = [root, regional, zonal, above, below].map((c) => c.der);
    await row('x509.basic-constraints', path);
    // One more CA than the regional one allows is refused before that.
    const longer = await mintBelow(good.leaf, good.leaf, nameOf(good.leaf), 'below');
    await row('x509.path-length-exceeded', [...ders, longer.der]);
  });

  it('eleven certificates, before any is parsed', async () => {
    const junk = Array.from({ length: 11 }, (_, i) => Uint8Array.of(i));
    await row('x509.chain-length', junk);
    await row('x509.malformed', junk.slice(1));
  });

  it('a root of the same name but another key', async () => {
    await row('x509.untrusted-anchor', theirs);
    expect(verified).toEqual([]);
  });

  it('the trusted root in front of another PKI\u2019s certificates', async () => {
    const [, ...rest] = theirs.authorities;
    const path = { authorities: [root, ...rest], leaf: theirs.leaf };
    const error = thrownBy(() => judge(path)) as { code: Code };
    expect(['x509.key-identifier-mismatch', 'x509.signature-invalid']).toContain(error.code);
  });
});

describe('validity', () => {
  const windows = [root, regional, zonal, instance, good.leaf];
  const latest = Math.max(...windows.map((w) => w.notBeforeMs));
  const earliest = Math.min(...windows.map((w) => w.notAfterMs));

  it.each([0, 1, 60])('both ends belong to the window, tolerance %i s', (tolerance) => {
    const ms = tolerance * 1000;
    const rules = (nowMs: number) => rulesFor({ time: at(nowMs, tolerance) });
    judge(good, rules(latest - ms));
    judge(good, rules(earliest + ms));
    expectCode(() => judge(good, rules(latest - ms - 1)), 'x509.not-yet-valid');
    expectCode(() => judge(good, rules(earliest + ms + 1)), 'x509.expired');
  });

  it.each<readonly [PathLevel]>([['regional'], ['zonal'], ['instance'], ['leaf']])(
    '%s expired, or not yet valid',
    async (level) => {
      const expired = await changed(level, {
        parts: () => ({ validity: validity(NOW - HOUR, NOW - 1000) }),
      });
      expectCode(() => judge(expired), 'x509.expired');
      const early = await changed(level, {
        parts: () => ({ validity: validity(NOW + 1000, NOW + HOUR) }),
      });
      expectCode(() => judge(early), 'x509.not-yet-valid');
    },
  );

  it('an expired root is refused although it is an anchor', () => {
    const error = expectCode(
      () => judge(good, rulesFor({ time: at(root.notAfterMs + 1) })),
      'x509.expired',
    );
    expect(error.expected).toContain('cabundle[0]');
  });

  it('says the clock, the window and by how much, and when the clock may be wrong', () => {
    const error = expectCode(
      () => judge(good, rulesFor({ time: { ...at(NOW + 30 * HOUR, 60), source: 'clock' } })),
      'x509.expired',
    );
    expect(error.expected).toContain('cabundle[3]');
    expect(error.expected).toContain(new Date(instance.notAfterMs).toISOString());
    expect(error.expected).toContain('tolerance 60 s');
    expect(error.actual).toContain(new Date(NOW + 30 * HOUR).toISOString());
    expect(error.actual).toContain('6 h too late');
    expect(error.hint).toContain('`now`');
    const outside = { ...at(NOW + 30 * HOUR), documentMs: NOW + 29 * HOUR };
    expect(
      expectCode(() => judge(good, rulesFor({ time: outside })), 'x509.expired').hint,
    ).not.toContain('clock of this machine is wrong');
  });
});

describe('a path with memory', () => {
  const memoryRules = (memory: ChainMemory, change: Partial<PathRules> = {}): PathRules =>
    rulesFor({ memory, ...change });

  it('checks the CAs once, the leaf each time', async () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    expect(memory.size).toBe(4);
    expect(verified).toHaveLength(4);
    const again = judge(good, memoryRules(memory));
    expect(verified).toHaveLength(5);
    expect(again.remembered).toHaveLength(4);
    expect(memory.size).toBe(4);
    const other = await pki.issuePath('i-0fedcba9876543210-tpm0000000000000000', NOW);
    judge(other, memoryRules(memory));
    // Another instance: its CA and its leaf.
    expect(verified).toHaveLength(7);
    expect(memory.size).toBe(5);
  });

  it('a remembered CA that has expired since is refused', () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    for (const [identity, label] of [
      [instance, 3],
      [zonal, 2],
      [regional, 1],
    ] as const) {
      const time = at(identity.notAfterMs + 1);
      const error = expectCode(() => judge(good, memoryRules(memory, { time })), 'x509.expired');
      expect(error.expected).toMatch(/cabundle\[[123]\]/);
      if (identity === instance) expect(error.expected).toContain(`cabundle[${label}]`);
    }
    expectCode(
      () => judge(good, memoryRules(memory, { time: at(root.notBeforeMs - 1) })),
      'x509.not-yet-valid',
    );
  });

  it('another leaf below remembered CAs must be signed by them', async () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    const forged = await changed('leaf', { signWith: good.leaf.keys.privateKey });
    expectCode(() => judge(forged, memoryRules(memory)), 'x509.signature-invalid');
    const asCa = [...good.authorities.map((a) => a.der)];
    expectCode(() => judge(asCa, memoryRules(memory)), 'x509.leaf-is-ca');
  });

  it('a tampered CA with the names of a remembered one is verified again', async () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    for (const level of ['regional', 'zonal', 'instance'] as const) {
      const longer = { parts: () => ({ validity: validity(NOW - HOUR, NOW + 9000 * HOUR) }) };
      const tampered = await changed(level, { ...longer, signWith: good.leaf.keys.privateKey });
      const before = memory.size;
      expectCode(() => judge(tampered, memoryRules(memory)), 'x509.signature-invalid');
      expect(memory.size).toBe(before);
      const signature = await changed(level, {
        signature: (s) => s.map((b, i) => (i === s.length - 1 ? b ^ 1 : b)),
      });
      expectCode(() => judge(signature, memoryRules(memory)), 'x509.signature-invalid');
    }
  });

  it('is not shared between anchor sets', () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    const onlyTheirs = resolveTrustAnchors([otherPki.rootDer]);
    expectCode(
      () => judge(good, memoryRules(memory, { anchors: onlyTheirs })),
      'x509.untrusted-anchor',
    );
    const both = resolveTrustAnchors([otherPki.rootDer, pki.rootDer]);
    verified = [];
    judge(good, memoryRules(memory, { anchors: both }));
    expect(verified).toHaveLength(4);
    // Removing the trusted root from that set later is a different set again.
    expectCode(
      () => judge(good, memoryRules(memory, { anchors: onlyTheirs })),
      'x509.untrusted-anchor',
    );
  });

  it('a remembered CA means nothing in another place', () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    const skipped = [root, zonal, instance, good.leaf].map((c) => c.der);
    expectCode(() => judge(skipped, memoryRules(memory)), 'x509.name-mismatch');
    const headless = [regional, zonal, instance, good.leaf].map((c) => c.der);
    expectCode(() => judge(headless, memoryRules(memory)), 'x509.untrusted-anchor');
  });

  it('a leaf that was seen is judged anew: its signature, its time, and what is above it', () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    expect(memory.recallLeaf(good.leaf.der)).toBeDefined();
    expectCode(
      () => judge(good, memoryRules(memory, { time: at(good.leaf.notAfterMs + 1) })),
      'x509.expired',
    );
    const orphan = [root, regional, zonal, good.leaf].map((c) => c.der);
    expectCode(() => judge(orphan, memoryRules(memory)), 'x509.name-mismatch');
    const asCa = [root, regional, zonal, instance, good.leaf, instance].map((c) => c.der);
    expectCode(() => judge(asCa, memoryRules(memory)), 'x509.chain-length');
    verified = [];
    judge(good, memoryRules(memory));
    expect(verified).toHaveLength(1);
  });

  it('remembers nothing when the chain fails at any step', async () => {
    const memory = new ChainMemory();
    const failing: readonly (readonly [NitroPath, VerificationTime])[] = [
      [await changed('leaf', { signWith: good.leaf.keys.privateKey }), at(NOW)],
      [await changed('instance', { signWith: good.leaf.keys.privateKey }), at(NOW)],
      [await changed('regional', { signWith: good.leaf.keys.privateKey }), at(NOW)],
      [await changed('leaf', { parts: () => ({ issuer: nameOf(root) }) }), at(NOW)],
      [await changed('leaf', { parts: editExtension(OID.keyUsage, () => undefined) }), at(NOW)],
      [await changed('leaf', { certificate: (c) => c.subarray(1) }), at(NOW)],
      [good, at(good.leaf.notAfterMs + 1)],
      [theirs, at(NOW)],
    ];
    for (const [path, time] of failing) {
      thrownBy(() => judge(path, memoryRules(memory, { time })));
      expect(memory.size).toBe(0);
      expect(memory.recallLeaf(path.leaf.der)).toBeUndefined();
    }
    judge(good, memoryRules(memory));
    expect(memory.size).toBe(4);
  });

  it('remembers nothing when the provider fails in the middle', async () => {
    const memory = new ChainMemory();
    let calls = 0;
    const flaky = createEngine('flaky', {
      name: 'flaky',
      digest: async (algorithm, data) => sync.digest(algorithm, data),
      verify: async (...args) => {
        if (++calls === 3) throw new Error('lost');
        return sync.verify(...args);
      },
    });
    const rules = memoryRules(memory);
    const flow = (function* () {
      const ders = good.authorities.map((a) => a.der);
      const judged = yield* judgePath(ders, good.leaf.der, rules, flaky, () => undefined);
      const started = startPathSignatures(judged, flaky);
      yield* judgePathSignatures(judged, started, rules, () => undefined);
    })();
    const error = await rejectionOf(runFlow(flow));
    expect((error as { code: string }).code).toBe('crypto.failed');
    expect(memory.size).toBe(0);
  });

  it('a forgotten parent takes what hung below it along', async () => {
    const memory = new ChainMemory(4);
    judge(good, memoryRules(memory));
    // A fifth certificate pushes the root out; the rest must not be found without it.
    memory.remember('elsewhere', parseCertificate(otherPki.rootDer, 'other'));
    verified = [];
    expect(judge(good, memoryRules(memory)).remembered).toEqual([]);
    expect(verified).toHaveLength(4);
  });

  it('gives the same verdict and messages as without memory', async () => {
    const memory = new ChainMemory();
    judge(good, memoryRules(memory));
    for (const nowMs of [NOW, instance.notAfterMs + 1, root.notAfterMs + 1, 0]) {
      const time = at(nowMs, 5);
      const outcome = (rules: PathRules): string => {
        try {
          return judge(good, rules).leaf.subject.text;
        } catch (error) {
          return (error as Error).message;
        }
      };
      expect(outcome(memoryRules(memory, { time }))).toBe(outcome(rulesFor({ time })));
    }
  });
});

describe('ChainMemory', () => {
  const certificates = [root, regional, zonal, instance].map(({ der }, i) =>
    parseCertificate(der, `c${i}`),
  );
  const [a, b, c] = certificates as [
    (typeof certificates)[0],
    (typeof certificates)[0],
    (typeof certificates)[0],
  ];

  it('is bounded; what was not used for longest goes first', () => {
    const memory = new ChainMemory(2);
    memory.remember('scope', a);
    memory.remember('scope', b);
    expect(memory.recall('scope', a.der)).toBeDefined();
    memory.remember('scope', c);
    expect(memory.size).toBe(2);
    expect(memory.recall('scope', b.der)).toBeUndefined();
    expect(memory.recall('scope', a.der)).toBeDefined();
    expect(memory.recall('scope', c.der)).toBeDefined();
  });

  it('never holds more than its capacity', async () => {
    const memory = new ChainMemory(8);
    const der = certificates[3]?.der as Uint8Array;
    for (let i = 0; i < 200; i++) {
      const changedDer = der.slice();
      changedDer[20] = i;
      memory.remember(i % 5, { ...a, der: changedDer });
      expect(memory.size).toBeLessThanOrEqual(8);
    }
  });

  it('knows a certificate under one scope only, by every byte', () => {
    const memory = new ChainMemory();
    const { id } = memory.remember('scope', a);
    expect(memory.recall('other', a.der)).toBeUndefined();
    expect(memory.recall(id, a.der)).toBeUndefined();
    expect(memory.recall('scope', a.der.subarray(1))).toBeUndefined();
    const other = a.der.slice();
    other[100] = (other[100] as number) ^ 1;
    expect(memory.recall('scope', other)).toBeUndefined();
    expect(memory.recall('scope', a.der)?.id).toBe(id);
  });

  it('uses no id twice, also after clear', () => {
    const memory = new ChainMemory();
    const ids = [memory.remember('s', a).id, memory.remember('s', b).id];
    memory.clear();
    expect(memory.size).toBe(0);
    ids.push(memory.remember('s', a).id, memory.remember('s', a).id);
    expect(new Set(ids).size).toBe(4);
  });

  it('tells certificates apart that share their short name', () => {
    // FNV-1a is no cryptographic hash: collisions are found in no time, and must not matter.
    const fnv = (bytes: Uint8Array): number =>
      bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5);
    const seen = new Map<number, Uint8Array>();
    let pair: readonly [Uint8Array, Uint8Array] | undefined;
    for (let i = 0; pair === undefined; i++) {
      const bytes = root.der.slice();
      new DataView(bytes.buffer).setUint32(40, i * 2_654_435_761);
      const other = seen.get(fnv(bytes));
      if (other !== undefined) pair = [other, bytes];
      seen.set(fnv(bytes), bytes);
    }
    const [one, two] = pair;
    const memory = new ChainMemory();
    const { id } = memory.remember('scope', { ...a, der: one });
    expect(memory.recall('scope', one)?.id).toBe(id);
    expect(memory.recall('scope', two)).toBeUndefined();
    memory.remember('scope', { ...b, der: two });
    expect(memory.recall('scope', two)?.certificate.serialHex).toBe(b.serialHex);
    expect(memory.recall('scope', one)?.id ?? id).toBe(id);
  });

  it('keeps its own bytes', () => {
    const memory = new ChainMemory();
    const bytes = root.der.slice();
    memory.remember('scope', parseCertificate(bytes, 'root'));
    bytes.fill(0);
    const known = memory.recall('scope', root.der)?.certificate;
    expect(known?.publicKey).toEqual(a.publicKey);
    expect(known?.der).toEqual(root.der);
    expect(known?.subject.encoded).toEqual(a.subject.encoded);
    expect(known?.extensions.subjectKeyId).toEqual(a.extensions.subjectKeyId);
    for (const view of [known?.der, known?.tbs, known?.publicKey, known?.signature])
      expect(view?.buffer.byteLength).toBe(view?.length);
  });

  it('knows what a leaf says by every byte, in its own copy, and forgets it with the rest', () => {
    const memory = new ChainMemory();
    const bytes = good.leaf.der.slice();
    expect(memory.recallLeaf(bytes)).toBeUndefined();
    memory.rememberLeaf(parseCertificate(bytes, 'certificate'));
    bytes.fill(0);
    expect(memory.recallLeaf(good.leaf.der)).toEqual(
      parseCertificate(good.leaf.der, 'certificate'),
    );
    const other = good.leaf.der.slice();
    other[100] = (other[100] as number) ^ 1;
    expect(memory.recallLeaf(other)).toBeUndefined();
    // It is no CA that was verified.
    expect(memory.size).toBe(0);
    expect(memory.recall('', good.leaf.der)).toBeUndefined();
    for (let i = 0; i < 300; i++) {
      const der = good.leaf.der.slice();
      new DataView(der.buffer).setUint16(der.length - 2, i);
      memory.rememberLeaf({ ...a, der });
    }
    expect(memory.recallLeaf(good.leaf.der)).toBeUndefined();
    memory.rememberLeaf(a);
    memory.clear();
    expect(memory.recallLeaf(a.der)).toBeUndefined();
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '4', null])(
    'refuses a capacity of %s',
    (capacity) => {
      expect(() => new ChainMemory(capacity as number)).toThrow(TypeError);
    },
  );
});
