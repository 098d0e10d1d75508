import { runCheck } from './check/run-check.ts';
import type { Step } from './check/run-step.ts';
import { isMain } from './project-root.ts';

const FOLDERS = ['functions', 'shared', 'dev', 'test', 'infra/hooks', 'examples'] as const;

/** The steps of `npm test` before the tests, cheap ones first. */
export const STEPS: readonly Step[] = [
  { name: 'format', command: 'oxfmt', args: ['--check', ...FOLDERS, 'vitest.config.ts'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings', ...FOLDERS] },
  { name: 'types', command: 'tsc', args: ['--noEmit'] },
  { name: 'build', command: process.execPath, args: ['dev/build.ts'] },
];

if (isMain(import.meta.filename)) {
  process.exitCode = await runCheck({
    steps: STEPS,
    testArgs: process.argv.slice(2),
    print: (line) => console.log(line),
  });
}
