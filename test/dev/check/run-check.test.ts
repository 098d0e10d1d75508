import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runGate } from '../../../dev/gate/run-gate.ts';
import { runScript } from '../../support/run-script.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'gate', 'run-gate.ts');

describe('the steps of the gate', () => {
  it('stop at the first failure, show its output and hand on its exit code', async () => {
    const said: string[] = [];
    const nodeStep = (name: string, script: string) => ({
      name,
      command: process.execPath,
      args: ['-e', script],
    });

    const exitCode = await runGate({
      steps: [
        nodeStep('first', 'console.log("of no interest")'),
        nodeStep('second', 'console.error("the reason"); process.exit(3)'),
        nodeStep('third', 'console.log("never reached")'),
      ],
      say: (line) => said.push(line),
    });

    expect(exitCode).toBe(3);
    expect(said[0]).toMatch(/^ok +first +[\d.]+ s$/);
    expect(said[1]).toMatch(/^FAILED second +[\d.]+ s$/);
    expect(said.slice(2)).toEqual(['the reason', "stopped at 'second': exit code 3"]);
  });

  it('fail when the program of a step does not exist', async () => {
    const said: string[] = [];

    const exitCode = await runGate({
      steps: [{ name: 'gone', command: 'no-such-program-anywhere', args: [] }],
      say: (line) => said.push(line),
    });

    expect(exitCode).not.toBe(0);
    expect(said.join('\n')).toContain('no-such-program-anywhere');
  });
});

describe('the tests of the gate', () => {
  it('are green when all pass, and the last line counts them', async () => {
    const { code, lastLine } = await runTests('good.test.ts');

    expect(code).toBe(0);
    expect(lastLine).toBe('2 passed, 0 failed');
  });

  it.each([
    ['a test fails', 'bad.test.ts', '0 passed, 1 failed'],
    ['a file cannot be loaded', 'broken.test.ts', '0 passed, 1 failed'],
    ['a test writes to the console unexpectedly', 'noisy.test.ts', '0 passed, 1 failed'],
    ['a rejection stays unhandled', 'rejected.test.ts', '1 passed, 0 failed'],
    ['no test ran', 'no-file-is-called-like-this', '0 passed, 0 failed'],
  ])('are red when %s', async (_case, filter, counted) => {
    const { code, lastLine } = await runTests(filter);

    expect(code).not.toBe(0);
    expect(lastLine).toBe(counted);
  });
});

async function runTests(filter: string) {
  const script = runScript(FIXTURE, { args: [filter] });
  const { code } = await script.ended;
  return { code, lastLine: script.stdout().trimEnd().split('\n').at(-1) };
}
