import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Debian's Chromium with a profile of its own, and everything that a page may not do. */
export interface Browser {
  readonly context: BrowserContext;
  /** Requests for anything but the test's own files, as URLs. */
  readonly strangers: string[];
  /** Every request, as URLs. */
  readonly requests: string[];
  /** Errors and warnings of the console, uncaught errors, and violations of a policy. */
  readonly complaints: string[];
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

/** What is missing for tests in Chromium, or undefined. */
export function missing(...files: readonly string[]): string | undefined {
  const lacking = [EXECUTABLE, ...files].filter((file) => !existsSync(file));
  return lacking.length === 0 ? undefined : `${lacking.join(', ')} (npm run test:system)`;
}

/** Starts Chromium; `own` are the beginnings of the URLs that a page may load. */
export async function startChromium(
  own: readonly string[],
  options: { readonly args?: readonly string[]; readonly context?: object } = {},
): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    args: [...FLAGS, ...(options.args ?? [])],
    ...options.context,
  });
  const strangers: string[] = [];
  const requests: string[] = [];
  const complaints: string[] = [];
  await context.route('**/*', (route) => {
    const url = route.request().url();
    requests.push(url);
    if (own.some((start) => url.startsWith(start))) return route.continue();
    strangers.push(url);
    return route.abort();
  });
  context.on('console', (message) => {
    if (['error', 'warning', 'assert'].includes(message.type()))
      complaints.push(`console ${message.type()}: ${message.text()}`);
  });
  context.on('weberror', (error) => complaints.push(`uncaught: ${error.error().message}`));
  await context.exposeBinding('reportViolation', (_source, text: string) => {
    complaints.push(`policy: ${text}`);
  });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      (globalThis as unknown as { reportViolation(text: string): void }).reportViolation(
        `${event.violatedDirective} ${event.blockedURI}`,
      );
    });
  });
  return {
    context,
    strangers,
    requests,
    complaints,
    async open(url) {
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
