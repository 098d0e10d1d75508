import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { itemOf, messages } from '../support/batch/jobs.ts';
import { parsePrometheus, valueOf } from '../support/parse-prometheus.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const ITEMS = 'agent_batch_items_total';
const DURATIONS = 'agent_batch_item_duration_seconds_count';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/slow-5000',
    settings: { AGENT__BATCH__CONCURRENCY: '4', AGENT__BATCH__QUEUE_OWNER: 'address:unknown' },
  });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

async function read(): Promise<(name: string, labels?: Record<string, string>) => number> {
  const families = parsePrometheus(await (await fetch(`${environment.url}/metrics`)).text());
  return (name, labels) => valueOf(families, name, labels);
}

async function isOver(id: string): Promise<boolean> {
  return (await client.batches.retrieve(id)).status === 'completed';
}

describe('GET /metrics of a batch', () => {
  it('shows it while it runs, when it is over, and what a retry added', async () => {
    const items = [...messages(39), 'dev/content-filter Hi'].map((message) => itemOf(message));
    const text = items.map((item) => `${JSON.stringify(item)}\n`).join('');
    const file = await toFile(Buffer.from(text), 'in.jsonl');
    const { id: input } = await client.files.create({ file, purpose: 'batch' });
    const { id } = await client.batches.create({
      input_file_id: input,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });

    let running = await read();
    await eventually('some items are done', async () => {
      running = await read();
      return running(ITEMS) > 0 && running('agent_batch_active_items') > 0;
    });
    await eventually('the batch is over', () => isOver(id));
    const over = await read();
    await fetch(`${environment.url}/v1/batches/${id}/retry-failed`, { method: 'POST' });
    await eventually('the retry is over', async () => (await read())(ITEMS) === 41);
    const retried = await read();

    expect(running(ITEMS)).toBeLessThan(40);
    expect(running('agent_batch_active_items')).toBeLessThanOrEqual(4);
    expect(running('agent_batch_concurrency_limit')).toBeGreaterThan(0);
    expect(over(ITEMS, { outcome: 'succeeded' })).toBe(39);
    expect(over(ITEMS, { outcome: 'failed', error_type: 'content_filtered' })).toBe(1);
    expect(over(DURATIONS)).toBe(40);
    expect(over('agent_batch_active_items')).toBe(0);
    expect(retried(ITEMS, { outcome: 'succeeded' })).toBe(39);
    expect(retried(ITEMS, { outcome: 'failed' })).toBe(2);
  }, 60_000);
});
