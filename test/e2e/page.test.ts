import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findTool, requireTool } from '../support/required-tools.ts';
import { MARKDOWN, seriousProblems } from './support/page-checks.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-page';
const MAX_BYTES = 60_000;

describe('the page', requireTool('chromium'), () => {
  let environment: TestEnvironment;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    environment = await startEnvironment({
      tokenDelayMs: 15,
      enableAuth: true,
      keys: { master: 'm', host: { default: KEY } },
      settings: { AGENT__TOOLS__ENABLED: '["current_time"]' },
    });
    browser = await chromium.launch({
      executablePath: findTool('chromium') ?? '',
      args: ['--no-sandbox'],
    });
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await environment.stop();
  });
  beforeEach(async () => {
    complaints = [];
    context = await browser.newContext();
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== environment.url && protocol !== 'data:') complaints.push(request.url());
    });
    await page.goto(environment.url);
    await page.getByLabel('Function key').fill(KEY);
    await page.getByLabel('Function key').blur();
  });
  afterEach(() => context.close());

  async function ask(message: string): Promise<void> {
    await page.getByLabel('Message', { exact: true }).fill(message);
    await page.getByRole('button', { name: 'Send' }).click();
  }
  const answer = () => page.locator('.message.agent').last();

  it('is one small file that loads nothing else, under a policy without inline code', async () => {
    const response = await fetch(environment.url);

    const html = await response.text();
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(Buffer.byteLength(html)).toBeLessThan(MAX_BYTES);
    expect(policy).toContain("default-src 'none'; script-src 'sha256-");
    expect(policy).not.toContain('unsafe');
    expect(html).not.toMatch(/(?:src|href)="https?:/);
    expect(complaints).toEqual([]);
  });

  it('shows a streamed answer token by token, and its tokens', async () => {
    const text = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');

    await ask(text);

    await answer().locator('.text').filter({ hasText: 'word3' }).waitFor();
    const early = await answer().locator('.text').textContent();
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();
    await answer().locator('.text').filter({ hasText: 'word39' }).waitFor();
    const late = await answer().locator('.text').textContent();
    expect(early?.length).toBeLessThan(late?.length ?? 0);
    expect(complaints).toEqual([]);
  });

  it('shows the tools that the agent calls', async () => {
    await ask('current_time {"time_zone":"Europe/Berlin"}');

    await answer().locator('.tools li').filter({ hasText: 'current_time: ok' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('stops an answer, which ends the call of the model', async () => {
    environment.model.reset();
    await ask('dev/long-2000 go');
    await expect.poll(() => answer().locator('.text').textContent()).not.toBe('');

    await page.getByRole('button', { name: 'Stop' }).click();

    await answer().locator('.note').filter({ hasText: 'Stopped' }).waitFor();
    await expect.poll(() => environment.model.calls()[0]?.status).toBe('aborted');
    expect(await page.getByRole('button', { name: 'Send' }).isEnabled()).toBe(true);
  });

  it('shows an error in words, with the id of the request', async () => {
    await page.getByLabel('Function key').fill('wrong');
    await page.getByLabel('Function key').blur();
    await ask('Hello');
    await answer().locator('.note').filter({ hasText: 'A key is missing or wrong' }).waitFor();
    await page.getByLabel('Function key').fill(KEY);
    await page.getByLabel('Function key').blur();

    await ask('dev/cut-5 Hello there, this is a longer text');

    await answer().locator('.note').filter({ hasText: 'The model stopped' }).waitFor();
    expect(await answer().locator('.note').textContent()).toMatch(/\(request .+\)/);
  });

  it('offers a question again after a failure: with a key, and not before its time', async () => {
    await page.getByLabel('Function key').fill('wrong');
    await page.getByLabel('Function key').blur();
    await ask('Hello');
    const again = () => answer().getByRole('button', { name: 'Try again' });
    await again().waitFor();
    await page.getByLabel('Function key').fill(KEY);
    await page.getByLabel('Function key').blur();
    const problem = { detail: 'Too many requests', error: { code: 'rate_limited' } };
    await page.route('**/api/chat', (route) =>
      route.fulfill({ status: 429, headers: { 'retry-after': '2' }, json: problem }),
    );

    await again().click();

    await answer().locator('.note').filter({ hasText: 'Too many requests' }).waitFor();
    await answer().getByRole('button', { name: 'Try again in 1 s' }).waitFor();
    expect(await again().isDisabled()).toBe(true);
    await page.unroute('**/api/chat');
    await answer().locator('button:enabled', { hasText: 'Try again' }).click();
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();
    expect(await page.locator('.message').count()).toBe(2);
  });

  it('says that an answer broke off when its stream ends without its end', async () => {
    await page.route('**/api/chat', (route) =>
      route.fulfill({
        contentType: 'text/event-stream',
        body: 'event: delta\ndata: {"text":"The first half"}\n\n',
      }),
    );

    await ask('Hello');

    await answer().locator('.note').filter({ hasText: 'broke off before its end' }).waitFor();
    await expect.poll(() => answer().locator('.text').textContent()).toBe('The first half');
  });

  it('shows Markdown as elements, and never as HTML of the model', async () => {
    await ask(MARKDOWN);
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();

    const text = answer().locator('.text');

    await text.locator('table').waitFor();
    expect(await text.locator('strong').textContent()).toBe('bold');
    expect(await text.locator('li').count()).toBe(2);
    expect(await text.locator('pre code').textContent()).toContain('const wide');
    expect(await text.locator('td').allTextContents()).toEqual(['a', '1']);
    expect(await text.locator('a').getAttribute('rel')).toBe('noopener noreferrer');
    expect(await text.locator('img').count()).toBe(0);
    expect(await text.textContent()).toContain('<img src=x onerror=alert(1)>');
    expect(complaints).toEqual([]);
  });

  it('runs a batch of 25 with its progress, and shows the results as a table', async () => {
    const lines = Array.from({ length: 25 }, (_, index) =>
      JSON.stringify({ custom_id: `item-${index}`, body: { message: `Question ${index}` } }),
    );
    await page.getByRole('tab', { name: 'Batch' }).click();
    await page.locator('#file').setInputFiles({
      name: 'items.jsonl',
      mimeType: 'application/jsonl',
      buffer: Buffer.from(lines.join('\n')),
    });

    await page.getByRole('button', { name: 'Start' }).click();

    await page.getByRole('status').filter({ hasText: 'completed: 25 of 25' }).waitFor();
    expect(await page.locator('#results tbody tr').count()).toBe(25);
    expect(await page.locator('progress').getAttribute('value')).toBe('25');
    expect(await page.locator('#results').textContent()).toContain('Question 3');
    await page.reload();
    await page.getByRole('tab', { name: 'Batch' }).click();
    await page.getByRole('status').filter({ hasText: 'completed: 25 of 25' }).waitFor();
    expect(complaints).toEqual([]);
  }, 60_000);

  it('keeps the conversation over a reload, and the keys in the tab only', async () => {
    await ask('Remember me');
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();

    await page.reload();

    expect(await page.locator('.message.user').textContent()).toContain('Remember me');
    expect(await page.getByLabel('Function key').inputValue()).toBe(KEY);
    const other = await context.newPage();
    await other.goto(environment.url);
    expect(await other.getByLabel('Function key').inputValue()).toBe('');
  });

  it('continues a session, lists it, and opens an earlier one', async () => {
    await ask('My name is Ada');
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();
    await ask('What is my name?');
    await expect.poll(() => page.locator('.message.agent .note:visible').count()).toBe(2);
    await page.getByRole('button', { name: 'New session' }).click();
    await ask('Another subject');
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();
    await page.locator('#sessions li:first-child button[aria-current="true"]').waitFor();

    await page.locator('#sessions .open').nth(1).click();

    await expect.poll(() => page.locator('.message.user').count()).toBe(2);
    expect(await page.locator('.message.user').first().textContent()).toContain('My name is Ada');
    expect(complaints).toEqual([]);
  });

  it('lists many sessions page by page, and deletes one', async () => {
    const sessions = Array.from({ length: 25 }, (_, index) => `Question ${index}`);
    for (const message of sessions) {
      await fetch(`${environment.url}/api/chat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-functions-key': KEY },
        body: JSON.stringify({ message }),
      });
    }
    await ask('The newest one');
    await page.getByRole('button', { name: 'More sessions' }).click();

    await expect.poll(() => page.locator('#sessions .open').count()).toBeGreaterThan(25);

    await page.getByRole('button', { name: 'Delete session The newest one' }).click();
    await page.getByRole('heading', { name: 'Ask the agent' }).waitFor();
    await page.getByText('The newest one').waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
  });

  it('is usable by keyboard alone', async () => {
    await page.getByLabel('Message', { exact: true }).focus();
    await page.keyboard.type('Typed');
    await page.keyboard.press('Enter');
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();

    await page.getByRole('tab', { name: 'Chat' }).focus();
    await page.keyboard.press('ArrowRight');

    expect(await page.getByRole('tab', { name: 'Batch' }).getAttribute('aria-selected')).toBe(
      'true',
    );
    expect(await page.locator('#batch').isVisible()).toBe(true);
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('has no serious accessibility problem: %s, %i pixels wide', async (scheme, width) => {
    const bare = await browser.newContext({ bypassCSP: true, colorScheme: scheme });
    page = await bare.newPage();
    await page.setViewportSize({ width, height: 844 });
    await page.goto(environment.url);
    const menu = page.getByRole('button', { name: 'Menu' });
    if (await menu.isVisible()) await menu.click();
    await page.getByLabel('Function key').fill(KEY);
    await page.getByLabel('Function key').blur();
    await page.getByRole('tab', { name: 'Chat' }).click();
    await ask(MARKDOWN);
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();

    const problems = await seriousProblems(page);
    const overflow = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
    await bare.close();

    expect(problems).toEqual([]);
    expect(overflow).toBe(false);
  });

  it('is gone where the setting is off', async () => {
    const off = await startEnvironment({ settings: { AGENT__PAGE__ENABLED: 'false' } });
    try {
      const response = await fetch(off.url);

      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } });
    } finally {
      await off.stop();
    }
  });
});
