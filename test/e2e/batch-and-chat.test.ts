import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJobClient, type JobClient } from '../support/batch/job-client.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const ITEMS = 60;

let environment: TestEnvironment;
let jobs: JobClient;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/slow-8000',
    settings: {
      AGENT__BATCH__CONCURRENCY: '16',
      AGENT__MODEL__MAX_CONCURRENT_PER_ENDPOINT: '4',
      AGENT__MODEL__MAX_QUEUED_PER_ENDPOINT: '0',
      AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
      AGENT__CACHE__TTL_SECONDS: '0',
    },
  });
  jobs = createJobClient(environment.connectionString);
});
afterAll(() => environment.stop());

describe('chat while a batch runs', () => {
  it('Q8: always finds a place at the endpoint', async () => {
    const items = Array.from({ length: ITEMS }, (_, n) => ({
      custom_id: `${n}`,
      body: { message: `Question ${n}` },
    }));
    await jobs.submit({ v: 1, jobId: 'busy', items });
    await eventually('the batch runs', () => environment.model.calls().length >= 4);

    const statuses: number[] = [];
    for (let chat = 0; chat < 6; chat += 1) {
      const asked = [1, 2].map((n) => postChat(environment.url, { message: `Chat ${chat}.${n}` }));
      statuses.push(...(await Promise.all(asked)).map(({ status }) => status));
    }
    const meanwhile = (await jobs.read('busy'))?.results.size ?? 0;
    await eventually(
      'the batch is finished',
      async () => (await jobs.read('busy'))?.results.size === ITEMS,
      30_000,
    );

    const lines = [...((await jobs.read('busy'))?.results.values() ?? [])];
    expect(statuses).toEqual(Array(12).fill(200));
    expect(meanwhile).toBeLessThan(ITEMS);
    expect(lines.filter(({ error }) => error !== null)).toEqual([]);
  }, 60_000);
});
