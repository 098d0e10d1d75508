import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BatchProgress, BatchService } from '../../../dev/batch/batch-service.ts';
import { CliError } from '../../../dev/cli-error.ts';
import { runBatch } from '../../../dev/batch/run-batch.ts';
import type { RunBatchDependencies } from '../../../dev/batch/run-batch.ts';
import { successLine, failureLine } from '../../../shared/batch/model/item.ts';
import type { ResultLine } from '../../../shared/batch/model/item.ts';

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
    expect(said.at(-2)).toMatch(/^3 results: 3 succeeded, 0 failed in \d+ s\n$/);
    expect(said.at(-1)).toMatch(/^results written to .*out\.jsonl\n$/);
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
    expect(said.at(-2)).toContain('2 succeeded, 1 failed (content_filtered 1)');
    expect(said.at(-1)).toMatch(/^results and errors written to .*out\.jsonl\n$/);
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
    expect(service.requests()).toBeGreaterThan(4);
  });

  it('says in one line why the batch as a whole was refused', async () => {
    const service = scriptedService({ rejects: 'The input must have at most 50000 lines' });

    const running = run([item('a')], { service });

    await expect(running).rejects.toThrow(CliError);
    await expect(running).rejects.toThrow(/at most 50000 lines$/);
  });

  it('does not pass off fewer results as all of them', async () => {
    const service = scriptedService({ forget: 'b' });

    const { exitCode, results } = await run(['a', 'b'].map(item), { service });

    expect(exitCode).toBe(2);
    expect(results.map(({ custom_id: id, error }) => [id, error?.code])).toEqual([
      ['a', undefined],
      ['b', 'no_result'],
    ]);
  });

  it('fails with one line when no app processes the queue', async () => {
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

  it('does not begin where its results could not be kept', async () => {
    const service = scriptedService();

    const [nowhere, itself] = await Promise.allSettled([
      run([item('a')], { service }, join(folder, 'no', 'out.jsonl')),
      run([item('a')], { service }, join(folder, 'in.jsonl')),
    ]);

    expect(reasonOf(nowhere)).toMatch(/^Cannot write results to .*ENOENT/);
    expect(reasonOf(itself)).toMatch(/must not be the file of the items$/);
    expect(service.requests()).toBe(0);
    expect(await readFile(join(folder, 'in.jsonl'), 'utf8')).toBe(item('a'));
  });

  it.each([
    ['an empty file', '\n\n', /must have items$/],
    ['no file', undefined, /^Cannot read the items of .*in\.jsonl: ENOENT/],
  ])('refuses %s in one line', async (_case, content, message) => {
    const lines = content === undefined ? undefined : [content];

    await expect(run(lines, { service: scriptedService() })).rejects.toThrow(message);
  });
});

const OPTIONS = {
  jobId: 'job',
  resumes: false,
  url: undefined,
  account: undefined,
  key: undefined,
  callerKey: undefined,
};

async function run(
  lines: readonly string[] | undefined,
  needs: Partial<RunBatchDependencies> & { service: BatchService },
  out = join(folder, 'out.jsonl'),
) {
  const input = join(folder, 'in.jsonl');
  if (lines !== undefined) await writeFile(input, lines.join('\n'));
  const said: string[] = [];
  const exitCode = await runBatch(
    { ...OPTIONS, input, out },
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

function reasonOf(outcome: PromiseSettledResult<unknown>): string {
  if (outcome.status === 'fulfilled') return 'nothing was refused';
  return outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason);
}

interface ServiceScript {
  readonly refuse?: string;
  readonly forget?: string;
  readonly rejects?: string;
  readonly perLook?: number;
}

/** Answers as the app would, with a few more items at each request. */
function scriptedService(script: ServiceScript = {}) {
  const { perLook = Number.POSITIVE_INFINITY, rejects: refused } = script;
  let customIds: string[] = [];
  let requests = 0;
  return {
    requests: () => requests,
    async submit(jobId: string, lines: string): Promise<string> {
      customIds = [...lines.matchAll(/"custom_id":"([^"]+)"/g)].map(([, id = '']) => id);
      return jobId;
    },
    async progress(): Promise<BatchProgress> {
      requests += 1;
      const done = Math.min(customIds.length, perLook === 0 ? 0 : perLook * requests);
      const failed = done === 0 ? 0 : Number(script.refuse !== undefined);
      return { started: true, done, failed, ended: done === customIds.length, rejected: refused };
    },
    async *results(): AsyncGenerator<ResultLine> {
      for (const [index, customId] of customIds.toReversed().entries()) {
        if (customId === script.forget) continue;
        const place = { jobId: 'job', index, customId };
        yield customId === script.refuse
          ? failureLine(place, 'content_filtered', 'The model refused this item')
          : successLine(place, 'request', { response: customId });
      }
    },
  };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `item-${index}`);
}

function item(customId: string): string {
  return JSON.stringify({ custom_id: customId, body: { message: 'hello' } });
}
