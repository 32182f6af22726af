import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeBase64 } from '../../src/bytes/base64-encode.js';
import { decodeHex, encodeHex } from '../../src/bytes/hex.js';
import { bytesSource, measureEif } from '../../src/measure/index.js';
import { makeEif } from '../../src/measure/test-support/make-eif.js';
import { makePe, ukiSections } from '../../src/measure/test-support/make-pe.js';
import { createNitroPki, type NitroPki } from '../../tools/simulator/nitro-pki.js';
import { checkAccessibility } from '../test-support/check-accessibility.js';
import { type Browser, missing, startChromium } from '../test-support/chromium.js';
import { makeEventLog, replayOf } from '../test-support/make-event-log.js';
import { DIST } from '../test-support/serve.js';

const lacking = missing(`${DIST}page/index.html`);
if (lacking !== undefined) {
  if (process.env.CI) throw new Error(`missing for tests in Chromium: ${lacking}`);
  console.warn(`SKIPPED: the verify page in Chromium; missing: ${lacking}`);
}

const FOLDER = pathToFileURL(`${DIST}page/`).href;
const example = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../examples/${name}`, import.meta.url)));
const NONCE = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf';
const SAMPLES = [
  ['Genuine', 'verified'],
  ['Another image booted', 'pcr.mismatch'],
  ['Replayed answer', 'freshness.nonce-mismatch'],
  ['Document changed', 'cose.signature-invalid'],
  ['Readable part edited', 'bundle.pcrs-mismatch'],
  ['Forged root', 'x509.untrusted-anchor'],
  ['Old certificates', 'x509.expired'],
] as const;
const MODULE_ID = 'i-0123456789abcdef0-tpm0000000000000000';

describe.skipIf(lacking !== undefined)('the verify page, from file://', () => {
  let browser: Browser;
  let page: Page;
  let pki: NitroPki;
  const folder = mkdtempSync(join(tmpdir(), 'page-'));

  beforeAll(async () => {
    pki = await createNitroPki();
    browser = await startChromium([FOLDER], {
      context: { viewport: { width: 1280, height: 900 }, acceptDownloads: true },
    });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    page = await browser.open(`${FOLDER}index.html`);
    await page.getByRole('button', { name: /Genuine/ }).waitFor();
  });
  afterEach(async () => {
    await page.close();
    expect(browser.complaints.splice(0)).toEqual([]);
    expect(browser.strangers.splice(0)).toEqual([]);
  });

  /** Drops files, as a person does, on the page or one of its boxes. */
  async function drop(
    files: readonly (readonly [name: string, content: Uint8Array | string])[],
    target = 'body',
  ): Promise<void> {
    await page.evaluate(
      ([list, selector]) => {
        const transfer = new DataTransfer();
        for (const [name, base64] of list)
          transfer.items.add(
            new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], name),
          );
        const element = document.querySelector(selector);
        for (const type of ['dragover', 'drop'])
          element?.dispatchEvent(
            new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }),
          );
      },
      [
        files.map(
          ([name, content]) =>
            [
              name,
              encodeBase64(
                typeof content === 'string' ? new TextEncoder().encode(content) : content,
              ),
            ] as const,
        ),
        target,
      ] as const,
    );
  }

  const verdict = (): Promise<string> => page.locator('.verdict h2').innerText();
  const status = (): Promise<string> => page.locator('#status').innerText();
  async function said(text: string | RegExp): Promise<void> {
    await page
      .locator('#status', { hasText: text })
      .waitFor({ state: 'attached', timeout: 10_000 });
  }

  it.each(SAMPLES)('sample “%s”: %s', async (title, outcome) => {
    await page.getByRole('button', { name: new RegExp(title) }).click();
    await said(outcome);
    if (outcome === 'verified') {
      expect(await verdict()).toContain('Verified');
      await expect(page.locator('.chain .link:not(.passed)').count()).resolves.toBe(0);
      // A root of one's own is never taken for AWS's.
      expect(await page.locator('.verdict').innerText()).toContain('not AWS');
    } else {
      expect(await verdict()).toContain('Rejected');
      expect(await page.locator('.verdict .code').innerText()).toBe(outcome);
      await expect(page.locator('.chain .link.failed').count()).resolves.toBe(1);
    }
    expect(await checkAccessibility(page)).toEqual([]);
    expect(await page.locator('.chain .link').count()).toBe(10);
  });

  it('shows the failing PCR and what differs in it', async () => {
    await page.getByRole('button', { name: /Another image/ }).click();
    await said('pcr.mismatch');
    const row = page.locator('#pcr-4');
    expect(await row.innerText()).toContain('differs');
    expect(await row.locator('mark').allInnerTexts()).toContain('c0ffee00');
    expect(await page.locator('#pcr-12').innerText()).toContain('matches');
    // The picture leads to the step that failed.
    await page.locator('.link.failed a').click();
    expect(await page.locator('#step-pcr').getAttribute('open')).not.toBeNull();
    expect(await page.evaluate(() => document.activeElement?.closest('details')?.id)).toBe(
      'step-pcr',
    );
  });

  it('judges what is dropped: evidence, manifest and anchor at once', async () => {
    await drop([
      ['bundle.json', example('bundle.json')],
      ['manifest.json', example('manifest.json')],
      ['root.pem', example('simulated-root.pem')],
    ]);
    await said('x509.expired');
    await page.getByLabel('the document’s own time').check();
    await said('verified.');
    await page.getByLabel('Nonce that it must answer').fill(NONCE.slice(0, -2));
    await said('freshness.nonce-mismatch');
    await page.getByLabel('Nonce that it must answer').fill('xyz');
    await said('A setting is not valid');
    expect(await page.locator('.verdict').count()).toBe(0);
    await page.getByLabel('Nonce that it must answer').fill(NONCE);
    await said('verified.');
    await page.getByRole('button', { name: 'Remove the manifest' }).click();
    await said('unappraised');
    expect(await page.locator('.verdict').innerText()).not.toContain('Verified');
    await page.getByRole('button', { name: 'Clear all' }).click();
    expect(await page.locator('.verdict').count()).toBe(0);
    expect(await page.getByLabel('Nonce that it must answer').inputValue()).toBe('');
  });

  it('judges what is pasted, and files that are chosen', async () => {
    const paste = page.getByLabel('or paste it (JSON, base64 or hex)');
    await paste.fill(new TextDecoder().decode(example('bundle.json')));
    await paste.blur();
    await said('x509.untrusted-anchor');
    writeFileSync(join(folder, 'manifest.json'), '{"PCR4":"00"}');
    await page.locator('#manifest-file').setInputFiles(join(folder, 'manifest.json'));
    await said('manifest.malformed');
    // It is read first, so nothing else was checked.
    expect(await page.locator('.chain .link.passed').count()).toBe(0);
  });

  it('judges by the clock, fresh evidence without a quote', async () => {
    const document = await pki.issueDocument({
      platform: 'enclave',
      moduleId: 'i-0123456789abcdef0-enc0123456789abcdef',
      timestampMs: Date.now(),
      pcrs: {
        0: new Uint8Array(48).fill(1),
        1: new Uint8Array(48).fill(2),
        2: new Uint8Array(48).fill(3),
      },
    });
    await drop([
      ['document.cbor', document],
      ['root.pem', pki.rootPem],
      ['measurements.json', JSON.stringify({ Measurements: { PCR0: '01'.repeat(48) } })],
    ]);
    await said('verified.');
    expect(await page.locator('.link', { hasText: 'TPM quote' }).getAttribute('class')).toContain(
      'not-run',
    );
    expect(await checkAccessibility(page)).toEqual([]);
  });

  it('derives a manifest from an event log and explains the PCRs of a bundle with one', async () => {
    const events = [
      [4, 'boot loader'],
      [7, 'policy'],
      [12, 'command line'],
    ] as const;
    const log = makeEventLog(events);
    const document = await pki.issueDocument({
      platform: 'nitrotpm',
      moduleId: MODULE_ID,
      timestampMs: Date.now(),
      pcrs: Object.fromEntries([4, 7, 12].map((pcr) => [pcr, replayOf(events, pcr)])),
    });
    const bundle = {
      attestation: { nitro: { document: encodeHex(document) } },
      event_log: encodeBase64(log),
    };
    await drop([
      ['bundle.json', JSON.stringify(bundle)],
      ['binary_bios_measurements', log],
      ['root.pem', pki.rootPem],
    ]);
    await said('verified.');
    expect(await page.locator('#manifest-box').innerText()).toContain('Replayed from 3 events');
    expect(await page.locator('.verdict').innerText()).toContain('derived here');
    expect(await page.locator('.report').innerText()).toContain('Event log: 3 of 3 PCRs explained');
  });

  it('derives a manifest from a UKI', async () => {
    await drop([['linux.efi', makePe(ukiSections())]]);
    await page.locator('#manifest-box.full').waitFor();
    expect(await page.locator('#manifest-box').innerText()).toContain('systemd-stub 252');
    await drop([
      ['bundle.json', example('bundle.json')],
      ['r.pem', example('simulated-root.pem')],
    ]);
    await page.getByLabel('the document’s own time').check();
    await said('pcr.mismatch');
    await drop([['cut.efi', makePe(ukiSections()).slice(0, 900)]]);
    await page.locator('#input-problem', { hasText: /pe\.\w+/ }).waitFor();
  });

  it('derives a manifest from an enclave image', async () => {
    const image = makeEif();
    const { pcrs } = await measureEif(bytesSource(image));
    const document = await pki.issueDocument({
      platform: 'enclave',
      moduleId: 'i-0123456789abcdef0-enc0123456789abcdef',
      timestampMs: Date.now(),
      pcrs: Object.fromEntries([...pcrs].map(([pcr, hex]) => [pcr, decodeHex(hex) as Uint8Array])),
    });
    await drop([
      ['hello.eif', image],
      ['document.cbor', document],
      ['root.pem', pki.rootPem],
    ]);
    await said('verified.');
    expect(await page.locator('#manifest-box').innerText()).toContain('not signed');
    const damaged = image.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    await drop([['damaged.eif', damaged]]);
    await page.locator('#input-problem', { hasText: 'eif.crc' }).waitFor();
  });

  it('copies, saves and prints the report', async () => {
    await page.getByRole('button', { name: /Replayed/ }).click();
    await said('freshness.nonce-mismatch');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download report' }).click(),
    ]);
    const saved = JSON.parse(readFileSync(await download.path(), 'utf8'));
    expect(saved).toMatchObject({ verdict: 'rejected', code: 'freshness.nonce-mismatch' });
    await page.getByRole('button', { name: 'Copy report (JSON)' }).click();
    await page.getByText('Copied.').waitFor();
    await page.evaluate(() => {
      (globalThis as unknown as { printed: number }).printed = 0;
      globalThis.print = () => {
        (globalThis as unknown as { printed: number }).printed++;
      };
    });
    await page.getByRole('button', { name: 'Print' }).click();
    expect(await page.evaluate(() => (globalThis as unknown as { printed: number }).printed)).toBe(
      1,
    );
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('#settings').isVisible()).toBe(false);
    expect(await page.locator('.chain').isVisible()).toBe(true);
  });

  it('is used by keyboard alone', async () => {
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Skip');
    for (let i = 0; i < 40; i++) {
      const name = await page.evaluate(() => document.activeElement?.textContent ?? '');
      if (name.startsWith('Genuine')) break;
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await said('verified.');
    // Focus stays where it was; the next stops are the other samples, then the report.
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Genuine');
  });

  it('reads markup in evidence, manifests and file names as text', async () => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
    const evil = await createNitroPki({ region: 'us<b onclick=1>' }).catch(() => pki);
    const document = await evil.issueDocument({
      platform: 'nitrotpm',
      moduleId: markup,
      timestampMs: Date.now(),
      pcrs: { 4: new Uint8Array(48).fill(4), 12: new Uint8Array(48) },
      userData: new TextEncoder().encode(markup),
    });
    const manifest = {
      version: 1,
      name: markup,
      platform: 'nitrotpm',
      hashAlgorithm: 'SHA384',
      measurementSets: [
        {
          label: markup,
          pcrs: { 4: '05'.repeat(48), 12: '00'.repeat(48) },
          events: [{ pcr: 4, digest: '01'.repeat(48), description: markup }],
        },
      ],
    };
    await drop([
      [`${markup.replaceAll('/', '')}.cbor`, document],
      ['m.json', JSON.stringify(manifest)],
      ['r.pem', evil.rootPem],
    ]);
    await said('pcr.mismatch');
    expect(await page.title()).toContain('Verify');
    expect(await page.locator('main img, main script, main b').count()).toBe(0);
    expect(await page.locator('.report').innerText()).toContain('<img src=x');
  });

  it('says what is wrong with garbage, and stays usable', async () => {
    await drop([['noise.bin', crypto.getRandomValues(new Uint8Array(5000)).fill(0xff, 0, 1)]]);
    await said('evidence.unrecognized');
    await drop([['empty', new Uint8Array()]]);
    await said('evidence.empty');
    await page.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(300_000_000)], 'huge.bin'));
      document.body.dispatchEvent(
        new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }),
      );
    });
    await page.locator('#input-problem', { hasText: 'evidence.too-large' }).waitFor();
    await drop([['deep.json', `{"attestation":${'['.repeat(100_000)}${']'.repeat(100_000)}}`]]);
    await said(/evidence\./);
    await page.getByRole('button', { name: /Genuine/ }).click();
    await said('verified.');
    expect(await page.locator('#input-problem').innerText()).toBe('');
  });

  it('fits a phone, in light and in dark', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.getByRole('button', { name: /Another image/ }).click();
      await said('pcr.mismatch');
      for (const details of await page.locator('details').all())
        await details.evaluate((element) => element.setAttribute('open', ''));
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      expect(await checkAccessibility(page)).toEqual([]);
    }
    expect(await status()).toContain('rejected');
  });
});
