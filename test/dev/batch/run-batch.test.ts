import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BatchService } from '../../../dev/batch/batch-service.ts';
import { runBatch } from '../../../dev/batch/run-batch.ts';
import type { RunBatchNeeds } from '../../../dev/batch/run-batch.ts';
import { digestOf } from '../../../shared/batch/job.ts';
import type { Job } from '../../../shared/batch/job.ts';
import { answered, failed } from '../../../shared/batch/result.ts';
import type { JobView, ResultLine } from '../../../shared/batch/result.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batch-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('runBatch', () => {
  it('ends with 0 when every item succeeded, results in the order of the input', async () => {
    const service = scriptedService();

    const { exitCode, results, said } = await run(['c', 'a', 'b'].map(item), { service });

    expect(exitCode).toBe(0);
    expect(results.map(({ custom_id }) => custom_id)).toEqual(['c', 'a', 'b']);
    expect(said.at(-1)).toMatch(/^3 results: 3 succeeded, 0 failed in \d+ s -> .*out\.jsonl\n$/);
  });

  it('ends with 2 when an item failed, and says how many for which reason', async () => {
    const service = scriptedService({ refuse: 'b' });

    const { exitCode, results, said } = await run(['a', 'b', 'c'].map(item), { service });

    expect(exitCode).toBe(2);
    expect(results.map(({ error }) => error?.code)).toEqual([
      undefined,
      'content_filtered',
      undefined,
    ]);
    expect(said.at(-1)).toContain('2 succeeded, 1 failed (content_filtered 1)');
  });

  it('answers a bad line itself and still runs the others, one result for each line', async () => {
    const service = scriptedService();

    const { exitCode, results } = await run([item('a'), 'not json', item('a'), item('b')], {
      service,
    });

    expect(exitCode).toBe(2);
    expect(results.map(({ custom_id, error }) => [custom_id, error?.code])).toEqual([
      ['a', undefined],
      ['line-2', 'invalid_json'],
      ['line-3', 'duplicate_custom_id'],
      ['b', undefined],
    ]);
  });

  it('waits for results that come one after another', async () => {
    const service = scriptedService({ perLook: 2 });

    const { results } = await run(names(9).map(item), { service });

    expect(results).toHaveLength(9);
    expect(service.looks()).toBeGreaterThan(4);
  });

  it('does not submit again what has all its results', async () => {
    const service = scriptedService();
    await run(names(4).map(item), { service });

    const second = await run(names(4).map(item), { service });

    expect(second.exitCode).toBe(0);
    expect(service.submitted).toHaveLength(1);
  });

  it('refuses a job id that belongs to other items', async () => {
    const service = scriptedService();
    await run([item('a')], { service });

    await expect(run([item('b')], { service })).rejects.toThrow(/choose another --job$/);
  });

  it('gives up in one line when nobody works on the queue', async () => {
    const service = scriptedService({ perLook: 0 });

    const running = run([item('a')], { service, idleLimitMs: 30 });

    await expect(running).rejects.toThrow(/is the app running\?$/);
    expect(await readdir(folder)).toEqual(['in.jsonl']);
  });

  it('ends when interrupted, without a file of results', async () => {
    const service = scriptedService({ perLook: 0 });
    const interrupt = new AbortController();

    const running = run([item('a')], { service, signal: interrupt.signal });
    interrupt.abort();

    await expect(running).rejects.toThrow(/abort/i);
    expect(await readdir(folder)).toEqual(['in.jsonl']);
  });

  it.each([
    ['an empty file', '\n\n', /must have items$/],
    ['no file', undefined, /^Cannot read the items: ENOENT/],
  ])('refuses %s in one line', async (_case, content, message) => {
    const lines = content === undefined ? undefined : [content];

    await expect(run(lines, { service: scriptedService() })).rejects.toThrow(message);
  });
});

async function run(
  lines: readonly string[] | undefined,
  needs: Partial<RunBatchNeeds> & { service: BatchService },
) {
  const input = join(folder, 'in.jsonl');
  const out = join(folder, 'out.jsonl');
  if (lines !== undefined) await writeFile(input, lines.join('\n'));
  const said: string[] = [];
  const exitCode = await runBatch(
    { input, out, jobId: 'job', itemsPerMessage: undefined },
    {
      output: { write: (text: string) => said.push(text) },
      signal: new AbortController().signal,
      pollMs: 1,
      ...needs,
    },
  );
  const text = await readFile(out, 'utf8');
  const results = text
    .trimEnd()
    .split('\n')
    .map((line): ResultLine => JSON.parse(line));
  return { exitCode, results, said };
}

/** Answers as the queue's processor would, a few items more each time somebody looks. */
function scriptedService(script: { refuse?: string; perLook?: number } = {}) {
  const { refuse, perLook = Number.POSITIVE_INFINITY } = script;
  const submitted: Job[] = [];
  let looks = 0;
  let ready = 0;
  return {
    submitted,
    looks: () => looks,
    submit(job: Job) {
      submitted.push(job);
      return Promise.resolve();
    },
    read(jobId: string) {
      looks += 1;
      const job = submitted.find((one) => one.jobId === jobId);
      if (job === undefined) return Promise.resolve(undefined);
      ready += perLook;
      return Promise.resolve(viewOf(job, { ready, refuse }));
    },
  };
}

function viewOf(job: Job, script: { ready: number; refuse: string | undefined }): JobView {
  const results = new Map<number, ResultLine>();
  for (const [index, one] of job.items.entries()) {
    if (index >= script.ready) break;
    const customId = String(Reflect.get(Object(one), 'custom_id'));
    const place = { jobId: job.jobId, index, customId };
    const line =
      customId === script.refuse
        ? failed(place, 'content_filtered', 'The model refused this item')
        : answered(place, 'request', { response: customId });
    results.set(index, line);
  }
  const { jobId, items } = job;
  const digest = digestOf(job);
  return { jobId, digest, createdAt: '', total: items.length, results, attempts: new Map() };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `item-${index}`);
}

function item(customId: string): string {
  return JSON.stringify({ custom_id: customId, body: { message: 'hello' } });
}
