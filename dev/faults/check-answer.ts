import type { RecordedCall } from '../model/start-development-model.ts';
import type { ClientResult } from './send-request.ts';
import type { Expected, Range } from './fault-case.ts';

/** The upstream calls that a request caused. */
export interface Cost {
  readonly calls: readonly RecordedCall[];
  readonly secondCalls: number;
}

/** Every difference between the result and the promise, as phrases. */
export function checkAnswer(
  expected: Expected,
  seen: Cost & { readonly result: ClientResult },
): string[] {
  const { result, calls, secondCalls } = seen;
  const [first, second] = calls.map(({ startedAt }) => startedAt);
  const waitedMs = first === undefined || second === undefined ? Number.NaN : second - first;
  return [
    ...(result.outcome === expected.outcome
      ? []
      : [`ended as ${result.outcome} instead of ${expected.outcome}`]),
    ...outside('calls', { value: calls.length, range: toRange(expected.calls) }),
    ...outside('calls to the second endpoint', {
      value: secondCalls,
      range: toRange(expected.fallbackCalls ?? 0),
    }),
    ...outside('ms between the first two calls', { value: waitedMs, range: expected.waitMs }),
    ...outside('s of Retry-After', {
      value: result.retryAfterSeconds ?? Number.NaN,
      range: expected.retryAfterSeconds,
    }),
    ...(expected.textFirst === undefined || expected.textFirst === (result.text !== '')
      ? []
      : [expected.textFirst ? 'no text came before the end' : 'text came before the end']),
    ...(expected.outcome === 'answer' && result.text === '' ? ['the answer has no text'] : []),
    ...(expected.contains === undefined || result.text.includes(expected.contains)
      ? []
      : ['the answer is incomplete']),
  ];
}

function outside(
  what: string,
  { value, range }: { readonly value: number; readonly range: Range | undefined },
): string[] {
  if (range === undefined || (value >= range[0] && value <= range[1])) return [];
  const expected = range[0] === range[1] ? `${range[0]}` : `${range[0]} to ${range[1]}`;
  return [`${Number.isNaN(value) ? 'no' : Math.round(value)} ${what} instead of ${expected}`];
}

function toRange(value: number | Range): Range {
  return typeof value === 'number' ? [value, value] : value;
}
