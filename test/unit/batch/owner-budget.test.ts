import { describe, expect, it } from 'vitest';
import {
  type OwnerBudgets,
  withRunningItems,
} from '../../../shared/batch/processing/owner-budget.ts';
import { createOwnerBudgets } from '../../../shared/composition-root/batch.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { linesOf, openAi, OWNER, setUp } from '../../support/batch/batch-environment.ts';
import { messages } from '../../support/batch/jobs.ts';
import { createLimiter } from '../../support/limits.ts';

const never = new AbortController().signal;

/** A batch environment whose owner has so many tokens a day; each item reserves `outputTokens`. */
function setUpBudget(tokensPerDay: number, outputTokens = 100) {
  const clock = { now: (): number => 0 };
  const limiter = createLimiter({ settings: { tokensPerDay }, clock: { now: () => clock.now() } });
  const budgets = createOwnerBudgets({
    limiter,
    measure: () => ({ texts: [], maxOutputTokens: outputTokens }),
  });
  const environment = setUp(undefined, { budgets });
  clock.now = () => environment.time.now;
  environment.time.now = Date.parse('2030-01-01T12:00:00Z');
  return { environment, limiter };
}

describe('T3 the daily budget of a batch owner', () => {
  it('pauses a batch until the next day, and its status says so', async () => {
    // The scripted agent uses two tokens for each item.
    const { environment } = setUpBudget(104);
    const id = await environment.submit(linesOf(5));
    await deliver(environment, 3);

    const waiting = await openAi(environment, id);
    await environment.drain();

    const midnight = Date.parse('2030-01-02T00:00:00Z') / 1_000;
    expect(waiting).toMatchObject({
      status: 'in_progress',
      request_counts: { completed: 3 },
      progress: { waiting_for: { reason: 'budget_exhausted', until: midnight } },
    });
    expect(environment.time.now / 1_000).toBeGreaterThanOrEqual(midnight);
    expect(environment.agent.asked.toSorted()).toEqual(messages(5));
    expect(await openAi(environment, id)).toMatchObject({
      status: 'completed',
      progress: { waiting_for: null },
    });
  });

  it('is checked again every ten minutes by one message for each shard at work', async () => {
    const { environment } = setUpBudget(100, 100);
    await environment.submit(linesOf(30));
    await deliver(environment, 1);
    const { sent, processor, time } = environment;

    const sentInAnHour: number[] = [];
    for (const endsAt = time.now + 3_600_000; time.now < endsAt; time.now += 600_000) {
      const due = sent.splice(0);
      for (const { job } of due) await processor.process(job);
      sentInAnHour.push(sent.length);
    }

    expect(Math.max(...sentInAnHour)).toBeLessThanOrEqual(8);
    expect(sent.every(({ delaySeconds }) => delaySeconds === 600)).toBe(true);
  });

  it('ends a batch at the end of its window if that comes first', async () => {
    const { environment } = setUpBudget(100);
    const id = await environment.submit(linesOf(4));
    await environment.drain();

    const batch = await openAi(environment, id);

    // A window of 24 hours has a part of two days, and each of them pays for one item.
    expect(environment.agent.asked).toHaveLength(2);
    expect(batch).toMatchObject({
      status: 'expired',
      request_counts: { total: 4, completed: 2, failed: 2 },
    });
  });

  it('is the budget of the chats of the same caller', async () => {
    const { environment, limiter } = setUpBudget(200);
    const chat = await limiter.reserve({ callerId: OWNER, tokens: 150 });
    const id = await environment.submit(linesOf(2));
    await deliver(environment, 2);

    const waiting = await openAi(environment, id);

    expect(chat.allowed).toBe(true);
    expect(environment.agent.asked).toEqual([]);
    expect(waiting.progress.waiting_for?.reason).toBe('budget_exhausted');
  });

  it('fails an item that no day can pay for', async () => {
    const { environment } = setUpBudget(99);
    const id = await environment.submit(linesOf(1));

    await environment.drain();

    expect(environment.agent.asked).toEqual([]);
    expect((await openAi(environment, id)).request_counts).toMatchObject({ failed: 1 });
  });
});

describe('the running items of an owner', () => {
  /** A budget for one run at a time. */
  function singleRun(): OwnerBudgets {
    let isFree = true;
    return {
      async reserve() {
        if (!isFree) throw new ServiceError('budget_exhausted', 'No');
        isFree = false;
        return { hooks: {}, settle: async () => void (isFree = true) };
      },
    };
  }
  const input = { messages: [] };

  it('are waited for, as their settlement may return tokens', async () => {
    const budgets = withRunningItems(singleRun());
    const first = await budgets.reserve('owner', input);
    const second = await budgets.reserve('owner', input);
    const other = await budgets.reserve('other', input);
    if (first.kind !== 'reserved' || second.kind === 'reserved') throw new Error('Not exhausted');

    const waited = second.nextSettlement?.(never);
    await first.run.settle();
    await waited;

    expect(other).toMatchObject({ kind: 'budget exhausted', nextSettlement: undefined });
    expect((await budgets.reserve('owner', input)).kind).toBe('reserved');
  });

  it('are not waited for once the pass is stopped', async () => {
    const budgets = withRunningItems(singleRun());
    await budgets.reserve('owner', input);
    const second = await budgets.reserve('owner', input);
    if (second.kind === 'reserved') throw new Error('Not exhausted');

    await second.nextSettlement?.(AbortSignal.abort());

    expect(second.nextSettlement).toBeDefined();
  });
});

/** Delivers so many messages, the newest first. */
async function deliver(
  { sent, processor }: ReturnType<typeof setUp>,
  count: number,
): Promise<void> {
  for (let delivery = 0; delivery < count; delivery += 1) {
    await processor.process(sent.pop()?.job);
  }
}
