import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import * as z from 'zod';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const axeResult = z.object({
  violations: z.array(
    z.object({
      id: z.string(),
      impact: z.string().nullable(),
      nodes: z.array(z.object({ html: z.string() })),
    }),
  ),
});

/** The accessibility problems that axe calls serious or critical, with their elements. */
export async function seriousProblems(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE });
  const { violations } = axeResult.parse(await page.evaluate('axe.run()'));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

/** What the development model repeats: Markdown, a long word, other directions and scripts. */
export const MARKDOWN = [
  '# A heading',
  'Text with **bold**, *slanted*, `code` and [a link](https://example.com/a?b=1).',
  '',
  '- one',
  '- two <img src=x onerror=alert(1)>',
  '',
  '```js',
  'const wide = "' + 'x'.repeat(200) + '";',
  '```',
  '',
  '| name | value |',
  '|---|---|',
  '| a | 1 |',
  '',
  'Donaudampfschifffahrtsgesellschaft'.repeat(12),
  'שלום עולם, זה טקסט מימין לשמאל',
  '👩‍👩‍👧‍👦 🇩🇪 日本語',
].join('\n');
