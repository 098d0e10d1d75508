import { setTimeout as sleep } from 'node:timers/promises';
import { sendRequest, type ClientRequest, type ClientResult } from './send-request.ts';

/** The result of one request of a series, with the time at which it was sent. */
export interface LoadResult extends ClientResult {
  readonly sentAt: number;
}

export interface LoadRate {
  readonly perSecond: number;
  readonly seconds: number;
  /** The request with this number, from 0. */
  readonly request: (number: number) => ClientRequest;
}

/**
 * Sends requests at a constant rate, without waiting for responses, and returns when all have
 * ended.
 */
export async function sendSteadily(url: string, rate: LoadRate): Promise<LoadResult[]> {
  const startedAt = performance.now();
  const total = Math.round(rate.perSecond * rate.seconds);
  const pending: Promise<LoadResult>[] = [];
  for (let number = 0; number < total; number += 1) {
    const dueInMs = startedAt + (number * 1_000) / rate.perSecond - performance.now();
    if (dueInMs > 0) await sleep(dueInMs);
    const sentAt = Date.now();
    const result = sendRequest(url, rate.request(number)).then((received) => ({
      ...received,
      sentAt,
    }));
    // Promise.all below rejects with the failure.
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

/** The number of results by outcome. */
export function countOutcomes(results: readonly ClientResult[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
}
