import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { NotFoundError, toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { createJobClient } from '../support/batch/job-client.ts';
import { runScript } from '../support/run-script.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/instant',
    settings: {
      AGENT__BATCH__CONCURRENCY: '64',
      AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
      AGENT__BATCH__QUEUE_OWNER: 'address:unknown',
    },
  });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

const SLOW = 'dev/slow-40000 Hi';
const fileSchema = z.object({ id: z.string(), bytes: z.int() });
const FORM = 'multipart/form-data; boundary=b';
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

/** Bytes of memory that the worker has at this moment. */
function workerMemory({ host }: TestEnvironment): number {
  const kilobytes = execFileSync('ps', ['-o', 'rss=', '-p', String(host.workerPid())]);
  return Number(kilobytes.toString()) * 1_024;
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
    expect(environment.model.calls().length).toBe(10_000);
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

describe('a batch that is cancelled', () => {
  it('stops within seconds and keeps what is finished', async () => {
    const created = await submit(Array.from({ length: 400 }, (_, n) => lineOf(`${n}`, SLOW)));
    await eventually('some of it is answered', async () => {
      const { request_counts: counts } = await client.batches.retrieve(created.id);
      return (counts?.completed ?? 0) > 0;
    });
    const requestedAt = performance.now();

    const asked = await client.batches.cancel(created.id);
    const batch = await ended(created.id);

    const { completed = 0, failed = 0 } = batch.request_counts ?? {};
    const answers = await linesOf(batch.output_file_id);
    const rest = await linesOf(batch.error_file_id);
    expect(['cancelling', 'cancelled']).toContain(asked.status);
    expect(batch.status).toBe('cancelled');
    expect(performance.now() - requestedAt).toBeLessThan(15_000);
    expect(completed).toBeGreaterThan(0);
    expect(failed).toBeGreaterThan(0);
    expect([answers.length, rest.length]).toEqual([completed, failed]);
    expect(completed + failed).toBe(400);
    expect(new Set(rest.map(({ error }) => error?.code))).toEqual(new Set(['batch_cancelled']));
  });
});

describe('a job on the queue', () => {
  it('is a batch like any other, and its failed items can be run again', async () => {
    const items = [
      { custom_id: 'good', body: { message: 'Hi' } },
      { custom_id: 'bad', body: { message: 'dev/content-filter Hi' } },
    ];
    await createJobClient(environment.connectionString).submit({ v: 1, jobId: 'queued', items });
    await eventually('the job is taken', async () => {
      return (await fetch(`${environment.url}/v1/batches/queued`)).ok;
    });
    const first = await ended('queued');

    const again = await fetch(`${environment.url}/v1/batches/queued/retry-failed`, {
      method: 'POST',
    });
    const second = await ended('queued');

    expect(first.request_counts).toEqual({ total: 2, completed: 1, failed: 1 });
    expect((await linesOf(first.output_file_id)).map((line) => line.custom_id)).toEqual(['good']);
    expect(again.status).toBe(200);
    expect(second.request_counts).toEqual({ total: 2, completed: 1, failed: 1 });
    expect(second.error_file_id).not.toBe(first.error_file_id);
    expect((await linesOf(second.error_file_id)).map((line) => line.custom_id)).toEqual(['bad']);
  });
});

describe('npm run batch', () => {
  it('goes by HTTP where it is given an address, and says by its exit code what came out', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'batch-http-'));
    const input = join(folder, 'in.jsonl');
    const items = [lineOf('one'), lineOf('two'), '{"custom_id":"three","body":{"message":"Hi"}}'];
    await writeFile(input, items.join('\n'));

    const run = runScript(join(PROJECT_ROOT, 'dev', 'batch.ts'), {
      args: [input, '--url', environment.url],
    });
    const { code } = await run.ended;

    const results = await readFile(join(folder, 'in.results.jsonl'), 'utf8');
    expect([code, run.stderr()]).toEqual([0, '']);
    expect(run.stdout()).toMatch(/3 results: 3 succeeded, 0 failed/);
    expect(results.match(/"custom_id":"\w+"/g)).toEqual([
      '"custom_id":"one"',
      '"custom_id":"two"',
      '"custom_id":"three"',
    ]);
    await rm(folder, { recursive: true });
  });
});

describe('an upload', () => {
  it('of a large file goes through without staying in memory', async () => {
    const chunk = Buffer.alloc(1_048_576, `${lineOf('x'.repeat(100))}\n`);
    const head = '--b\r\ncontent-disposition: form-data; name="file"; filename="big.jsonl"\r\n\r\n';
    const tail =
      '\r\n--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n';
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(head);
      for (let sent = 0; sent < 96; sent += 1) yield chunk;
      yield Buffer.from(tail);
    }
    const before = workerMemory(environment);

    const response = await fetch(`${environment.url}/v1/files`, {
      method: 'POST',
      headers: { 'content-type': FORM },
      body: ReadableStream.from(body()),
      duplex: 'half',
    });

    expect(fileSchema.parse(await response.json()).bytes).toBe(96 * chunk.byteLength);
    expect(workerMemory(environment) - before).toBeLessThan(80 * 1_048_576);
  });

  it.each([
    { what: 'no form', contentType: 'application/json', body: '{}', status: 415 },
    { what: 'a form that breaks off', contentType: FORM, body: '--b\r\n', status: 400 },
    {
      what: 'JSON under the name of a form',
      contentType: FORM,
      body: '{"headers":{}}',
      status: 400,
    },
  ])('of $what is refused', async ({ contentType, body, status }) => {
    const response = await fetch(`${environment.url}/v1/files`, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body,
    });

    expect(response.status).toBe(status);
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
