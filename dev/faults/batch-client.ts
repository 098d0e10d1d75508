import OpenAI, { toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

const ENDED = new Set(['completed', 'failed', 'cancelled', 'expired']);
const POLL_MS = 50;

/** What OpenAI's format does not have. */
const progressSchema = z.object({
  progress: z.object({
    output_file_id: z.string().nullable(),
    shards: z.object({ running: z.number() }),
    waiting_for: z.object({ reason: z.string(), until: z.number() }).nullable(),
  }),
});
export type Progress = z.infer<typeof progressSchema>['progress'];

/** One caller of the batch routes, identified by its address. */
export interface BatchClient {
  readonly client: OpenAI;
  submit(content: string | Uint8Array): Promise<Batch>;
  ended(id: string, withinMs?: number): Promise<Batch>;
  progress(id: string): Promise<Progress>;
}

export function createBatchClient(url: string, address: string): BatchClient {
  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: 'unused',
    maxRetries: 0,
    defaultHeaders: { 'x-forwarded-for': address },
  });
  return {
    client,
    async submit(content) {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      const file = await client.files.create({
        file: await toFile(bytes, 'in.jsonl'),
        purpose: 'batch',
      });
      return client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      });
    },
    async ended(id, withinMs = 60_000) {
      let batch = await client.batches.retrieve(id);
      await waitUntil(async () => {
        batch = await client.batches.retrieve(id);
        return ENDED.has(batch.status);
      }, withinMs);
      return batch;
    },
    async progress(id) {
      return progressSchema.parse(await client.batches.retrieve(id)).progress;
    },
  };
}

/** Polls until the condition is true or the time is over. */
export async function waitUntil(
  isTrue: () => boolean | Promise<boolean>,
  withinMs: number,
): Promise<void> {
  const endAt = performance.now() + withinMs;
  while (!(await isTrue()) && performance.now() < endAt) await sleep(POLL_MS);
}

/** Lines of items that ask the model for a message each. */
export function itemLines(count: number, message: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => {
    const body = { model: 'any', messages: [{ role: 'user', content: message(index) }] };
    return `${JSON.stringify({ custom_id: `id-${index}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  }).join('');
}
