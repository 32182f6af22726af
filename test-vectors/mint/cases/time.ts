import { encodeHex } from '../../../src/bytes/hex.js';
import type { NitroIdentity } from '../../../tools/simulator/nitro-pki.js';
import { changePath, type PathLevel, toPem, validity } from '../certificate.js';
import { MODULE_ID } from '../pki.js';
import type { CaseKit } from '../vector-case.js';

const HOUR = 3_600_000;

/** Validity of certificates, age of documents, nonces: is it answering me, now? */
export async function timeCases(kit: CaseKit): Promise<void> {
  await validityCases(kit);
  await ageCases(kit);
  await nonceCases(kit);
}

async function validityCases(kit: CaseKit): Promise<void> {
  const thief = 'who kept the key of a certificate whose time is over';
  const path = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  for (const level of ['leaf', 'instance', 'zonal', 'regional', 'root'] as const) {
    const change = async (notBeforeMs: number, notAfterMs: number) => {
      const changed = await changePath(path, level, {
        parts: () => ({ validity: validity(notBeforeMs, notAfterMs) }),
      });
      const anchor = toPem((changed.authorities[0] as NitroIdentity).der);
      return [{ path: changed }, { trustAnchorsPem: [anchor] }] as const;
    };
    await kit.document(
      'x509.expired',
      [`x509-expired-${level}`, `${name(level)} expired an hour ago`, thief],
      ...(await change(kit.nowMs - 24 * HOUR, kit.nowMs - HOUR)),
    );
    await kit.document(
      'x509.not-yet-valid',
      [`x509-not-yet-valid-${level}`, `${name(level)} valid from an hour later on`, thief],
      ...(await change(kit.nowMs + HOUR, kit.nowMs + 24 * HOUR)),
    );
  }

  const { leaf } = path;
  const at = (nowMs: number, clockToleranceSeconds: number) => ({
    nowMs,
    options: { nonce: encodeHex(kit.nonce), clockToleranceSeconds },
  });
  await kit.document(
    'verified',
    ['x509-not-after-exact', 'exactly at notAfter of the leaf, no tolerance', 'none'],
    {},
    at(leaf.notAfterMs, 0),
  );
  await kit.document(
    'x509.expired',
    ['x509-not-after-past', 'a second after notAfter of the leaf, no tolerance', thief],
    {},
    at(leaf.notAfterMs + 1000, 0),
  );
  await kit.document(
    'verified',
    [
      'x509-not-after-tolerated',
      'a minute after notAfter of the leaf, a minute of tolerance',
      'none',
    ],
    {},
    at(leaf.notAfterMs + 60_000, 60),
  );
  await kit.document(
    'x509.expired',
    [
      'x509-not-after-beyond',
      '61 seconds after notAfter of the leaf, a minute of tolerance',
      thief,
    ],
    {},
    at(leaf.notAfterMs + 61_000, 60),
  );
  const early = { path, timestampMs: leaf.notBeforeMs };
  await kit.document(
    'verified',
    ['x509-not-before-exact', 'exactly at notBefore of the leaf, no tolerance', 'none'],
    early,
    at(leaf.notBeforeMs, 0),
  );
  await kit.document(
    'x509.not-yet-valid',
    ['x509-not-before-early', 'a second before notBefore of the leaf, no tolerance', thief],
    early,
    at(leaf.notBeforeMs - 1000, 0),
  );
  await kit.document(
    'verified',
    [
      'x509-not-before-tolerated',
      'a minute before notBefore of the leaf, a minute of tolerance',
      'none',
    ],
    early,
    at(leaf.notBeforeMs - 60_000, 60),
  );
  await kit.document(
    'x509.not-yet-valid',
    ['x509-clock-years-behind', 'clock of a machine that woke up in 2020', 'none: a wrong clock'],
    {},
    at(Date.UTC(2020, 0, 1), 60),
  );

  // A CA that was fine, is remembered, and has expired meanwhile.
  const soon = await changePath(path, 'zonal', {
    parts: () => ({ validity: validity(kit.nowMs - 24 * HOUR, kit.nowMs + HOUR) }),
  });
  await kit.document(
    'x509.expired',
    ['x509-remembered-expired', 'a CA remembered from an hour ago has expired since', thief],
    { path: soon },
    {
      nowMs: kit.nowMs + HOUR + 61_000,
      precededBy: { nowMs: kit.nowMs, expected: { verdict: 'verified' } },
    },
  );
}

const name = (level: PathLevel): string =>
  level === 'leaf' || level === 'root' ? `${level} certificate` : `${level} CA`;

