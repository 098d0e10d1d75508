import { defineConfig } from 'vitest/config';

const FIXTURES = 'test/**/fixtures/**';
/** Each of these files brings up a whole local environment. */
const ENVIRONMENT = ['test/e2e/**/*.test.ts', 'test/faults/**/*.test.ts'];
/** These measure latencies. */
const LOAD = ['test/load/**/*.test.ts'];

const common = {
  pool: 'forks' as const,
  setupFiles: ['test/support/setup.ts'],
  // They only end what hangs: a machine that does other things as well is several times slower.
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 30_000, interval: 10 } },
  // Tests that are marked as concurrent mostly wait.
  maxConcurrency: 6,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [FIXTURES, ...ENVIRONMENT, ...LOAD],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'environment',
          include: ENVIRONMENT,
          exclude: [FIXTURES],
          // An environment mostly waits, so three of them share two cores well.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'load',
          include: LOAD,
          exclude: [FIXTURES],
          // Alone: what is measured must not be disturbed.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
