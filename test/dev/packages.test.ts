import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isCarrying, measurePackages } from '../../dev/packages.ts';
import { findImporters, MAIN_PATH_PACKAGES } from '../../dev/packages/main-path.ts';
import { removeImports } from '../../dev/packages/remove-imports.ts';
import { readImports } from '../../dev/structure/read-imports.ts';
import type { TreeFile } from '../../dev/structure/source-tree.ts';
import { parseSource } from '../../dev/structure/syntax.ts';
import { requireTool } from '../support/required-tools.ts';

function treeFile(path: string, text: string): TreeFile {
  return { path, lines: 1, imports: readImports(parseSource({ path, text })) };
}

describe('the packages on the main path', () => {
  // Each package starts two test runners.
  const options = { ...requireTool('redis-server'), timeout: 240_000 };

  it('are installed, imported, and missed by a test', options, async () => {
    const spare = { name: 'lru-cache', test: 'test/unit/resilience/endpoint-policies.test.ts' };

    const rows = await measurePackages([...MAIN_PATH_PACKAGES, spare]);

    const carrying = rows.filter(isCarrying).map(({ name }) => name);
    expect(carrying).toEqual(MAIN_PATH_PACKAGES.map(({ name }) => name));
  });

  it('have a row in docs/packages.md', () => {
    const page = readFileSync('docs/packages.md', 'utf8');

    const missing = MAIN_PATH_PACKAGES.filter(({ name }) => !page.includes(`\`${name}\``));

    expect(missing).toEqual([]);
  });
});

describe('findImporters', () => {
  it('finds the files that a trigger reaches, and no types', () => {
    const files = [
      treeFile('functions/a.ts', `import { b } from '../shared/b.ts';`),
      treeFile('shared/b.ts', `import 'openai';\nconst c = await import('./c.ts');`),
      treeFile('shared/c.ts', `const { d } = await import('openai/resources');`),
      treeFile('shared/d.ts', `import { e } from 'openai';`),
      treeFile('functions/e.ts', `import type { F } from 'openai';\nimport 'openai-like';`),
    ];

    expect(findImporters(files, 'openai')).toEqual(['shared/b.ts', 'shared/c.ts']);
  });
});

describe('removeImports', () => {
  it.each([
    [`import { A } from 'p';\nnew A();`, `\nnew A();`],
    [`import * as p from 'p/sub';\np.a();`, `\np.a();`],
    [`export { a } from 'p';`, ''],
    [`const { a } = await import('p');`, `const { a } = await Promise.resolve({});`],
    [`import type { A } from 'p';`, `import type { A } from 'p';`],
    [`import { a } from 'p-else';`, `import { a } from 'p-else';`],
  ])('%s', (text, expected) => {
    expect(removeImports({ path: 'shared/x.ts', text }, 'p')).toBe(expected);
  });
});
