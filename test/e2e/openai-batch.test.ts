import OpenAI, { NotFoundError, toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventually } from './support/post-chat.ts';
import { startWorld, type World } from './support/start-world.ts';

let world: World;
let client: OpenAI;
beforeAll(async () => {
  world = await startWorld({
    model: 'dev/instant',
    settings: { AGENT__BATCH__CONCURRENCY: '64', AGENT__LIMITS__REQUESTS_PER_MINUTE: '0' },
  });
  client = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => world.stop());

const ENDPOINT = '/v1/chat/completions';
const lineSchema = z.object({
  id: z.string(),
  custom_id: z.string().nullable(),
  response: z.object({ status_code: z.int(), body: z.unknown() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

function lineOf(customId: string, content = 'Hi'): string {
  const body = { model: 'any', messages: [{ role: 'user', content }] };
  return JSON.stringify({ custom_id: customId, method: 'POST', url: ENDPOINT, body });
}

async function submit(lines: readonly string[], name = 'in.jsonl'): Promise<Batch> {
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${lines.join('\n')}\n`), name),
    purpose: 'batch',
  });
  return client.batches.create({
    input_file_id: file.id,
    endpoint: ENDPOINT,
    completion_window: '24h',
    metadata: { name },
  });
}

async function ended(id: string, withinMs = 60_000): Promise<Batch> {
  let batch = await client.batches.retrieve(id);
  await eventually(
    `batch ${id} has ended`,
    async () => {
      batch = await client.batches.retrieve(id);
      return ['completed', 'failed', 'cancelled', 'expired'].includes(batch.status);
    },
    withinMs,
  );
  return batch;
}

async function linesOf(fileId: string | null | undefined) {
  if (typeof fileId !== 'string') return [];
  const text = await (await client.files.content(fileId)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

describe('batches of the OpenAI client', () => {
  it('go from a file of ten thousand lines to a file of ten thousand answers', async () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `item-${index}`);
    const created = await submit(ids.map((id) => lineOf(id)));

    const batch = await ended(created.id, 120_000);

    const answers = await linesOf(batch.output_file_id);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 10_000, completed: 10_000, failed: 0 },
      error_file_id: null,
      metadata: { name: 'in.jsonl' },
    });
    expect(answers).toHaveLength(10_000);
    expect(new Set(answers.map((line) => line.custom_id)).size).toBe(10_000);
    expect(answers[0]?.response?.body).toMatchObject({ object: 'chat.completion' });
    expect(world.model.calls().length).toBe(10_000);
  }, 180_000);
});

describe('a batch with bad lines', () => {
  it('lists them by number, gives each its reason and answers the others', async () => {
    const good = Array.from({ length: 100 }, (_, index) => lineOf(`good-${index}`));
    const bad = ['{"custom_id":', lineOf('good-7'), '{"custom_id":"no-body"}', lineOf('dull', ' ')];

    const batch = await ended((await submit([...good, ...bad])).id);

    const failures = await linesOf(batch.error_file_id);
    expect(batch.request_counts).toEqual({ total: 104, completed: 100, failed: 4 });
    expect(batch.errors?.data?.map(({ line, code }) => [line, code])).toEqual([
      [101, 'invalid_json_line'],
      [102, 'duplicate_custom_id'],
      [103, 'invalid_item'],
    ]);
    expect(failures.map((line) => `${line.custom_id} ${line.error?.code}`).toSorted()).toEqual([
      'dull invalid_request',
      'good-7 duplicate_custom_id',
      'no-body invalid_item',
      'null invalid_json_line',
    ]);
    expect(await linesOf(batch.output_file_id)).toHaveLength(100);
  });

  it('fails as a whole, with the reason, when its file is empty', async () => {
    const batch = await ended((await submit([''])).id);

    expect(batch.status).toBe('failed');
    expect(batch.errors?.data?.[0]?.code).toBe('empty_file');
  });
});

describe('files and batches', () => {
  it('are found, listed and removed by the client', async () => {
    const created = await submit([lineOf('a')], 'größe "x".jsonl');
    await ended(created.id);
    const fileId = created.input_file_id;

    const file = await client.files.retrieve(fileId);
    const newest = await client.batches.list({ limit: 1 });
    const older = await client.batches.list({ limit: 1, after: created.id });

    expect(file).toMatchObject({ purpose: 'batch', filename: 'größe "x".jsonl' });
    expect(file.bytes).toBe(Buffer.byteLength(lineOf('a')) + 1);
    expect(await (await client.files.content(fileId)).text()).toBe(`${lineOf('a')}\n`);
    expect(newest.data.map(({ id }) => id)).toEqual([created.id]);
    expect(older.data.map(({ id }) => id)).not.toContain(created.id);
    expect((await client.files.delete(fileId)).deleted).toBe(true);
    await expect(client.files.retrieve(fileId)).rejects.toThrow(NotFoundError);
  });

  it('are refused by the field that is wrong', async () => {
    const file = await toFile(Buffer.from('{}'), 'x.jsonl');

    const upload = client.files.create({ file, purpose: 'assistants' });
    await expect(upload).rejects.toMatchObject({ status: 400, param: 'purpose' });

    const batch = client.batches.create({
      input_file_id: 'file-unknown',
      endpoint: ENDPOINT,
      completion_window: '24h',
    });
    await expect(batch).rejects.toMatchObject({ status: 404, param: 'input_file_id' });
  });
});
