import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { parseReport } from '../../../dev/structure/coverage.ts';
import { drawArchitecture } from '../../../dev/structure/draw-architecture.ts';
import { layOut, type Edge } from '../../../dev/structure/layer-modules.ts';
import { formatSizes, measureModules } from '../../../dev/structure/module-sizes.ts';
import { readImports } from '../../../dev/structure/read-imports.ts';
import { findLargeFiles, findSmallFiles } from '../../../dev/structure/small-files.ts';
import { readTree, type TreeFile } from '../../../dev/structure/source-tree.ts';
import { parseSource } from '../../../dev/structure/syntax.ts';

const OPTIONS = { boxWidth: 100, lineWidth: 10, gap: 20 };

function treeFile(path: string, { lines = 10, text = '' }): TreeFile {
  return { path, lines, imports: readImports(parseSource({ path, text })) };
}

function pathsOf(files: readonly { readonly path: string }[]): string[] {
  return files.map(({ path }) => path);
}

describe('the product', () => {
  it('has no file that is too large or belongs into its only importer', () => {
    const files = readTree(PROJECT_ROOT);
    const tests = globSync('test/**/*.test.ts', { cwd: PROJECT_ROOT });

    const large = pathsOf(findLargeFiles(files));
    const small = pathsOf(findSmallFiles(files, tests));

    expect(large).toEqual([]);
    expect(small).toEqual([]);
    expect(files.length).toBeGreaterThan(40);
  });

  it('looks as docs/architecture.svg shows it; npm run structure -- --svg draws it again', () => {
    const drawn = drawArchitecture(readTree(PROJECT_ROOT));

    expect(readFileSync('docs/architecture.svg', 'utf8') === drawn).toBe(true);
  });
});

describe('the sizes of modules', () => {
  it('are counted for each module and for all of shared/', () => {
    const files = [
      treeFile('functions/chat.ts', { lines: 11 }),
      ...[5, 1, 3, 2, 4, 9, 8, 7, 6, 30].map((lines) =>
        treeFile(`shared/cache/f${lines}.ts`, { lines }),
      ),
      treeFile('shared/errors.ts', { lines: 70 }),
    ];

    const rows = measureModules(files);

    expect(rows).toEqual([
      { module: 'cache', files: 10, lines: 75, median: 5, p90: 9, max: 30 },
      { module: 'errors', files: 1, lines: 70, median: 70, p90: 70, max: 70 },
      { module: 'functions', files: 1, lines: 11, median: 11, p90: 11, max: 11 },
      { module: 'all of shared/', files: 11, lines: 145, median: 6, p90: 30, max: 70 },
    ]);
  });

  it('are printed in columns', () => {
    const rows = measureModules([treeFile('shared/errors.ts', { lines: 70 })]);

    expect(formatSizes(rows).split('\n')).toEqual([
      'module          files  lines  median  p90  max',
      '----------------------------------------------',
      'errors              1     70      70   70   70',
      'all of shared/      1     70      70   70   70',
    ]);
  });
});

describe('a small file', () => {
  const small = treeFile('shared/cache/small.ts', { text: `import { a } from 'node:crypto';` });

  function importer(name: string, text: string): TreeFile {
    return treeFile(`shared/cache/${name}.ts`, { lines: 100, text });
  }

  it('belongs into its only importer', () => {
    const files = [small, importer('one', `import { a } from './small.ts';`)];

    expect(findSmallFiles(files, [])).toEqual([
      { path: 'shared/cache/small.ts', lines: 10, importer: 'shared/cache/one.ts' },
    ]);
  });

  it('that no file imports is listed too', () => {
    expect(findSmallFiles([small], [])).toEqual([
      { path: 'shared/cache/small.ts', lines: 10, importer: undefined },
    ]);
  });

  it('stands alone when two files import it, or when it is not that small', () => {
    const two = ['one', 'two'].map((name) => importer(name, `import { a } from './small.ts';`));
    const larger = { ...small, lines: 40 };

    expect(findSmallFiles([small, ...two], [])).toEqual([]);
    expect(findSmallFiles([larger], [])).toEqual([]);
  });

  it('stands alone as a lazy chunk', () => {
    const files = [small, importer('one', `await import('./small.ts');`)];

    expect(findSmallFiles(files, [])).toEqual([]);
  });

  it('stands alone as an adapter on the list', () => {
    const adapter = treeFile('shared/redis/redis-client.ts', {
      text: `import { Redis } from '@upstash/redis';`,
    });

    expect(findSmallFiles([adapter], [])).toEqual([]);
  });

  it('stands alone as a pure algorithm with a test of its own', () => {
    const pure = treeFile('shared/cache/pure.ts', { text: `import type { A } from './one.ts';` });
    const tests = ['test/unit/cache/pure.test.ts', 'test/unit/cache/small.test.ts'];

    expect(findSmallFiles([pure], tests)).toEqual([]);
    expect(pathsOf(findSmallFiles([pure], []))).toEqual(['shared/cache/pure.ts']);
    expect(pathsOf(findSmallFiles([small], tests))).toEqual(['shared/cache/small.ts']);
  });
});

