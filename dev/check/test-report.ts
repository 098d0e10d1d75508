import { z } from 'zod';

const report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
});

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/** Counts what a test run reported; a file that could not even be loaded is one failure. */
export function countTests(reportText: string): TestCounts {
  const { numPassedTests, numFailedTests, testResults } = report.parse(JSON.parse(reportText));
  const unloadable = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  return { passed: numPassedTests, failed: numFailedTests + unloadable.length };
}
