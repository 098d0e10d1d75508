import { defineConfig } from 'vitest/config';

const FIXTURES = 'test/**/fixtures/**';
/** Each of these files brings up a whole local world and watches how it behaves over time. */
const WORLD = ['test/e2e/**/*.test.ts', 'test/faults/**/*.test.ts', 'test/load/**/*.test.ts'];

const common = {
  pool: 'forks' as const,
  setupFiles: ['test/support/setup.ts'],
  testTimeout: 20_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'parts',
          include: ['test/**/*.test.ts'],
          exclude: [FIXTURES, ...WORLD],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'world',
          include: WORLD,
          exclude: [FIXTURES],
          // One world at a time: two of them on two cores would make each other slow.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
