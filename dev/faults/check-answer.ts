import type { RecordedCall } from '../model/start-development-model.ts';
import type { ClientResult } from './send-request.ts';
import type { Expected, Range } from './fault-case.ts';

/** What a question cost upstream. */
export interface Cost {
  readonly calls: readonly RecordedCall[];
  readonly secondCalls: number;
}

/** Every way in which what happened is not what was promised, as sentences. */
export function checkAnswer(
  expected: Expected,
  seen: Cost & { readonly told: ClientResult },
): string[] {
  const { told, calls, secondCalls } = seen;
  const [first, second] = calls.map(({ startedAt }) => startedAt);
  const waitedMs = first === undefined || second === undefined ? Number.NaN : second - first;
  return [
    ...(told.outcome === expected.outcome
      ? []
      : [`ended as ${told.outcome} instead of ${expected.outcome}`]),
    ...outside('calls', { value: calls.length, range: toRange(expected.calls) }),
    ...outside('calls to the second endpoint', {
      value: secondCalls,
      range: toRange(expected.fallbackCalls ?? 0),
    }),
    ...outside('ms between the first two calls', { value: waitedMs, range: expected.waitMs }),
    ...outside('s of Retry-After', {
      value: told.retryAfterSeconds ?? Number.NaN,
      range: expected.retryAfterSeconds,
    }),
    ...(expected.textFirst === undefined || expected.textFirst === (told.text !== '')
      ? []
      : [expected.textFirst ? 'no text came before the end' : 'text came before the end']),
    ...(expected.outcome === 'answer' && told.text === '' ? ['the answer has no text'] : []),
    ...(expected.says === undefined || told.text.includes(expected.says)
      ? []
      : ['the answer is not whole']),
  ];
}

function outside(
  what: string,
  { value, range }: { readonly value: number; readonly range: Range | undefined },
): string[] {
  if (range === undefined || (value >= range[0] && value <= range[1])) return [];
  const wanted = range[0] === range[1] ? `${range[0]}` : `${range[0]} to ${range[1]}`;
  return [`${Number.isNaN(value) ? 'no' : Math.round(value)} ${what} instead of ${wanted}`];
}

function toRange(value: number | Range): Range {
  return typeof value === 'number' ? [value, value] : value;
}
