import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { findTool, requireTool } from '../support/required-tools.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-page';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const MAX_BYTES = 60_000;

const axeResult = z.object({
  violations: z.array(
    z.object({
      id: z.string(),
      impact: z.string().nullable(),
      nodes: z.array(z.object({ html: z.string() })),
    }),
  ),
});

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
  async function seriousProblems(): Promise<string[]> {
    await page.addScriptTag({ path: AXE });
    const { violations } = axeResult.parse(await page.evaluate('axe.run()'));
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  }

  it('is one small file that loads nothing else, under a policy without inline code', async () => {
    const response = await fetch(environment.url);

    const html = await response.text();
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(Buffer.byteLength(html)).toBeLessThan(MAX_BYTES);
    expect(policy).toContain("default-src 'none'; script-src 'sha256-");
    expect(policy).not.toContain('unsafe');
    expect(complaints).toEqual([]);
  });

  it('shows a streamed answer token by token, and its tokens', async () => {
    const text = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');

    await ask(text);

    await answer().locator('.text').filter({ hasText: 'word3' }).waitFor();
    const early = await answer().locator('.text').textContent();
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();
    const late = await answer().locator('.text').textContent();
    expect(late).toContain('word39');
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

    await page.locator('#sessions button').nth(1).click();

    await expect.poll(() => page.locator('.message.user').count()).toBe(2);
    expect(await page.locator('.message.user').first().textContent()).toContain('My name is Ada');
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
    await page.getByLabel('Function key').fill(KEY);
    await page.getByLabel('Function key').blur();
    await ask('Hello');
    await answer().locator('.note').filter({ hasText: 'tokens' }).waitFor();

    const problems = await seriousProblems();
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

  it('holds no address of another host', () => {
    const html = readFileSync('shared/http/chat-page.html', 'utf8');

    expect(html).not.toMatch(/(?:src|href)="https?:/);
  });
});
