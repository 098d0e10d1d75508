import { assert, double, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolInputError } from '../../../../shared/agent/tool.ts';
import { calculator } from '../../../../shared/agent/tools/calculator.ts';
import { noopTelemetry } from '../../../../shared/telemetry/create-telemetry.ts';

const CONTEXT = {
  signal: new AbortController().signal,
  traceparent: undefined,
  telemetry: noopTelemetry,
};

function compute(expression: string): Promise<string> {
  return calculator.call({ expression }, CONTEXT);
}

describe('the calculator', () => {
  it.each([
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['2 ^ 3 ^ 2', '512'],
    ['-2 ^ 2', '-4'],
    ['7 % 4 - -1', '4'],
    ['0.1 + 0.2', '0.3'],
    ['1.5e3 / .5', '3000'],
    ['max(1, 2, sqrt(16)) + ABS(-pi) - pi', '4'],
    ['  round(2.5)  ', '3'],
  ])('computes %s', async (expression, expected) => {
    const value = await compute(expression);

    expect(value).toBe(expected);
  });

  it.each([
    ['1 / 0', 'no finite value'],
    ['1 +', 'ends too early'],
    ['', 'ends too early'],
    ['(1', 'must have ")" at its end'],
    ['1 2', 'must not have "2"'],
    ['max', 'must have "(" at its end'],
    ['process.exit()', 'must not have'],
    ['constructor(1)', 'must not have "constructor"'],
    ['1; 2', 'must not have ";"'],
    ['('.repeat(200), 'nested too deeply'],
    ['-'.repeat(200), 'nested too deeply'],
  ])('refuses %s and says why', async (expression, reason) => {
    const computing = compute(expression);

    await expect(computing).rejects.toThrow(ToolInputError);
    await expect(computing).rejects.toThrow(reason);
  });

  it('never runs a text as code and never fails in another way', async () => {
    const attempts: Promise<unknown>[] = [];

    assert(
      property(string({ unit: 'binary', maxLength: 60 }), (text) => {
        attempts.push(
          compute(text).catch((error: unknown) => {
            if (!(error instanceof ToolInputError)) throw error;
          }),
        );
      }),
    );

    await expect(Promise.all(attempts)).resolves.toBeDefined();
  });

  it('gives the digits of a double back', async () => {
    const values: [number, Promise<string>][] = [];

    assert(
      property(double({ min: 1e-3, max: 1e9, noNaN: true }), (value) => {
        values.push([value, compute(`${value}`)]);
      }),
    );

    for (const [value, text] of values) expect(Number(await text)).toBeCloseTo(value, 5);
  });
});
