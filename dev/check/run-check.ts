import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runStep } from './run-step.ts';
import type { Step } from './run-step.ts';
import { countTests, describeSkipped, NO_TESTS, summarizeTests } from './test-report.ts';
import type { TestCounts } from './test-report.ts';

export interface CheckOptions {
  readonly steps: readonly Step[];
  /** Arguments for the test runner, such as a folder of tests. */
  readonly testArgs?: readonly string[];
  readonly print: (line: string) => void;
}

/**
 * Runs the steps in order, then the tests, and stops at the first failure. Returns the exit code.
 */
export async function runCheck({ steps, testArgs = [], print }: CheckOptions): Promise<number> {
  for (const step of steps) {
    const startedAt = performance.now();
    const { exitCode, output } = await runStep(step);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    print(`${exitCode === 0 ? 'ok    ' : 'FAILED'} ${step.name.padEnd(8)} ${seconds} s`);
    if (exitCode !== 0) {
      print(output.trimEnd());
      print(`stopped at '${step.name}': exit code ${exitCode}`);
      return exitCode;
    }
  }
  return runTests({ testArgs, print });
}

async function runTests(options: {
  readonly testArgs: readonly string[];
  readonly print: (line: string) => void;
}): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'check-'));
  const reportFile = join(folder, 'report.json');
  try {
    const { exitCode } = await runStep({
      name: 'tests',
      command: 'vitest',
      args: [
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${reportFile}`,
        ...options.testArgs,
      ],
      live: true,
    });
    const counts = await readCounts(reportFile);
    const skipped = describeSkipped(counts);
    if (skipped !== undefined) options.print(skipped);
    options.print(summarizeTests(counts));
    // A run in which no test ran proves nothing.
    if (counts.passed + counts.failed === 0) return exitCode || 1;
    return exitCode || (counts.failed > 0 ? 1 : 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Without a report the runner itself has failed: no test ran. */
async function readCounts(reportFile: string): Promise<TestCounts> {
  try {
    return countTests(await readFile(reportFile, 'utf8'));
  } catch {
    return NO_TESTS;
  }
}
