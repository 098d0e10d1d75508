import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCheck } from '../../../dev/check/run-check.ts';
import { describeSkipped } from '../../../dev/check/test-report.ts';
import { runScript } from '../../support/run-script.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'check', 'run-check.ts');

describe('the steps of the check', () => {
  it('stop at the first failure, show its output and hand on its exit code', async () => {
    const printed: string[] = [];
    const nodeStep = (name: string, script: string) => ({
      name,
      command: process.execPath,
      args: ['-e', script],
    });

    const exitCode = await runCheck({
      steps: [
        nodeStep('first', 'console.log("of no interest")'),
        nodeStep('second', 'console.error("the reason"); process.exit(3)'),
        nodeStep('third', 'console.log("never reached")'),
      ],
      print: (line) => printed.push(line),
    });

    expect(exitCode).toBe(3);
    expect(printed[0]).toMatch(/^ok +first +[\d.]+ s$/);
    expect(printed[1]).toMatch(/^FAILED second +[\d.]+ s$/);
    expect(printed.slice(2)).toEqual(['the reason', "stopped at 'second': exit code 3"]);
  });

  it('fail when the program of a step does not exist', async () => {
    const printed: string[] = [];

    const exitCode = await runCheck({
      steps: [{ name: 'gone', command: 'no-such-program-anywhere', args: [] }],
      print: (line) => printed.push(line),
    });

    expect(exitCode).not.toBe(0);
    expect(printed.join('\n')).toContain('no-such-program-anywhere');
  });
});

describe('the tests of the check', () => {
  it('are green when all pass, and the last line counts them', async () => {
    const { code, lines } = await runTests('good.test.ts');

    expect(code).toBe(0);
    expect(lines.at(-1)).toBe('2 passed, 0 failed');
  });

  it('are green without an optional program, and one line names it', async () => {
    const { code, lines } = await runTests('tool.test.ts');

    expect(code).toBe(0);
    expect(lines.slice(-2)).toEqual([
      '3 tests skipped: they need redis-server (apt-get install redis-server)',
      '1 passed, 0 failed, 3 skipped',
    ]);
  });

  it.each([
    ['a test fails', 'bad.test.ts', '0 passed, 1 failed'],
    ['a file cannot be loaded', 'broken.test.ts', '0 passed, 1 failed'],
    ['a set-up fails', 'unprepared.test.ts', '0 passed, 1 failed, 1 skipped'],
    ['a test writes to the console unexpectedly', 'noisy.test.ts', '0 passed, 1 failed'],
    ['a rejection stays unhandled', 'rejected.test.ts', '1 passed, 0 failed'],
    ['no test ran', 'no-file-is-called-like-this', '0 passed, 0 failed'],
  ])('are red when %s', async (_case, filter, counted) => {
    const { code, lines } = await runTests(filter);

    expect(code).not.toBe(0);
    expect(lines.at(-1)).toBe(counted);
  });

  it('are red where CI is set and an optional program is missing', async () => {
    const { code, lines, errors } = await runTests('tool.test.ts', 'true');

    expect(code).not.toBe(0);
    expect(lines.at(-1)).toBe('0 passed, 1 failed');
    expect(errors).toContain('redis-server must be installed');
  });
});

describe('the line about skipped tests', () => {
  const redis = { name: 'redis-server', install: 'apt-get install redis-server', tests: 44 };
  const dotnet = { name: 'dotnet', install: 'from dot.net', tests: 2 };

  it.each([
    ['is missing when none was', { skipped: 0, missingTools: [] }, undefined],
    [
      'names each program with the number of its tests',
      { skipped: 46, missingTools: [redis, dotnet] },
      '46 tests skipped: 44 need redis-server (apt-get install redis-server), 2 need dotnet (from dot.net)',
    ],
    [
      'counts those that no program is missing for',
      { skipped: 7, missingTools: [dotnet] },
      '7 tests skipped: 2 need dotnet (from dot.net), 5 for a filter, a failed set-up or a mark in the code',
    ],
  ])('%s', (_case, counts, line) => {
    expect(describeSkipped({ passed: 5, failed: 0, ...counts })).toBe(line);
  });
});

/** `CI` is empty unless a test sets it, so that the outcome is the same on every machine. */
async function runTests(filter: string, ci = '') {
  const script = runScript(FIXTURE, { args: [filter], env: { CI: ci } });
  const { code } = await script.ended;
  return { code, lines: script.stdout().trimEnd().split('\n'), errors: script.stderr() };
}
