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
