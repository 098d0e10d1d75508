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
import { eventually } from '../e2e/support/post-chat.ts';
import {
  CONCURRENCY,
  ITEMS,
  JOBS,
  startThrottledEnvironment,
  type End,
  type ThrottledEnvironment,
} from './support/throttled-environment.ts';

const MINUTE = 60;
const CHATS = 4 * MINUTE;
/** Chats take a fifth of a second by themselves, so what a busy machine adds to them is little. */
const CHAT = 'dev/slow-10000 chat';
/** Nothing lost, nothing given up, no try burnt: no other entries, and no failed delivery. */
const WELL: End = {
  succeeded: Array<number>(JOBS).fill(ITEMS),
  failed: 0,
  entries: ['closed', 'job', 'opened', 'refused', 'result'],
  poisoned: 0,
  failedDeliveries: [],
};

/** The same chats at the same time, where there is no batch: a busy machine slows down both. */
let control: ThrottledEnvironment;
beforeAll(async () => {
  // Once, and not by each of the worlds that start together.
  await buildIfStale();
  control = await startThrottledEnvironment();
});
afterAll(() => control.stop());

interface Chats {
  readonly beside: readonly LoadResult[];
  readonly alone: readonly LoadResult[];
}

/** Chats beside a batch, and the same without one. */
async function askChats({ url }: ThrottledEnvironment): Promise<Chats> {
  const pace: LoadRate = {
    perSecond: CHATS / MINUTE,
    seconds: MINUTE,
    question: () => ({ message: CHAT, mode: 'json' }),
  };
  const [beside, alone] = await Promise.all([
    sendSteadily(url, pace),
    sendSteadily(control.url, pace),
  ]);
  return { beside, alone };
}

function p99(asked: readonly LoadResult[]): number {
  return percentile(
    asked.map(({ ms }) => ms),
    0.99,
  );
}

describe.concurrent('a batch whose model refuses it for a minute', () => {
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
        const { beside, alone } = await askChats(environment);
        const refusals = environment.refusals();
        const doneInMinute = environment.answered();
        environment.limitRate(() => undefined);
        const wellFrom = performance.now();
        await eventually('all is done', () => environment.isDone(), MINUTE * 1_000);
        const recoveryMs = performance.now() - wellFrom;

        expect(await environment.readEnd()).toEqual(WELL);
        expect(environment.answered()).toBe(JOBS * ITEMS);
        expect(doneInMinute).toBeLessThan(JOBS * ITEMS);
        expect(refusals.length).toBeGreaterThan(0);
        // What is in flight when it begins, and once more until it is clear that nobody gets through.
        expect(refusals.length).toBeLessThanOrEqual(2 * JOBS * CONCURRENCY);
        const late = refusals.filter((at) => at - refusingFrom > (MINUTE * 1_000) / 6);
        // Then one at a time, ten seconds or more apart; twice that is still next to nothing.
        expect(late.length).toBeLessThanOrEqual(10);
        expect(recoveryMs).toBeLessThan((MINUTE * 1_000) / 2);
        expect(countOutcomes(beside)).toBe(`${CHATS} answer`);
        expect(p99(beside)).toBeLessThan(3 * p99(alone));
      } finally {
        await environment.stop();
      }
    },
    180_000,
  );
});

describe.concurrent('a batch that wants more than the model has for everybody', () => {
  it('Q8: leaves chats what they need', async () => {
    const environment = await startThrottledEnvironment();
    try {
      environment.limitRate(admit({ perSecond: 10, burst: 5 }));
      await environment.submit();
      await eventually('the batch meets the limit', () => environment.refusals().length > 0);

      const { beside, alone } = await askChats(environment);
      const done = environment.answered();
      environment.limitRate(() => undefined);
      await eventually('all is done', () => environment.isDone(), MINUTE * 1_000);

      expect(await environment.readEnd()).toEqual(WELL);
      expect(environment.answered()).toBe(JOBS * ITEMS);
      expect(done).toBeGreaterThan(0);
      expect(done).toBeLessThan(JOBS * ITEMS);
      // Three tries by chance may all find the bucket empty, were it only for other chats.
      const unlucky = beside.filter(({ outcome }) => outcome !== 'answer');
      expect(unlucky.length, countOutcomes(beside)).toBeLessThanOrEqual(CHATS / 100);
      // A chat that finds it empty is asked again after a back-off as long as itself.
      expect(p99(beside)).toBeLessThan(4 * p99(alone));
    } finally {
      await environment.stop();
    }
  }, 120_000);
});

/** As real limits do: a bucket that fills steadily, and a refusal for whoever finds it empty. */
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
