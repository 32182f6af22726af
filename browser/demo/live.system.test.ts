import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAccessibility } from '../test-support/check-accessibility.js';
import { type Browser, missing, startChromium } from '../test-support/chromium.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const lacking = missing(`${root}build/demo-web/index.html`, `${root}tools/dist/simulator.js`);
if (lacking !== undefined) {
  if (process.env.CI) throw new Error(`missing for tests in Chromium: ${lacking}`);
  console.warn(`SKIPPED: npm run demo:web in Chromium; missing: ${lacking}`);
}

describe.skipIf(lacking !== undefined)('npm run demo:web', () => {
  let demo: ChildProcess;
  let url: string;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    demo = spawn(process.execPath, ['scripts/demo-web.mjs', '--port', '0'], { cwd: root });
    url = await new Promise<string>((resolve, reject) => {
      let output = '';
      const read = (chunk: Buffer): void => {
        output += chunk;
        const found = /http:\/\/localhost:\d+\//.exec(output);
        if (found !== null) resolve(found[0]);
      };
      demo.stdout?.on('data', read);
      demo.stderr?.on('data', read);
      demo.on('exit', () => reject(new Error(`the demo ended: ${output}`)));
    });
    browser = await startChromium([url]);
    page = await browser.open(url);
    // What comes last comes late, too: nothing may be said before all of it is shown.
    await page.route('**/session-key?*', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await route.fallback();
    });
    await page.getByRole('button', { name: 'A genuine machine', exact: true }).waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    demo?.kill();
  });

  it.each([
    ['A genuine machine', 'verified', 'Verified', 'session key (P-256) is the attested one'],
    ['A machine that booted something else', 'pcr.mismatch', 'Rejected', ''],
    ['A recorded answer', 'freshness.nonce-mismatch', 'Rejected', ''],
    ['A machine without AWS’s (or our) certificate', 'x509.untrusted-anchor', 'Rejected', ''],
    [
      'A genuine machine behind a man in the middle',
      'binding.key-mismatch',
      'Verified',
      'Do not use this key',
    ],
    ['A machine that does not answer', 'fetch.timeout', '', ''],
  ])('%s: %s', async (title, outcome, verdict, key) => {
    await page.getByRole('button', { name: title, exact: true }).click();
    await page.locator('#status', { hasText: outcome }).waitFor({ timeout: 10_000 });
    const shown = await page.locator('.verdict h2').allInnerTexts();
    expect(shown.join()).toBe(verdict);
    expect(await page.locator('#key').innerText()).toContain(key);
    if (key === '') expect(await page.locator('#key').innerText()).toBe('');
    expect(await checkAccessibility(page)).toEqual([]);
    expect(browser.strangers).toEqual([]);
    expect(browser.complaints).toEqual([]);
  });

  it('shows the answer of the machine that was asked last', async () => {
    const ask = (name: string): Promise<void> =>
      page.getByRole('button', { name, exact: true }).click();
    const late = page.waitForRequest(/session-key/);
    await ask('A genuine machine');
    await late;
    await ask('A recorded answer');
    await page.locator('#status', { hasText: 'freshness.nonce-mismatch' }).waitFor();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await page.locator('#key').innerText()).toBe('');
    expect(await page.locator('#status').innerText()).toContain('freshness.nonce-mismatch');
    expect(browser.complaints).toEqual([]);
  });

  it('serves nothing but its pages, and answers nothing but a nonce', async () => {
    const status = async (path: string, init?: RequestInit): Promise<number> =>
      (await fetch(new URL(path, url), init)).status;
    expect(await status('page/index.html')).toBe(200);
    for (const path of ['package.json', 'page/..%2fbrowser.js', '..%2f..%2fpackage.json', 'page/'])
      expect(await status(path)).toBe(path === 'page/' ? 200 : 404);
    expect(await status('attest')).toBe(400);
    for (const body of ['', '{', '{"nonce":1}', '{"nonce":"zz"}', '{"nonce":""}', 'x'.repeat(9999)])
      expect(await status('attest', { method: 'POST', body })).toBe(400);
    expect(
      await status('attest?machine=toString', { method: 'POST', body: '{"nonce":"00"}' }),
    ).toBe(404);
  });
});
