import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { eventually } from '../e2e/support/post-chat.ts';
import { createBatchClient, itemLines, type BatchClient } from './support/batch-client.ts';

let environment: TestEnvironment;
let hostile: BatchClient;
let honest: BatchClient;
beforeAll(async () => {
  environment = await startEnvironment({ model: 'dev/instant' });
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
});
