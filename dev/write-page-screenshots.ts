import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { describeCliError } from './cli-error.ts';
import { PROJECT_ROOT } from './project-root.ts';

/** The pictures of docs/page.md: scheme, width and height in pixels. */
const PICTURES = [
  { name: 'page-light', scheme: 'light', width: 1100, height: 640 },
  { name: 'page-dark', scheme: 'dark', width: 1100, height: 640 },
  { name: 'page-phone', scheme: 'light', width: 390, height: 844 },
] as const;
const QUESTION = 'What is the time? current_time {"time_zone":"Europe/Berlin"}';
/** The development model repeats it. */
const MARKDOWN =
  'Show me **Markdown**: `code`, and a table\n\n| day | menu |\n|---|---|\n| Monday | soup |\n| Tuesday | pasta |';

/** Writes the pictures from a running `npm start`: node dev/write-page-screenshots.ts URL */
async function main(url = 'http://127.0.0.1:7071'): Promise<void> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  try {
    for (const picture of PICTURES) await draw(browser, { url, ...picture });
  } finally {
    await browser.close();
  }
}

type Picture = { readonly url: string } & (typeof PICTURES)[number];

async function draw(browser: Browser, { url, name, scheme, width, height }: Picture) {
  const page = await browser.newPage({ colorScheme: scheme, viewport: { width, height } });
  await page.goto(url);
  for (const [index, question] of [MARKDOWN, QUESTION].entries()) {
    await page.getByLabel('Message', { exact: true }).fill(question);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('.note').filter({ hasText: 'tokens' }).nth(index).waitFor();
  }
  await page.locator('#sessions .open').first().waitFor({ state: 'attached' });
  await page.screenshot({ path: join(PROJECT_ROOT, 'docs', `${name}.png`) });
  await page.close();
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(describeCliError(error));
  process.exitCode = 1;
});
