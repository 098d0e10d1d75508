import { describe, expect, it } from 'vitest';
import {
  UnavailableError,
  type BatchProgress,
  type BatchService,
} from '../../../dev/batch/batch-service.ts';
import {
  waitForResults,
  type ProgressUpdate,
  type WaitOptions,
} from '../../../dev/batch/wait-for-results.ts';
import { successLine, type ResultLine } from '../../../shared/batch/model/item.ts';

const ITEMS = [{ line: 1, customId: 'a', item: { custom_id: 'a', body: {} } }];
const WAITING: BatchProgress = { started: false, done: 0, failed: 0, ended: false };
const RUNNING: BatchProgress = { ...WAITING, started: true };
const ENDED: BatchProgress = { ...RUNNING, done: 1, ended: true };
const AWAY = new UnavailableError('Cannot reach the app');

/** What is noted while the looks follow each other ten seconds apart. */
async function notesOf(
  seen: readonly (BatchProgress | Error)[],
  { results = theResult, ...rest }: Partial<WaitOptions> & Partial<BatchService> = {},
): Promise<(string | undefined)[]> {
  const looks: ProgressUpdate[] = [];
  const left = [...seen];
  let nowMs = 0;
  const service: BatchService = {
    submit: async (jobId) => jobId,
    async progress() {
      nowMs += 10_000;
      const next = left.shift() ?? ENDED;
      if (next instanceof Error) throw next;
      return next;
    },
    results,
  };
  await waitForResults(ITEMS, {
    jobId: 'job',
    service,
    signal: new AbortController().signal,
    onSubmitted: () => undefined,
    onProgress: (look) => void looks.push(look),
    pollMs: 1,
    now: () => nowMs,
    ...rest,
  });
  return looks.map(({ note }) => note);
}

async function* theResult(id: string): AsyncGenerator<ResultLine> {
  yield successLine({ jobId: id, index: 0, customId: 'a' }, 'request', {});
}

describe('waiting for results', () => {
  it('reports that no app has started the batch, and asks whether one runs', async () => {
    const notes = await notesOf([WAITING, WAITING, RUNNING]);

    expect(notes).toEqual([
      'waiting 10 s for the app to start the batch: is it running?',
      'waiting 20 s for the app to start the batch: is it running?',
      undefined,
      'fetching the results',
      undefined,
    ]);
  });

  it('says when nothing new comes any more, and is quiet again when it does', async () => {
    const notes = await notesOf([RUNNING, RUNNING, RUNNING, { ...RUNNING, done: 1 }]);

    expect(notes).toEqual([
      undefined,
      undefined,
      'nothing new for 20 s',
      undefined,
      'fetching the results',
      undefined,
    ]);
  });

  it('goes on when the app does not answer for a while', async () => {
    const notes = await notesOf([RUNNING, AWAY, AWAY]);

    expect(notes.slice(1, -2)).toEqual([
      'no answer for 10 s, trying again',
      'no answer for 20 s, trying again',
    ]);
  });

  it('reads the results again when they were refused for a moment', async () => {
    const reads: string[] = [];
    const line = successLine({ jobId: 'job', index: 0, customId: 'a' }, 'request', {});
    async function* results(id: string): AsyncGenerator<ResultLine> {
      reads.push(id);
      yield line;
      if (reads.length < 3) throw AWAY;
    }

    await notesOf([RUNNING], { results });

    expect(reads).toEqual(['job', 'job', 'job']);
  });

  it('gives up with the reason when that lasts', async () => {
    const waiting = notesOf([RUNNING, ...Array.from({ length: 20 }, () => AWAY)], {
      idleLimitMs: 60_000,
    });

    await expect(waiting).rejects.toBe(AWAY);
  });

  it('does not go on after what will not pass', async () => {
    await expect(notesOf([new TypeError('A defect')])).rejects.toThrow('A defect');
  });

  it('ends at once when it is interrupted while the app does not answer', async () => {
    const interrupt = new AbortController();
    const service: BatchService = {
      submit: async (jobId) => jobId,
      progress: () => new Promise(() => interrupt.abort()),
      async *results() {},
    };

    const waiting = waitForResults(ITEMS, {
      jobId: 'job',
      service,
      signal: interrupt.signal,
      onSubmitted: () => undefined,
      onProgress: () => undefined,
    });

    await expect(waiting).rejects.toThrow(/abort/i);
  });
});
