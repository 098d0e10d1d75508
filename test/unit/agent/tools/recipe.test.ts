import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const MAX_LINES = 12;
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

/** The code blocks of the recipe: the tool and its test. */
function codeBlocks(): string[] {
  const [, recipe = ''] = readFileSync('docs/tools.md', 'utf8').split('## Write a tool');
  return [...recipe.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);
}

/** Writes both blocks as files and returns the body of the test in the second one. */
async function loadRecipe(): Promise<() => Promise<void>> {
  const [tool = '', test = ''] = codeBlocks();
  const folder = await mkdtemp(join('test/unit/agent/tools', '.recipe-'));
  folders.push(folder);
  const shared = pathToFileURL(resolve('shared')).href;
  await writeFile(join(folder, 'dice.ts'), tool.replace('../tool.ts', `${shared}/agent/tool.ts`));
  const bodies: (() => Promise<void>)[] = [];
  Object.assign(globalThis, {
    recipe: { expect, it: (_name: string, body: () => Promise<void>) => bodies.push(body) },
  });
  const runnable = test
    .replace(/import (.*) from 'vitest';/, 'const $1 = globalThis.recipe;')
    .replace('../../../../shared/agent/tools/dice.ts', './dice.ts')
    .replaceAll('../../../../shared', shared);
  await writeFile(join(folder, 'dice-recipe.ts'), runnable);
  await import(pathToFileURL(resolve(folder, 'dice-recipe.ts')).href);
  const [body] = bodies;
  if (body === undefined) throw new Error('The recipe has no test');
  return body;
}

describe('the recipe in docs/tools.md', () => {
  it('is a tool and a test of about ten lines each', () => {
    const lengths = codeBlocks().map((code) => code.trim().split('\n').length);

    expect(lengths).toHaveLength(2);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MAX_LINES);
  });

  it('runs as it is written', async () => {
    const body = await loadRecipe();

    await expect(body()).resolves.toBeUndefined();
  });
});
