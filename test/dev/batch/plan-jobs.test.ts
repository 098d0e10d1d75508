import { describe, expect, it } from 'vitest';
import { MAX_MESSAGE_BYTES, planJobs } from '../../../dev/batch/plan-jobs.ts';
import type { SentItem } from '../../../dev/batch/read-items.ts';
import { toMessageText } from '../../../shared/batch/job.ts';

describe('planJobs', () => {
  it('puts a small input in one message under the id that was asked for', () => {
    const { jobs } = planJobs(items(25), { jobId: 'mine' });

    expect(jobs.map(({ job }) => [job.jobId, job.items.length])).toEqual([['mine', 25]]);
  });

  it('numbers the messages of an input that needs several', () => {
    const { jobs } = planJobs(items(25), { jobId: 'mine', itemsPerMessage: 10 });

    expect(jobs.map(({ job }) => [job.jobId, job.items.length])).toEqual([
      ['mine-000001', 10],
      ['mine-000002', 10],
      ['mine-000003', 5],
    ]);
  });

  it('keeps every message under the limit, in bytes as they are sent, and loses no item', () => {
    const wide = items(200, 'é\u0085'.repeat(400));

    const { jobs, failures } = planJobs(wide, { jobId: 'mine' });

    const sizes = jobs.map(({ job }) => Buffer.byteLength(toMessageText(job)));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
    expect(Math.max(...sizes)).toBeGreaterThan(MAX_MESSAGE_BYTES * 0.8);
    expect(jobs.flatMap(({ items: planned }) => planned)).toEqual(wide);
    expect(failures).toEqual([]);
  });

  it('answers an item that no message can hold, and sends the others', () => {
    const [first, second] = items(2);
    const huge = { ...items(3)[2], item: { custom_id: 'huge', body: 'x'.repeat(60_000) } };

    const { jobs, failures } = planJobs([first, huge, second] as SentItem[], { jobId: 'mine' });

    expect(jobs.flatMap(({ items: planned }) => planned)).toEqual([first, second]);
    expect(failures.map(({ result }) => result.error?.code)).toEqual(['payload_too_large']);
  });

  it('plans the same messages for the same input, so that a job can be picked up again', () => {
    const plan = () => planJobs(items(25), { jobId: 'mine', itemsPerMessage: 7 });

    expect(plan()).toEqual(plan());
  });
});

function items(count: number, message = 'hello'): SentItem[] {
  return Array.from({ length: count }, (_, index) => ({
    line: index + 1,
    customId: `item-${index}`,
    item: { custom_id: `item-${index}`, body: { message } },
  }));
}
