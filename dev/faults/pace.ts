import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Question, type Told } from './ask.ts';

/** A question that was asked in a series, with the time at which it was asked. */
export interface Asked extends Told {
  readonly askedAt: number;
}

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
  /** The question with that number, from 0. */
  readonly question: (number: number) => Question;
}

/** Asks at a steady pace, whether answers come or not, and returns when all of them have come. */
export async function askSteadily(url: string, pace: Pace): Promise<Asked[]> {
  const startedAt = performance.now();
  const total = Math.round(pace.perSecond * pace.seconds);
  const pending: Promise<Asked>[] = [];
  for (let number = 0; number < total; number += 1) {
    const dueInMs = startedAt + (number * 1_000) / pace.perSecond - performance.now();
    if (dueInMs > 0) await sleep(dueInMs);
    const askedAt = Date.now();
    pending.push(ask(url, pace.question(number)).then((told) => ({ ...told, askedAt })));
  }
  return Promise.all(pending);
}

/** The value below which the given share of the values lies; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** How often each outcome came. */
export function countOutcomes(asked: readonly Told[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of asked) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
}
