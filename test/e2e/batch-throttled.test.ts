import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../../dev/faults/fault-environment.ts';
import {
  sendSteadily,
  countOutcomes,
  percentile,
  type LoadResult,
  type LoadRate,
} from '../../dev/faults/steady-load.ts';
import type { RateLimit } from '../../dev/model/start-development-model.ts';
import { eventually } from './support/post-chat.ts';
import {
  CONCURRENCY,
  ITEMS,
  JOBS,
  startThrottledEnvironment,
  type End,
  type ThrottledEnvironment,
} from './support/throttled-environment.ts';

/** How long the model refuses or limits the batch: several times as long as the first waits. */
const SECONDS = 30;
const CHATS_PER_SECOND = 4;
const CHATS = CHATS_PER_SECOND * SECONDS;
/** The batch tries a model that refuses everything at least this seldom, after the first tries. */
const TRY_EVERY_MS = 10_000;
/** Until then the batch still finds out that the model refuses everything. */
const FIRST_TRIES_MS = 10_000;
const RESUMES_WITHIN_MS = 30_000;
/** For a machine that does other things as well: a hundred items take seconds. */
const DONE_WITHIN_MS = 90_000;
/** Chats take a fifth of a second by themselves, so what a busy machine adds to them is little. */
const CHAT = 'dev/slow-10000 a chat';
/** Nothing lost, nothing given up, no try burnt: no other entries, and no failed delivery. */
const WELL: End = {
  succeeded: Array<number>(JOBS).fill(ITEMS),
  failed: 0,
  entries: ['closed', 'job', 'opened', 'result', 'throttled'],
  poisoned: 0,
  failedDeliveries: [],
};

/** The same chats at the same time, where there is no batch: a busy machine slows down both. */
let control: ThrottledEnvironment;
let limitedControl: ThrottledEnvironment;
beforeAll(async () => {
  // Once, and not by each of the environments that start together.
  await buildIfStale();
  [control, limitedControl] = await Promise.all([
    startThrottledEnvironment(),
    startThrottledEnvironment(),
  ]);
});
afterAll(() => Promise.all([control.stop(), limitedControl.stop()]));

interface Chats {
  readonly beside: readonly LoadResult[];
  readonly alone: readonly LoadResult[];
}

/** Chats beside a batch, and the same without one. */
async function sendChats(
  { url }: ThrottledEnvironment,
  { url: controlUrl }: ThrottledEnvironment,
): Promise<Chats> {
  const rate: LoadRate = {
    perSecond: CHATS_PER_SECOND,
    seconds: SECONDS,
    request: () => ({ message: CHAT, mode: 'json' }),
  };
  const [beside, alone] = await Promise.all([
    sendSteadily(url, rate),
    sendSteadily(controlUrl, rate),
  ]);
  return { beside, alone };
}

function p95(results: readonly LoadResult[]): number {
  return percentile(
    results.map(({ ms }) => ms),
    0.95,
  );
}

function countFailures(results: readonly LoadResult[]): number {
  return results.filter(({ outcome }) => outcome !== 'answer').length;
}

describe.concurrent('a batch whose model refuses it for a while', () => {
  it.each([
    { how: 'without a word on how long', headers: {} },
    { how: 'for ten seconds at a time', headers: { 'retry-after': '10' } },
  ])(
    'Q8: loses nothing, asks little and leaves chat alone when it is refused $how',
    async ({ headers }) => {
      const environment = await startThrottledEnvironment();
      try {
        await environment.submit();
        await eventually('a fifth is done', () => environment.answered() > (JOBS * ITEMS) / 5);

        environment.limitRate((request) => (environment.isItem(request) ? headers : undefined));
        const refusingFrom = Date.now();
        const { beside, alone } = await sendChats(environment, control);
        const refusals = environment.refusals();
        const doneMeanwhile = environment.answered();
        environment.limitRate(() => undefined);
        const wellFrom = Date.now();
        await eventually('all is done', () => environment.isDone(), DONE_WITHIN_MS);
        const resumedAt = environment.itemCalls().find((at) => at >= wellFrom) ?? Infinity;

        expect(await environment.readEnd()).toEqual(WELL);
        expect(environment.answered()).toBe(JOBS * ITEMS);
        expect(doneMeanwhile).toBeLessThan(JOBS * ITEMS);
        expect(refusals.length).toBeGreaterThan(0);
        // What is in flight when it begins, and once more until it is clear that no item is served.
        expect(refusals.length).toBeLessThanOrEqual(2 * JOBS * CONCURRENCY);
        const late = refusals.filter((at) => at - refusingFrom > FIRST_TRIES_MS);
        // Then each batch tries one item at a time; twice as many are still next to nothing.
        const tries = (JOBS * (SECONDS * 1_000 - FIRST_TRIES_MS)) / TRY_EVERY_MS;
        expect(late.length).toBeLessThanOrEqual(2 * tries);
        expect(resumedAt - wellFrom).toBeLessThan(RESUMES_WITHIN_MS);
        expect(countOutcomes(beside)).toBe(`${CHATS} answer`);
        // No chat was refused or tried again because of the batch.
        expect(environment.callsWith(CHAT)).toBe(CHATS);
        expect(p95(beside)).toBeLessThan(2 * p95(alone));
      } finally {
        await environment.stop();
      }
    },
    180_000,
  );
});

describe.concurrent('a batch that needs more than the capacity of the model', () => {
  it('Q8: leaves chats what they need', async () => {
    const environment = await startThrottledEnvironment();
    try {
      environment.limitRate(admit({ perSecond: 10, burst: 5 }));
      limitedControl.limitRate(admit({ perSecond: 10, burst: 5 }));
      await environment.submit();
      await eventually('the batch meets the limit', () => environment.refusals().length > 0);

      const { beside, alone } = await sendChats(environment, limitedControl);
      const done = environment.answered();
      environment.limitRate(() => undefined);
      await eventually('all is done', () => environment.isDone(), DONE_WITHIN_MS);

      expect(await environment.readEnd()).toEqual(WELL);
      expect(environment.answered()).toBe(JOBS * ITEMS);
      expect(done).toBeGreaterThan(0);
      expect(done).toBeLessThan(JOBS * ITEMS);
      // Three tries by chance may all find the bucket empty, also because of other chats.
      const allowed = countFailures(alone) + CHATS / 100;
      expect(countFailures(beside), countOutcomes(beside)).toBeLessThanOrEqual(allowed);
      // A chat that finds it empty retries after a back-off as long as itself.
      expect(p95(beside)).toBeLessThan(3 * p95(alone));
    } finally {
      await environment.stop();
    }
  }, 180_000);
});

/** As real limits work: a bucket that fills steadily, and a refusal while it is empty. */
function admit({ perSecond, burst }: { perSecond: number; burst: number }): RateLimit {
  let filledAt = performance.now();
  let tokens = burst;
  return () => {
    const now = performance.now();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1_000) * perSecond);
    filledAt = now;
    if (tokens < 1) return {};
    tokens -= 1;
    return undefined;
  };
}
