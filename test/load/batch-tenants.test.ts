import * as z from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { eventually } from '../e2e/support/post-chat.ts';
import { createBatchClient, itemLines, type BatchClient } from './support/batch-client.ts';

/** The output bound of each item; its answer has about two thirds of it. */
const TOKENS_PER_ITEM = 6_000;
const TOKENS_PER_DAY = 150_000;

let environment: TestEnvironment;
let hostile: BatchClient;
let honest: BatchClient;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/instant',
    settings: {
      AGENT__LIMITS__TOKENS_PER_DAY: String(TOKENS_PER_DAY),
      AGENT__MODEL__MAX_OUTPUT_TOKENS: String(TOKENS_PER_ITEM),
    },
  });
  hostile = createBatchClient(environment.url, '203.0.113.1');
  honest = createBatchClient(environment.url, '198.51.100.1');
});
afterAll(() => environment.stop());

/** How long an honest batch takes, in ms. */
async function timeOf(caller: BatchClient, lines: string): Promise<number> {
  const startedAt = performance.now();
  const { id } = await caller.submit(lines);
  const batch = await caller.ended(id);
  expect(batch.request_counts?.failed).toBe(0);
  return Math.round(performance.now() - startedAt);
}

function report(text: string): void {
  process.stdout.write(`${text}\n`);
}

describe('the batch of an honest caller', () => {
  it.each(['dev/429-always-10', 'dev/429-always', 'dev/503-always'])(
    'T9: keeps its pace beside a batch whose one item always gets %s',
    async (model) => {
      const lines = itemLines(100, (index) => `Question ${index}`);
      await timeOf(honest, lines);
      const quiet = await timeOf(honest, lines);
      const { id } = await hostile.submit(itemLines(1, () => `${model} Hi`));
      await eventually('the item was refused', () =>
        environment.model.calls().some(({ httpStatus = 0 }) => httpStatus >= 400),
      );

      const beside: number[] = [];
      for (let round = 0; round < 3; round += 1) beside.push(await timeOf(honest, lines));

      report(`T9 ${model}: 100 items in ms, quiet ${quiet}, beside ${beside.join(', ')}`);
      await hostile.client.batches.cancel(id);
      environment.model.reset();
      expect(Math.max(...beside)).toBeLessThan(2 * quiet + 5_000);
    },
    120_000,
  );

  it('T8: ends soon while ten shards of another caller run', async () => {
    const { id } = await hostile.submit(itemLines(10_000, () => 'dev/slow-50000 Hi'));
    await eventually('shards of the other caller run', async () => {
      const { shards } = await progressOf(hostile, id);
      return shards.running === 8;
    });

    const ms = await timeOf(
      honest,
      itemLines(1, () => 'Hi'),
    );

    report(`T8: one item beside ten shards in ${ms} ms`);
    await hostile.client.batches.cancel(id);
    expect(ms).toBeLessThan(20_000);
  }, 120_000);
});

describe('a batch whose owner has a daily budget', () => {
  it('T3: uses no more than the budget, waits for the next day and says so', async () => {
    const owner = createBatchClient(environment.url, '192.0.2.77');
    const { id } = await owner.submit(itemLines(40, () => 'dev/long-6000 Hi'));
    await eventually('the batch waits', async () => {
      return (await progressOf(owner, id)).waiting_for !== null;
    });

    const { waiting_for: waiting, output_file_id: file } = await progressOf(owner, id);
    const results = await (await owner.client.files.content(file ?? '')).text();
    const used = [...results.matchAll(/"total_tokens":(\d+)/g)].map(([, tokens]) => Number(tokens));
    const total = used.reduce((sum, one) => sum + one, 0);
    const chat = await fetch(`${environment.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.77' },
      body: JSON.stringify({ message: 'Hi' }),
    });

    report(`T3: ${used.length} of 40 items used ${total} of ${TOKENS_PER_DAY} tokens`);
    expect(total).toBeLessThanOrEqual(TOKENS_PER_DAY);
    expect(total).toBeGreaterThan(TOKENS_PER_DAY / 2);
    expect(waiting).toMatchObject({ reason: 'budget_exhausted' });
    expect(chat.status).toBe(429);
    await owner.client.batches.cancel(id);
  });
});

const progressSchema = z.object({
  progress: z.object({
    output_file_id: z.string().nullable(),
    shards: z.object({ running: z.number() }),
    waiting_for: z.object({ reason: z.string(), until: z.number() }).nullable(),
  }),
});

/** What OpenAI's format does not have. */
async function progressOf({ client }: BatchClient, id: string) {
  return progressSchema.parse(await client.batches.retrieve(id)).progress;
}
