import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { MainPathPackage } from './main-path.ts';
import { removeImports } from './remove-imports.ts';

/** The outcome of the tests of one package. */
export interface TestOutcome {
  readonly passed: number;
  /** Tests that failed, or that their preparation kept from running. */
  readonly failed: number;
  /** Tests that cannot run on this machine. */
  readonly skipped: number;
}

/** What the tests read, besides the packages. */
const COPIED = ['functions', 'shared', 'dev', 'test'];
const COPIED_FILES = ['package.json', 'vitest.config.ts', 'host.json', 'agent.toml'];
/** Without its package a test may wait for what never comes; in milliseconds. */
const REMOVED_TIMEOUT_MS = 4_000;

const reportSchema = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

interface CompareOptions {
  readonly root: string;
  readonly package: MainPathPackage;
}

/** The same tests with the package, and without its imports in the product code. */
export interface Comparison {
  readonly intact: TestOutcome;
  readonly removed: TestOutcome;
}

/**
 * Runs the test of a package in a copy of the project, then again after all imports of the package
 * were removed from the product code of the copy.
 * @throws Error if the test runner did not run
 */
export async function compareWithout(options: CompareOptions): Promise<Comparison> {
  const copy = await mkdtemp(join(tmpdir(), 'without-'));
  try {
    await copyProject(options.root, copy);
    const intact = await runTests(copy, options.package);
    await removeFromProduct(copy, options.package.name);
    const limit = `--testTimeout=${REMOVED_TIMEOUT_MS}`;
    return { intact, removed: await runTests(copy, options.package, [limit]) };
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function copyProject(root: string, copy: string): Promise<void> {
  await Promise.all([
    ...[...COPIED, ...COPIED_FILES].map((name) =>
      cp(join(root, name), join(copy, name), { recursive: true }),
    ),
    symlink(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir'),
  ]);
}

async function removeFromProduct(copy: string, name: string): Promise<void> {
  const paths = globSync(['functions/**/*.ts', 'shared/**/*.ts'], { cwd: copy });
  await Promise.all(
    paths.map(async (path) => {
      const text = await readFile(join(copy, path), 'utf8');
      if (!text.includes(name)) return;
      await writeFile(join(copy, path), removeImports({ path, text }, name));
    }),
  );
}

async function runTests(
  copy: string,
  { test, named }: MainPathPackage,
  flags: readonly string[] = [],
): Promise<TestOutcome> {
  const report = join(copy, 'report.json');
  await rm(report, { force: true });
  const args = [
    join(copy, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=json',
    `--outputFile=${report}`,
    ...flags,
    ...(named === undefined ? [] : [`--testNamePattern=${named}`]),
    test,
  ];
  const { promise, resolve } = Promise.withResolvers<string>();
  // Fails where a test fails; what counts is the report.
  execFile(process.execPath, args, { cwd: copy, env: plainEnvironment() }, (_error, ...output) =>
    resolve(output.join('\n')),
  );
  const output = await promise;
  const text = await readFile(report, 'utf8').catch(() => '{}');
  const parsed = reportSchema.safeParse(JSON.parse(text)).data;
  if (parsed === undefined) throw new Error(`Cannot compare as ${test} did not run:\n${output}`);
  const results = parsed.testResults.flatMap(({ assertionResults }) => assertionResults);
  const statuses = results
    .filter(({ fullName }) => named === undefined || fullName.includes(named))
    .map(({ status }) => status);
  const passed = statuses.filter((status) => status === 'passed').length;
  const others = statuses.length - passed;
  return parsed.success
    ? { passed, failed: 0, skipped: others }
    : { passed, failed: Math.max(1, others), skipped: 0 };
}

/** Without what a surrounding run of the tests has set. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:VITEST|TEST$|NODE_V8)/.test(name),
  );
  return Object.fromEntries(kept);
}
