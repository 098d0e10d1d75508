import { describe, expect, it } from 'vitest';
import {
  createJournalReader,
  type JournalEntry,
  type JournalView,
} from '../../../../shared/batch/storage/journal.ts';
import { successLine, failureLine } from '../../../../shared/batch/model/item.ts';
import { resultsIn } from '../../../support/batch/read-job.ts';

const head: JournalEntry = { type: 'job', digest: 'd', total: 3, createdAt: '2030-01-01' };
const opened: JournalEntry = { type: 'opened' };
const closed: JournalEntry = { type: 'closed' };

function placeOf(index: number) {
  return { jobId: 'job', index, customId: `c${index}` };
}

function resultOf(index: number, text = 'answer'): JournalEntry {
  return { type: 'result', index, line: successLine(placeOf(index), 'r', { response: text }) };
}

function attemptOf(index: number, code: string, retryAt = 0): JournalEntry {
  return { type: 'attempt', index, code, retryAt };
}

function textOf(...entries: (JournalEntry | string)[]): string {
  return entries
    .map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry)))
    .map((line) => `${line}\n`)
    .join('');
}

function readJournal(text: string): JournalView | undefined {
  const reader = createJournalReader();
  for (const line of text.split('\n')) reader.add(line);
  return reader.view();
}

describe('reading a journal', () => {
  it('finds no job in an empty journal', () => {
    expect(readJournal('')).toBeUndefined();
  });

  it('collects results and failed attempts by item', () => {
    const text = textOf(
      head,
      attemptOf(1, 'overloaded', 5),
      resultOf(0),
      attemptOf(1, 'upstream_timeout', 9),
    );

    const view = readJournal(text);

    expect(view).toMatchObject({ digest: 'd', generation: 0, invalidLines: 0 });
    expect([...(view?.results.keys() ?? [])]).toEqual([0]);
    expect(view?.attempts.get(1)).toEqual({ count: 2, lastCode: 'upstream_timeout', retryAt: 9 });
  });

  it('Q3: counts the first result of an item, whatever is written after it', () => {
    const late = failureLine(placeOf(0), 'exhausted', 'late');

    const view = readJournal(textOf(head, resultOf(0), { type: 'result', index: 0, line: late }));

    expect(view?.results.get(0)).toBe('succeeded');
    expect(view?.results.size).toBe(1);
  });

  it('counts deliveries that ended without a result, until one makes progress', () => {
    const crashes = (...entries: JournalEntry[]) => readJournal(textOf(head, ...entries))?.crashes;

    expect(crashes()).toBe(0);
    expect(crashes(opened, opened, attemptOf(0, 'overloaded'), opened)).toBe(3);
    expect(crashes(opened, opened, closed, opened)).toBe(1);
    expect(crashes(opened, opened, resultOf(0))).toBe(0);
  });

  it.each([
    ['a torn line', '{"type":"res'],
    ['a line of another version', '{"type":"checkpoint","at":1}'],
    ['a known line in another shape', '{"type":"result","index":"one"}'],
    ['no JSON at all', '\u0000\u0000'],
  ])('continues after %s and reports it', (_case, line) => {
    const view = readJournal(textOf(head, resultOf(0), line, resultOf(1)));

    expect([...(view?.results.keys() ?? [])]).toEqual([0, 1]);
    expect(view?.invalidLines).toBe(1);
  });

  it('resets failures and attempts, nothing else, when failed items are retried', () => {
    const failure: JournalEntry = {
      type: 'result',
      index: 1,
      line: failureLine(placeOf(1), 'exhausted', 'late'),
    };
    const again: JournalEntry = { type: 'reopened', generation: 2 };

    const view = readJournal(
      textOf(head, resultOf(0), failure, attemptOf(2, 'overloaded'), opened, again),
    );

    expect([...(view?.results ?? [])]).toEqual([[0, 'succeeded']]);
    expect(view).toMatchObject({ generation: 2, crashes: 0, attempts: new Map() });
  });

  it('keeps line separators of Unicode inside a line', () => {
    const read = resultsIn(textOf(head, resultOf(0, 'a\u2028b\u0085c\r\nd')));

    expect(read?.results.get(0)?.response?.body).toEqual({ response: 'a\u2028b\u0085c\r\nd' });
  });
});

describe('the steps of a run in a journal', () => {
  const response = {
    text: '',
    toolCalls: [
      { id: 'a', name: 'pay', arguments: '{}' },
      { id: 'b', name: 'look', arguments: '{}' },
    ],
    finishReason: 'tool_calls' as const,
    usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    model: 'm',
  };
  const stepOf = (index: number, once = [0]): JournalEntry => {
    return { type: 'step', index, step: 0, response, once };
  };
  const outcomeOf = (index: number, output: string): JournalEntry => {
    const outcome = { name: 'pay', status: 'ok' as const, durationMs: 1, output };
    return { type: 'tool', index, step: 0, call: 0, ...outcome };
  };
  const failed: JournalEntry = {
    type: 'result',
    index: 1,
    line: failureLine(placeOf(1), 'internal', 'failed'),
  };

  it('are kept for the next attempt, the first of two equal entries', () => {
    const lines = [stepOf(1), outcomeOf(1, 'paid'), outcomeOf(1, 'paid twice'), stepOf(1)];

    const view = readJournal(textOf(head, ...lines));

    expect(view?.steps.get(1)).toMatchObject([{ response, once: [0] }]);
    expect(view?.steps.get(1)?.[0]?.outcomes.get(0)?.output).toBe('paid');
    expect(view?.stepChars).toBeGreaterThan(100);
  });

  it('are dropped with the result, except those of a failed item whose tools had an effect', () => {
    const succeeded = textOf(head, stepOf(0), resultOf(0));
    const withEffect = textOf(head, stepOf(1), failed, { type: 'reopened', generation: 1 });
    const withoutEffect = textOf(head, stepOf(1, []), failed);

    const views = [succeeded, withEffect, withoutEffect].map(readJournal);

    expect(views.map((view) => view?.steps.size)).toEqual([0, 1, 0]);
  });

  it('count as progress of a delivery that crashed', () => {
    const view = readJournal(textOf(head, opened, opened, stepOf(0)));

    expect(view?.crashes).toBe(0);
  });
});
