import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes } from '../bytes/bytes.js';
import { encodeHex } from '../bytes/hex.js';
import { AttestationError } from '../result/attestation-error.js';
import { authenticodeDigests } from './authenticode.js';
import { formatAwsMeasurements } from './aws-format.js';
import { bytesSource } from './byte-source.js';
import { packExtraFile } from './cpio.js';
import { guidBytes } from './guid.js';
import { type MeasureOptions, measureUki, type UkiMeasurement } from './measure-uki.js';
import { extendAll } from './measured-event.js';
import { toMeasurementManifest } from './measurement-manifest.js';
import { readPeImage } from './pe-image.js';
import {
  makeCertificate,
  makeCertificateTable,
  makePe,
  makeSignatureList,
  type PePlan,
  ukiSections,
} from './test-support/make-pe.js';
import { makeSigner, type SignaturePlan, signPe, type TestSigner } from './test-support/sign-pe.js';
import { encodeUtf16 } from './text.js';

const X509 = guidBytes('a5c059a1-94e4-4aa7-87b5-ab155c2bf072');
const SHA256 = guidBytes('c1c41626-504c-4092-aca9-41f936934328');
const SHA384 = guidBytes('ff3e5307-9fd0-48c9-85f1-8ad56c701e01');
const X509_SHA256 = guidBytes('3bd2a492-96c0-4079-b420-fcf98ef103ed');
const OWNER = guidBytes('01234567-89ab-cdef-0123-456789abcdef');
const PCR7_SECURE_BOOT_OFF =
  '98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35';

const createHasher: NonNullable<MeasureOptions['createHasher']> = (algorithm) =>
  createHash(algorithm.replace('-', ''));
const sha384 = (...parts: readonly Uint8Array[]): string =>
  createHash('sha384')
    .update(concatBytes(...parts))
    .digest('hex');

function measure(
  images: Uint8Array | readonly Uint8Array[],
  options: MeasureOptions = {},
): Promise<UkiMeasurement> {
  const list = images instanceof Uint8Array ? [images] : images;
  return measureUki(
    list.map((bytes, i) => ({ name: `image${i}.efi`, source: bytesSource(bytes) })),
    { createHasher, ...options },
  );
}

const makeUki = (
  version?: string,
  changes: Readonly<Record<string, Uint8Array | undefined>> = {},
  plan: PePlan = {},
): Uint8Array => makePe(ukiSections(version, changes), plan);
const digestOf = async (bytes: Uint8Array): Promise<string> => {
  const [digest] = await authenticodeDigests(bytesSource(bytes), ['SHA-384']);
  return encodeHex(digest ?? new Uint8Array());
};
const digests = ({ events }: UkiMeasurement, pcr: number): string[] =>
  events.filter((event) => event.pcr === pcr).map(({ digest }) => digest);
const fails = (code: string): unknown => expect.objectContaining({ code });

