import { setTimeout as sleep } from 'node:timers/promises';
import { sendRequest, type ClientRequest, type ClientResult } from './send-request.ts';

/** A question that was asked in a series, with the time at which it was asked. */
export interface LoadResult extends ClientResult {
  readonly askedAt: number;
}

export interface LoadRate {
  readonly perSecond: number;
  readonly seconds: number;
  /** The question with that number, from 0. */
  readonly question: (number: number) => ClientRequest;
}

/** Asks at a steady pace, whether answers come or not, and returns when all of them have come. */
export async function sendSteadily(url: string, pace: LoadRate): Promise<LoadResult[]> {
  const startedAt = performance.now();
  const total = Math.round(pace.perSecond * pace.seconds);
  const pending: Promise<LoadResult>[] = [];
  for (let number = 0; number < total; number += 1) {
    const dueInMs = startedAt + (number * 1_000) / pace.perSecond - performance.now();
    if (dueInMs > 0) await sleep(dueInMs);
    const askedAt = Date.now();
    const result = sendRequest(url, pace.question(number)).then((told) => ({ ...told, askedAt }));
    // A failure counts below, where all are awaited.
    result.catch(() => undefined);
    pending.push(result);
  }
  return Promise.all(pending);
}

/** The value below which the given share of the values lies; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** How often each outcome came. */
export function countOutcomes(asked: readonly ClientResult[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of asked) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
}
