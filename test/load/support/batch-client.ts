import OpenAI, { toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { eventually } from '../../e2e/support/post-chat.ts';

const ENDED = new Set(['completed', 'failed', 'cancelled', 'expired']);

/** One caller of the batch routes, identified by its address. */
export interface BatchClient {
  readonly client: OpenAI;
  submit(content: string | Uint8Array): Promise<Batch>;
  ended(id: string, withinMs?: number): Promise<Batch>;
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
      await eventually(
        `batch ${id} has ended`,
        async () => {
          batch = await client.batches.retrieve(id);
          return ENDED.has(batch.status);
        },
        withinMs,
      );
      return batch;
    },
  };
}

/** Lines of items that ask the model for a message each. */
export function itemLines(count: number, message: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => {
    const body = { model: 'any', messages: [{ role: 'user', content: message(index) }] };
    return `${JSON.stringify({ custom_id: `id-${index}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  }).join('');
}