describe('measureUki', () => {
  it('gives events whose replay is the PCR', async () => {
    const measurement = await measure(makeUki());
    expect([...measurement.pcrs.keys()]).toEqual([4, 7, 9, 11, 12]);
    for (const [pcr, value] of measurement.pcrs)
      expect(extendAll(digests(measurement, pcr), createHasher)).toBe(value);
    expect(measurement.pcrs.get(7)).toBe(PCR7_SECURE_BOOT_OFF);
    expect(measurement.pcrs.get(12)).toBe('0'.repeat(96));
    expect(measurement.stubVersion).toBe('systemd-stub 252.39-1~deb12u2');
    expect(measurement.notes).toEqual([]);
  });

  it('is the same with hashes in plain JavaScript', async () => {
    const uki = makeUki();
    const plain = await measureUki([{ name: 'image0.efi', source: bytesSource(uki) }]);
    expect(plain).toEqual(await measure(uki));
  });

  it('measures the inner kernel where the firmware loads it', async () => {
    const kernel = ukiSections().find(({ name }) => name === '.linux')?.data ?? new Uint8Array();
    for (const [version, count] of [
      ['252.1', 4],
      ['257.13-1~deb13u1', 4],
      ['262.1-1', 3],
    ] as const) {
      const uki = makeUki(version);
      const list = digests(await measure(uki), 4);
      expect(list).toHaveLength(count);
      expect(list.slice(0, 2)).toEqual([
        sha384(asciiBytes('Calling EFI Application from Boot Option')),
        sha384(new Uint8Array(4)),
      ]);
      expect(list[2]).toBe(await digestOf(uki));
      if (count === 4) expect(list[3]).toBe(await digestOf(kernel));
    }
  });

  it('takes Amazon Linux 2023 without .sdmagic for 252, nothing else', async () => {
    const osrel = asciiBytes('NAME="Amazon Linux"\nVERSION_ID="2023"\nID="amzn"\n');
    const measurement = await measure(makeUki('', { '.sdmagic': undefined, '.osrel': osrel }));
    expect(measurement.stubProfile).toBe('252');
    expect(measurement.stubVersion).toBeUndefined();
    const others = [
      { '.sdmagic': undefined },
      { '.sdmagic': undefined, '.osrel': undefined },
      { '.sdmagic': asciiBytes('#### LoaderInfo: systemd-boot 252 ####') },
      { '.sdmagic': asciiBytes('junk'), '.osrel': osrel },
      { '.sdmagic': new Uint8Array(), '.osrel': osrel },
      { '.sdmagic': new Uint8Array(70_000).fill(0x61), '.osrel': osrel },
    ];
    for (const changes of others)
      await expect(measure(makeUki('', changes))).rejects.toEqual(fails('uki.stub-version'));
  });

  it('refuses unknown versions unless the caller picks a profile', async () => {
    for (const version of ['251', '253.1', '258~rc1', '263', '2520', 'abc'])
      await expect(measure(makeUki(version))).rejects.toEqual(fails('uki.stub-unknown'));
    const chosen = await measure(makeUki('258.1'), { stubProfile: '262' });
    expect(chosen.stubProfile).toBe('262');
    expect(chosen.stubVersion).toBe('systemd-stub 258.1');
  });

  it('measures the sections that the stub knows, in its order', async () => {
    const changes = {
      '.sbat': asciiBytes('sbat,1'),
      '.pcrsig': asciiBytes('{}'),
      '.uname': asciiBytes('6.1'),
    };
    const names = (measurement: UkiMeasurement): string[] =>
      measurement.events
        .filter(({ kind }) => kind === 'section-name')
        .map(({ description }) => description.replace('name of section ', ''));
    const old = await measure(makeUki('252', changes));
    expect(names(old)).toEqual(['.linux', '.osrel', '.cmdline', '.initrd']);
    const newer = await measure(makeUki('257', changes));
    expect(names(newer)).toEqual(['.linux', '.osrel', '.cmdline', '.initrd', '.uname', '.sbat']);
    expect(digests(newer, 11).slice(-2)).toEqual([
      sha384(asciiBytes('.sbat\0')),
      sha384(asciiBytes('sbat,1')),
    ]);
  });

  it('hashes a section as it stands in memory, zeros included', async () => {
    const sections = ukiSections('252').map((section) =>
      section.name === '.osrel' ? { ...section, virtualSize: 1000 } : section,
    );
    const list = digests(await measure(makePe(sections)), 11);
    const osrel = sections.find(({ name }) => name === '.osrel')?.data ?? new Uint8Array();
    expect(list[3]).toBe(sha384(osrel, new Uint8Array(1000 - osrel.length)));
  });

  it('predicts the initrd with what the stub appends', async () => {
    const changes = { '.pcrpkey': asciiBytes('KEY'), '.pcrsig': asciiBytes('{}') };
    const [, plain] = digests(await measure(makeUki('252')), 9);
    const initrd = new Uint8Array(5001).fill(0x17);
    expect(plain).toBe(sha384(initrd));
    const [, old] = digests(await measure(makeUki('252', changes)), 9);
    const padding = new Uint8Array(3);
    const extras = [
      packExtraFile('tpm2-pcr-signature.json', asciiBytes('{}')),
      packExtraFile('tpm2-pcr-public-key.pem', asciiBytes('KEY')),
    ];
    expect(old).toBe(sha384(initrd, padding, ...extras));
    const [, newer] = digests(await measure(makeUki('257', changes)), 9);
    const osrel = packExtraFile('os-release', asciiBytes('ID=test\nVERSION_ID="1"\n'));
    expect(newer).toBe(sha384(initrd, padding, ...extras, osrel));
  });

  it('leaves PCR9 out where it depends on the machine, and says so when asked for it', async () => {
    const newest = await measure(makeUki('262'));
    expect([...newest.pcrs.keys()]).toEqual([4, 7, 11, 12]);
    expect(newest.notes.join()).toMatch(/^PCR9 is left out: .*secret/);
    expect(newest.events.filter(({ pcr }) => pcr === 9)).toEqual([]);
    for (const changes of [{ '.initrd': undefined }, { '.cmdline': undefined }]) {
      const measurement = await measure(makeUki('252', changes));
      expect(measurement.pcrs.has(9)).toBe(false);
      const asked = measure(makeUki('252', changes), { pcrs: [9] });
      await expect(asked).rejects.toEqual(fails('uki.not-predictable'));
    }
  });

  it('computes only the PCRs asked for', async () => {
    const measurement = await measure(makeUki(), { pcrs: [12, 4] });
    expect([...measurement.pcrs.keys()]).toEqual([4, 12]);
    await expect(measure(makeUki(), { pcrs: [5] })).rejects.toBeInstanceOf(TypeError);
  });

  it('selects the first profile of a multi-profile UKI', async () => {
    const base = ukiSections('257');
    const profiles = [
      { name: '.profile', data: asciiBytes('ID=main') },
      { name: '.cmdline', data: asciiBytes('first') },
      { name: '.profile', data: asciiBytes('ID=other') },
      { name: '.cmdline', data: asciiBytes('second') },
    ];
    const list = digests(await measure(makePe([...base, ...profiles])), 11);
    expect(list).toContain(sha384(asciiBytes('first')));
    expect(list).toContain(sha384(asciiBytes('ID=main')));
    expect(list).not.toContain(sha384(asciiBytes('second')));
    const old = ukiSections('252');
    await expect(measure(makePe([...old, ...profiles]))).rejects.toEqual(
      fails('uki.section-duplicate'),
    );
  });

  it('refuses names that stub 252 takes for another one', async () => {
    const stranger = asciiBytes('taken for another one');
    for (const name of ['.osrelZ', '.linuxZ', '.dtbauto', '.splash2', '.pcrsig2']) {
      await expect(measure(makeUki('252', { [name]: stranger }))).rejects.toEqual(
        fails('uki.section-name'),
      );
      // Later stubs compare whole names.
      await expect(measure(makeUki('257', { [name]: stranger }))).resolves.toBeDefined();
    }
    await expect(measure(makeUki('252', { '.osre': stranger }))).resolves.toBeDefined();
  });

  it('refuses a second section of a name, also an empty one', async () => {
    const duplicate = fails('uki.section-duplicate');
    for (const version of ['252', '257', '262'])
      for (const name of ['.osrel', '.cmdline', '.linux', '.sdmagic']) {
        const sections = ukiSections(version);
        const empty = { name, data: new Uint8Array() };
        await expect(measure(makePe([...sections, empty]))).rejects.toEqual(duplicate);
        await expect(measure(makePe([empty, ...sections]))).rejects.toEqual(duplicate);
      }
    const emptied = [
      ...ukiSections('257'),
      { name: '.profile', data: asciiBytes('ID=main') },
      { name: '.cmdline', data: new Uint8Array() },
    ];
    await expect(measure(makePe(emptied))).rejects.toEqual(duplicate);
  });

  it('takes an empty section for none', async () => {
    const empty = new Uint8Array();
    const [one, two] = await Promise.all([
      measure(makeUki('257', { '.uname': empty })),
      measure(makeUki('257')),
    ]);
    expect(one.pcrs.get(11)).toBe(two.pcrs.get(11));
  });

  it('refuses sections that are mostly zeros in memory', async () => {
    const sections = ukiSections('257').map((section) =>
      section.name === '.osrel' || section.name === '.initrd'
        ? { ...section, virtualSize: 10 * 1024 * 1024 }
        : section,
    );
    await expect(measure(makePe(sections))).rejects.toEqual(fails('pe.limit-exceeded'));
  });

  it('refuses what depends on the machine or is ambiguous', async () => {
    const dtb = measure(makeUki('257', { '.dtbauto': asciiBytes('dtb') }), { pcrs: [11] });
    await expect(dtb).rejects.toEqual(fails('uki.not-predictable'));
    const uki = makeUki();
    await expect(measure([uki, uki])).rejects.toEqual(fails('uki.several'));
    const other = makePe([{ name: '.text', data: new Uint8Array(10) }]);
    await expect(measure(other)).rejects.toEqual(fails('uki.not-a-uki'));
    const noKernel = makeUki('252', { '.linux': asciiBytes('not a PE image') });
    await expect(measure(noKernel)).rejects.toEqual(fails('pe.not-pe'));
    const long = makeUki('252', { '.cmdline': new Uint8Array(70_000).fill(0x61) });
    await expect(measure(long)).rejects.toEqual(fails('uki.command-line'));
  });
});

