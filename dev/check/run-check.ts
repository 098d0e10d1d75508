import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests } from './count-tests.ts';
import type { TestCounts } from './count-tests.ts';
import { runStep } from './run-step.ts';
import type { Step } from './run-step.ts';

export interface GateOptions {
  readonly steps: readonly Step[];
  /** Passed on to the test runner, such as a folder of tests. */
  readonly testArgs?: readonly string[];
  readonly say: (line: string) => void;
}

/** Runs the steps in order, then the tests; the first failure ends it. Returns the exit code. */
export async function runGate({ steps, testArgs = [], say }: GateOptions): Promise<number> {
  for (const step of steps) {
    const startedAt = performance.now();
    const { exitCode, output } = await runStep(step);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    say(`${exitCode === 0 ? 'ok    ' : 'FAILED'} ${step.name.padEnd(8)} ${seconds} s`);
    if (exitCode !== 0) {
      say(output.trimEnd());
      say(`stopped at '${step.name}': exit code ${exitCode}`);
      return exitCode;
    }
  }
  return runTests({ testArgs, say });
}

async function runTests(options: {
  readonly testArgs: readonly string[];
  readonly say: (line: string) => void;
}): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'gate-'));
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
    options.say(`${counts.passed} passed, ${counts.failed} failed`);
    // A run in which nothing was tested proves nothing.
    if (counts.passed + counts.failed === 0) return exitCode || 1;
    return exitCode || (counts.failed > 0 ? 1 : 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** No report at all means that the runner itself broke down: nothing was tested. */
async function readCounts(reportFile: string): Promise<TestCounts> {
  try {
    return countTests(await readFile(reportFile, 'utf8'));
  } catch {
    return { passed: 0, failed: 0 };
  }
}
