import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT_ROOT } from './project-root.ts';
import type { Calls } from './structure/coverage.ts';
import { drawArchitecture } from './structure/draw-architecture.ts';
import { measureExecuted } from './structure/measure-executed.ts';
import { formatSizes, measureModules } from './structure/module-sizes.ts';
import { MAX_FILE_LINES, findLargeFiles, findSmallFiles } from './structure/small-files.ts';
import { readTree } from './structure/source-tree.ts';

const METHOD = `
Executed means: a function of the file was called, module bodies not counted. The app runs from
source on the local host; V8 counts calls in its worker, from zero before the request until the
worker runs no more code of shared/. Measured is the second request, without the start.`;

const { values } = parseArgs({
  options: {
    svg: { type: 'boolean', default: false },
    executed: { type: 'boolean', default: false },
  },
});
if (values.svg) writeSvg();
else if (values.executed) await printExecuted();
else process.exitCode = printStructure();

/**
 * `npm run structure`: exits with 1 if files are too large, or too small for a file of their own.
 */
function printStructure(): number {
  const files = readTree(PROJECT_ROOT);
  const tests = globSync('test/**/*.test.ts', { cwd: PROJECT_ROOT });
  const large = findLargeFiles(files);
  const small = findSmallFiles(files, tests);
  console.log(formatSizes(measureModules(files)));
  printList(
    `Files over ${MAX_FILE_LINES} lines`,
    large.map(({ path, lines }) => `${path}: ${lines} lines`),
  );
  printList(
    'Small files that belong into their only importer',
    small.map(
      ({ path, lines, importer }) =>
        `${path}: ${lines} lines, imported by ${importer ?? 'no file'}`,
    ),
  );
  return large.length + small.length === 0 ? 0 : 1;
}

/** `npm run structure -- --svg`: draws docs/architecture.svg from the imports. */
function writeSvg(): void {
  const path = join('docs', 'architecture.svg');
  writeFileSync(join(PROJECT_ROOT, path), drawArchitecture(readTree(PROJECT_ROOT)));
  console.log(`drew ${path}`);
}

/** `npm run structure -- --executed`: lists the files that one chat and one batch item execute. */
async function printExecuted(): Promise<void> {
  const { chat, job, item } = await measureExecuted(PROJECT_ROOT);
  printCalls('one chat', chat);
  printCalls('a batch job of one item', job);
  printCalls('each further item of a batch job', item);
  console.log(METHOD);
  for (const [what, calls] of Object.entries({ chat, job, item })) {
    console.log(`${what.padEnd(4)}  ${calls.size} files, ${countFunctions(calls)} functions`);
  }
}

function printCalls(what: string, calls: Calls): void {
  const lines = [...calls].map(([path, { size }]) => `${path}: ${size}`).toSorted();
  printList(`Executed by ${what}: files with the number of functions called`, lines);
}

function countFunctions(calls: Calls): number {
  return [...calls.values()].reduce((sum, functions) => sum + functions.size, 0);
}

function printList(title: string, lines: readonly string[]): void {
  console.log(`\n${title}: ${lines.length}`);
  for (const line of lines) console.log(`  ${line}`);
}