describe('command lines from outside', () => {
  it('replace the embedded one and show in PCR12', async () => {
    const measurement = await measure(makeUki(), { commandLineOverride: 'debug\tquiet \n' });
    const expected = sha384(encodeUtf16('debug quiet\0'));
    expect(digests(measurement, 12)).toEqual([expected]);
    expect(digests(measurement, 9)[0]).toBe(expected);
  });

  it('keep spaces in front with stub 252 only', async () => {
    const first = async (version: string): Promise<string | undefined> =>
      digests(await measure(makeUki(version, { '.cmdline': asciiBytes(' \tquiet\n') })), 9)[0];
    expect(await first('252')).toBe(sha384(encodeUtf16('  quiet\0')));
    expect(await first('257')).toBe(sha384(encodeUtf16('quiet\0')));
  });

  it.each(['', '   ', '@1 quiet', 'caf\u00e9', '\tquiet', 'x'.repeat(40_000)])(
    'refuse %j',
    async (line) => {
      const measurement = measure(makeUki('257'), { commandLineOverride: line });
      await expect(measurement).rejects.toEqual(fails('uki.command-line'));
    },
  );
});

describe('addons', () => {
  const addon = (line: string, changes: Readonly<Record<string, Uint8Array>> = {}): Uint8Array =>
    makePe(
      Object.entries({ '.sdmagic': asciiBytes('x'), '.cmdline': asciiBytes(line), ...changes }).map(
        ([name, data]) => ({ name, data }),
      ),
    );

  it('are measured before the kernel, their command lines together', async () => {
    const images = [makeUki('257'), addon('one=1 '), addon('two=2')];
    const measurement = await measure(images);
    const four = digests(measurement, 4);
    expect(four).toHaveLength(6);
    expect(four[3]).toBe(await digestOf(images[1] as Uint8Array));
    expect(digests(measurement, 12)).toEqual([sha384(encodeUtf16('one=1 two=2\0'))]);
    expect(digests(measurement, 9)[0]).toBe(
      sha384(encodeUtf16('console=ttyS0 quiet one=1 two=2\0')),
    );
  });

  it('are refused where they would be measured in another way', async () => {
    const unsupported = fails('uki.addon-unsupported');
    const cases = [
      [makeUki('252'), addon('x')],
      [makeUki('257'), makePe([{ name: '.text', data: new Uint8Array(8) }])],
      [makeUki('257'), addon('x', { '.initrd': asciiBytes('x') })],
      [
        makeUki('257', { '.uname': asciiBytes('6.1') }),
        addon('x', { '.uname': asciiBytes('6.2') }),
      ],
    ];
    for (const images of cases) await expect(measure(images)).rejects.toEqual(unsupported);
  });
});