async function ageCases(kit: CaseKit): Promise<void> {
  const replayer = 'who replays an old document while its certificate still lives';
  const aged = (ageMs: number) => ({ timestampMs: kit.nowMs - ageMs });
  const path = await kit.pki.issuePath(MODULE_ID.nitrotpm, kit.documentMs);
  await kit.document(
    'verified',
    ['freshness-young', 'no nonce asked for, document two seconds old', 'none'],
    {},
    { options: {} },
  );
  await kit.document(
    'freshness.stale',
    [
      'freshness-stale-default',
      'no nonce asked for, document ten minutes old, chain valid',
      replayer,
    ],
    aged(600_000),
    { options: {} },
  );
  await kit.document(
    'freshness.stale',
    ['freshness-stale-hour', 'document an hour old while its leaf lives for three', replayer],
    aged(HOUR),
    { options: { maxAgeSeconds: 600 } },
  );
  await kit.document(
    'verified',
    ['freshness-hour-allowed', 'document an hour old, two hours allowed', 'none'],
    aged(HOUR),
    { options: { maxAgeSeconds: 7200 } },
  );
  await kit.document(
    'verified',
    ['freshness-age-exact', 'document exactly as old as allowed, no tolerance', 'none'],
    aged(120_000),
    { options: { maxAgeSeconds: 120, clockToleranceSeconds: 0 } },
  );
  await kit.document(
    'freshness.stale',
    ['freshness-age-past', 'document a second older than allowed, no tolerance', replayer],
    aged(121_000),
    { options: { maxAgeSeconds: 120, clockToleranceSeconds: 0 } },
  );
  await kit.document(
    'freshness.stale',
    ['freshness-nonce-and-age', 'right nonce, but older than the age that was asked for', replayer],
    aged(HOUR),
    { options: { nonce: encodeHex(kit.nonce), maxAgeSeconds: 300 } },
  );
  await kit.document(
    'verified',
    ['freshness-stored', 'stored document at its own time', 'none'],
    aged(HOUR),
    { nowMs: 'document', options: {} },
  );
  const ahead = (ms: number) => ({ timestampMs: kit.nowMs + ms, path });
  await kit.document(
    'verified',
    [
      'freshness-ahead-tolerated',
      'document 50 seconds ahead of the clock, default tolerance',
      'none',
    ],
    ahead(50_000),
  );
  await kit.document(
    'freshness.future',
    [
      'freshness-future',
      'document two minutes ahead of the clock',
      'who dates a document ahead to use it later',
    ],
    ahead(120_000),
  );
  await kit.document(
    'freshness.future',
    [
      'freshness-future-no-tolerance',
      'document a second ahead of the clock, no tolerance',
      'a clock that is behind',
    ],
    ahead(1000),
    { options: { nonce: encodeHex(kit.nonce), clockToleranceSeconds: 0 } },
  );
}

async function nonceCases(kit: CaseKit): Promise<void> {
  const replayer = 'who replays somebody else’s attestation, or an old one of the same machine';
  await kit.document(
    'freshness.nonce-missing',
    ['nonce-missing', 'a nonce was asked for, the document has none', replayer],
    { nonce: undefined },
  );
  await kit.document(
    'freshness.nonce-missing',
    ['nonce-left-out', 'a nonce was asked for, the document has no such key', replayer],
    { fields: { nonce: undefined } },
  );
  await kit.document(
    'freshness.nonce-missing',
    ['nonce-empty', 'a nonce was asked for, the document has one of no bytes', replayer],
    { nonce: new Uint8Array(0) },
  );
  const wrong: (readonly [id: string, title: string, nonce: Uint8Array])[] = [
    ['other', 'another nonce', new Uint8Array(32).fill(1)],
    ['prefix', 'the first half of the nonce', kit.nonce.slice(0, 16)],
    ['longer', 'the nonce and one byte more', Uint8Array.of(...kit.nonce, 0)],
    ['hex-text', 'the nonce as a hex text', new TextEncoder().encode(encodeHex(kit.nonce))],
  ];
  for (const [id, title, nonce] of wrong)
    await kit.document('freshness.nonce-mismatch', [`nonce-${id}`, title, replayer], { nonce });
  await kit.document(
    'freshness.nonce-unexpected',
    ['nonce-unexpected', 'no nonce may be there, the document has one', replayer],
    {},
    { options: { nonce: null } },
  );
  await kit.document(
    'verified',
    ['nonce-none', 'no nonce may be there, and there is none', 'none'],
    { nonce: undefined },
    { options: { nonce: null } },
  );
}
