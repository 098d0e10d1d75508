import { z } from 'zod';

const missingToolSchema = z.object({ name: z.string(), install: z.string() });

const reportSchema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(
    z.object({
      status: z.string(),
      assertionResults: z.array(
        z.object({
          status: z.string(),
          meta: z.object({ missingTool: missingToolSchema.optional() }).optional(),
        }),
      ),
    }),
  ),
});

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Part of the skipped tests, by the program that they need. */
  readonly missingTools: readonly MissingTool[];
}

export interface MissingTool {
  readonly name: string;
  /** How to install it. */
  readonly install: string;
  readonly tests: number;
}

export const NO_TESTS: TestCounts = { passed: 0, failed: 0, skipped: 0, missingTools: [] };

/** Counts the tests of a JSON report; a file that failed without a failed test is one failure. */
export function countTests(reportText: string): TestCounts {
  const { numPassedTests, numFailedTests, testResults } = reportSchema.parse(
    JSON.parse(reportText),
  );
  // It could not be loaded, or its set-up failed.
  const failedFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  const skipped = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status }) => !['passed', 'failed'].includes(status));
  const byTool = Object.groupBy(
    skipped.flatMap(({ meta }) => meta?.missingTool ?? []),
    ({ name }) => name,
  );
  return {
    passed: numPassedTests,
    failed: numFailedTests + failedFiles.length,
    skipped: skipped.length,
    missingTools: Object.values(byTool).flatMap((tests = []) => {
      const [tool] = tests;
      return tool === undefined
        ? []
        : { name: tool.name, install: tool.install, tests: tests.length };
    }),
  };
}

/** One line that says which tests were skipped, why, and how to run them; undefined if none was. */
export function describeSkipped({ skipped, missingTools }: TestCounts): string | undefined {
  if (skipped === 0) return undefined;
  const withTool = missingTools.reduce((sum, { tests }) => sum + tests, 0);
  const reasons = missingTools.map(({ name, install, tests }) => {
    const subject = tests === skipped ? 'they' : String(tests);
    return `${subject} need ${name} (${install})`;
  });
  if (withTool < skipped) {
    reasons.push(`${skipped - withTool} for a filter, a failed set-up or a mark in the code`);
  }
  return `${skipped} tests skipped: ${reasons.join(', ')}`;
}

/** The last line of the check: `120 passed, 0 failed`, and what was skipped if anything was. */
export function summarizeTests({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