describe('Secure Boot', () => {
  const issuer = makeSigner('issuer');
  const leaf = makeSigner('leaf', { issuer });
  const stranger = makeSigner('stranger');
  const list = (...signers: readonly TestSigner[]): Uint8Array =>
    concatBytes(...signers.map(({ certificate }) => makeSignatureList(X509, OWNER, [certificate])));
  const sign = (...signatures: readonly SignaturePlan[]): Promise<Uint8Array> =>
    signPe(ukiSections('252'), signatures);
  const keys = { pk: list(stranger), kek: list(stranger), db: list(stranger, leaf) };
  const authority = async (
    image: Uint8Array,
    db: Uint8Array,
    dbx: Uint8Array = new Uint8Array(),
  ): Promise<string | undefined> => {
    const measurement = await measure(image, { secureBoot: { ...keys, db, dbx }, pcrs: [7] });
    return measurement.events
      .find(({ kind }) => kind === 'authority')
      ?.description.replace('images allowed by db: ', '');
  };

  it('measures the db entry of the signer, once', async () => {
    const loader = await signPe([{ name: '.text', data: new Uint8Array(9) }], [{ signer: leaf }]);
    const measurement = await measure([loader, await sign({ signer: leaf })], { secureBoot: keys });
    const seven = measurement.events.filter(({ pcr }) => pcr === 7);
    expect(seven.map(({ kind }) => kind)).toEqual([
      ...new Array(5).fill('variable'),
      'separator',
      'authority',
    ]);
    expect(seven.at(-1)?.description).toBe('images allowed by db: leaf');
    expect(seven[0]?.description).toBe('SecureBoot: on');
    expect(digests(measurement, 4)).toHaveLength(4); // no inner kernel
    expect(measurement.secureBoot).toBe(true);
  });

  it('takes the first entry of db that is the signer or leads to it', async () => {
    const image = await sign({
      signer: leaf,
      carried: [leaf.certificate, issuer.certificate, stranger.certificate],
    });
    expect(await authority(image, list(issuer, leaf))).toBe('issuer');
    expect(await authority(image, list(leaf, issuer))).toBe('leaf');
    // A measured boot: a certificate carried for nothing, first in db, allows nothing.
    expect(await authority(image, list(stranger, leaf))).toBe('leaf');
    await expect(authority(image, list(stranger))).rejects.toEqual(fails('uki.signer-not-in-db'));
  });

  it('takes an issuer that the signature does not carry', async () => {
    // A measured boot: db [CA, leaf], the signature carries the leaf only.
    const image = await sign({ signer: leaf });
    expect(await authority(image, list(issuer, leaf))).toBe('issuer');
    expect(await authority(image, list(stranger, issuer))).toBe('issuer');
  });

  it('follows carried certificates to an entry above them', async () => {
    const root = makeSigner('root');
    const middle = makeSigner('middle', { issuer: root });
    const end = makeSigner('end', { issuer: middle, isAuthority: false });
    const all = [end.certificate, middle.certificate];
    expect(await authority(await sign({ signer: end, carried: all }), list(root))).toBe('root');
    expect(await authority(await sign({ signer: end, carried: all }), list(middle))).toBe('middle');
    await expect(authority(await sign({ signer: end }), list(root))).rejects.toEqual(
      fails('uki.signer-not-in-db'),
    );
  });

  it('tells certificates of one name apart by their keys', async () => {
    const impostor = makeSigner('issuer');
    const image = await sign({ signer: leaf });
    expect(await authority(image, list(impostor, issuer))).toBe('issuer');
    await expect(authority(image, list(impostor))).rejects.toEqual(fails('uki.signer-not-in-db'));
    const forged = makeSigner('forged', { issuer, forged: true });
    const byForged = await sign({ signer: forged });
    expect(await authority(byForged, list(issuer, forged))).toBe('forged');
  });

  it('compares names as OpenSSL does', async () => {
    const odd = makeSigner('odd', { issuer, issuerInCapitals: true });
    expect(await authority(await sign({ signer: odd }), list(issuer, odd))).toBe('issuer');
  });

  it('does not guess where firmware may decide either way', async () => {
    const unsure = fails('uki.not-predictable');
    const curve = makeSigner('curve', { kind: 'ec' });
    const byCurve = makeSigner('by curve', { issuer: curve });
    await expect(authority(await sign({ signer: byCurve }), list(curve, byCurve))).rejects.toEqual(
      unsure,
    );
    const noAuthority = makeSigner('no authority', { isAuthority: false });
    const below = makeSigner('below', { issuer: noAuthority });
    await expect(authority(await sign({ signer: below }), list(noAuthority))).rejects.toEqual(
      unsure,
    );
    const renewed = makeSigner('issuer', { keys: issuer.keys });
    const bySelf = await sign({ signer: issuer });
    await expect(authority(bySelf, list(renewed, issuer))).rejects.toEqual(unsure);
    const two = [leaf.certificate, issuer.certificate, renewed.certificate];
    const above = makeSigner('above');
    const crossed = makeSigner('issuer', { keys: issuer.keys, issuer: above });
    const several = await sign({ signer: leaf, carried: [...two, crossed.certificate] });
    await expect(authority(several, list(above))).rejects.toEqual(unsure);
    const unreadable = makeSignatureList(X509, OWNER, [asciiBytes('no certificate')]);
    await expect(authority(await sign({ signer: leaf }), unreadable)).rejects.toEqual(unsure);
  });

  it('takes the first of several signatures that db allows', async () => {
    const twice = await sign({ signer: issuer }, { signer: stranger });
    expect(await authority(twice, list(stranger, issuer))).toBe('issuer');
    expect(await authority(twice, list(stranger))).toBe('stranger');
    // Firmware looks for the image's hash in db in between.
    const withHash = concatBytes(
      list(stranger),
      makeSignatureList(SHA256, OWNER, [new Uint8Array(32)]),
    );
    await expect(authority(twice, withHash)).rejects.toEqual(fails('uki.not-predictable'));
    const curve = makeSigner('curve', { kind: 'ec' });
    await expect(
      authority(await sign({ signer: curve }, { signer: stranger }), list(curve)),
    ).rejects.toEqual(fails('uki.not-predictable'));
    expect(await authority(await sign({ signer: curve }), list(curve))).toBe('curve');
  });

  it('refuses a signature that is not one of this image', async () => {
    const mismatch = fails('pe.signature-mismatch');
    const faults: readonly Partial<SignaturePlan>[] = [
      { imageDigest: new Uint8Array(32) }, // the image was changed after signing
      { messageDigest: new Uint8Array(32) },
      { forged: true },
    ];
    for (const fault of faults) {
      const image = await sign({ signer: leaf, ...fault });
      await expect(authority(image, list(leaf))).rejects.toEqual(mismatch);
    }
    // Firmware reads a type of signature that no tool here does.
    const hidden = await sign({ signer: issuer }, { signer: leaf });
    const { offset } = (await readPeImage(bytesSource(hidden))).certificates;
    new DataView(hidden.buffer).setUint16(offset + 6, 0x0ef1, true);
    await expect(authority(hidden, list(issuer, leaf))).rejects.toEqual(
      fails('uki.not-predictable'),
    );
    const noSigner = await sign({ signer: leaf, carried: [issuer.certificate] });
    await expect(authority(noSigner, list(issuer))).rejects.toEqual(
      fails('pe.signature-malformed'),
    );
  });

  it('ignores a command line from outside', async () => {
    const measurement = await measure(await sign({ signer: leaf }), {
      secureBoot: keys,
      commandLineOverride: 'evil=1',
    });
    expect(measurement.pcrs.get(12)).toBe('0'.repeat(96));
    expect(measurement.notes.join()).toMatch(/ignores/);
  });

  it('refuses images that firmware would refuse', async () => {
    const unsigned = measure(makeUki(), { secureBoot: keys });
    await expect(unsigned).rejects.toEqual(fails('pe.not-signed'));
    const other = measure(await sign({ signer: makeSigner('other') }), { secureBoot: keys });
    await expect(other).rejects.toEqual(fails('uki.signer-not-in-db'));
    const uki = await sign({ signer: leaf });
    // dbx names the signer, or its issuer, which the signature need not carry.
    for (const dbx of [list(leaf), list(issuer)]) {
      const revoked = measure(uki, { secureBoot: { ...keys, dbx } });
      await expect(revoked).rejects.toEqual(fails('uki.revoked-by-dbx'));
    }
    expect(await authority(uki, list(leaf), list(stranger))).toBe('leaf');
    const tbs = leaf.certificate.subarray(4); // behind the Certificate's header
    const tbsBytes = tbs.subarray(0, 4 + ((tbs[2] as number) << 8) + (tbs[3] as number));
    const named = concatBytes(createHash('sha256').update(tbsBytes).digest(), new Uint8Array(16));
    const byCertificateHash = makeSignatureList(X509_SHA256, OWNER, [named]);
    await expect(authority(uki, list(leaf), byCertificateHash)).rejects.toEqual(
      fails('uki.not-predictable'),
    );
    for (const [type, algorithm] of [
      [SHA256, 'SHA-256'],
      [SHA384, 'SHA-384'],
    ] as const) {
      const [hash = new Uint8Array()] = await authenticodeDigests(bytesSource(uki), [algorithm]);
      const byHash = { ...keys, dbx: makeSignatureList(type, OWNER, [hash]) };
      await expect(measure(uki, { secureBoot: byHash })).rejects.toEqual(
        fails('uki.revoked-by-dbx'),
      );
    }
  });

  it('refuses a PK that is not one certificate', async () => {
    const empty = makeSignatureList(X509, OWNER, []);
    const hash = makeSignatureList(SHA256, OWNER, [new Uint8Array(32)]);
    // An empty list has an entry size all the same.
    new DataView(empty.buffer).setUint32(24, 17, true);
    for (const pk of [empty, list(leaf, stranger), hash])
      await expect(measure(makeUki(), { secureBoot: { pk } })).rejects.toEqual(
        fails('esl.pk-invalid'),
      );
  });

  it('refuses keys without a platform key, and broken lists', async () => {
    const without = measure(makeUki(), { secureBoot: { db: keys.db } });
    await expect(without).rejects.toEqual(fails('esl.pk-missing'));
    const broken = { ...keys, kek: keys.kek.subarray(1) };
    await expect(measure(makeUki(), { secureBoot: broken })).rejects.toBeInstanceOf(
      AttestationError,
    );
  });

  it('is off with empty variables', async () => {
    const empty = new Uint8Array();
    const measurement = await measure(makeUki(), { secureBoot: { pk: empty, db: empty } });
    expect(measurement.pcrs.get(7)).toBe(PCR7_SECURE_BOOT_OFF);
  });
});