describe('a layout', () => {
  const edges: Edge[] = [
    { from: 'http', to: 'agent' },
    { from: 'agent', to: 'model' },
    { from: 'http', to: 'model' },
    { from: 'http', to: 'health' },
  ];

  it('places each box above what it imports, and a place for a line in each layer it crosses', () => {
    const { layers } = layOut(['agent', 'health', 'http', 'model'], edges, OPTIONS);

    const names = layers.map((layer) => layer.map(({ id }) => id).toSorted());
    expect(names).toEqual([
      ['http'],
      ['agent', 'http to health 0', 'http to model 0'],
      ['health', 'model'],
    ]);
  });

  it('leaves a gap between neighbours', () => {
    const { layers } = layOut(['agent', 'health', 'http', 'model'], edges, OPTIONS);

    const gaps = layers.flatMap((layer) =>
      layer.slice(1).map((slot, index) => {
        const left = layer[index];
        const widths = [left, slot].map((one) => (one?.isBox === true ? 50 : 5));
        return slot.x - (left?.x ?? 0) - (widths[0] ?? 0) - (widths[1] ?? 0);
      }),
    );

    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(OPTIONS.gap - 0.001);
  });

  it('ends for modules that import each other', () => {
    const cycle = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ];

    expect(layOut(['a', 'b'], cycle, OPTIONS).layers.flat().length).toBeGreaterThanOrEqual(2);
  });
});

describe('the drawing', () => {
  it('names each module with its files, and dashes what imports types only', () => {
    const svg = drawArchitecture([
      treeFile('functions/x.ts', { text: `import '../shared/http/a.ts';` }),
      treeFile('shared/http/a.ts', { text: `import type { A } from '../health/c.ts';` }),
      treeFile('shared/http/b.ts', { text: `import type { A } from '../health/c.ts';` }),
      treeFile('shared/health/c.ts', { text: `import { b } from '../errors.ts';` }),
      treeFile('shared/errors.ts', {}),
    ]);

    expect(svg).toMatch(/>http<\/text>\n<text [^>]*>2 files</);
    expect(svg).toMatch(/>health<\/text>\n<text [^>]*>1 file</);
    expect(svg.match(/class="line types"/g)).toHaveLength(1);
  });
});

describe('a report of V8', () => {
  it('counts the functions of shared/ that were called, without the bodies of modules', () => {
    const report = {
      result: [
        script('file:///app/shared/agent/agent.ts', [
          ['', 0, 1],
          ['createAgent', 20, 1],
          ['', 40, 3],
          ['unused', 60, 0],
        ]),
        script('file:///app/shared/errors.ts', [['', 0, 1]]),
        script('file:///app/dev/host/invoker.ts', [['invoke', 20, 1]]),
        script('file:///other/shared/agent/agent.ts', [['createAgent', 20, 1]]),
      ],
    };

    const calls = parseReport(report, '/app');

    expect(calls).toEqual(
      new Map([
        [
          'shared/agent/agent.ts',
          new Map([
            ['createAgent@20', 1],
            ['@40', 3],
          ]),
        ],
      ]),
    );
  });
});

function script(url: string, functions: readonly (readonly [string, number, number])[]) {
  return {
    url,
    functions: functions.map(([functionName, startOffset, count]) => ({
      functionName,
      ranges: [{ startOffset, count }],
    })),
  };
}