describe('output', () => {
  it('is AWS\u2019s text, byte for byte', async () => {
    const { pcrs } = await measure(makeUki(), { pcrs: [4, 7, 12] });
    expect(formatAwsMeasurements(pcrs)).toBe(
      `{\n  "Measurements": {\n    "HashAlgorithm": "SHA384",\n    "PCR4": "${pcrs.get(4)}",\n    "PCR7": "${pcrs.get(7)}",\n    "PCR12": "${pcrs.get(12)}"\n  }\n}\n`,
    );
  });

  it('is a manifest whose events replay', async () => {
    const manifest = toMeasurementManifest(await measure(makeUki()), {
      name: 'image',
      imageVersion: '7',
    });
    const [set] = JSON.parse(JSON.stringify(manifest)).measurementSets;
    expect(manifest).toMatchObject({
      version: 1,
      name: 'image',
      platform: 'nitrotpm',
      hashAlgorithm: 'SHA384',
    });
    expect(set.label).toBe('image');
    for (const [pcr, value] of Object.entries(set.pcrs)) {
      const events = set.events.filter((event: { pcr: number }) => `${event.pcr}` === pcr);
      const list = events.map((event: { digest: string }) => event.digest);
      expect(extendAll(list, createHasher)).toBe(value);
    }
  });
});

describe('hostile UKIs', () => {
  it('give codes in bounded time', async () => {
    const good = makeUki('257', {}, { certificates: makeCertificateTable([makeCertificate('x')]) });
    const started = Date.now();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at % (at % 3 === 0 ? good.length : 600)] = value;
          try {
            await measure(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(AttestationError);
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});
