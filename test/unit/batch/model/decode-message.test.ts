import { describe, expect, it } from 'vitest';
import { parseJob } from '../../../../shared/batch/model/job-message.ts';
import { jobOf } from '../../../support/batch/jobs.ts';

const job = jobOf('job-1', ['größe']);
const event = { specversion: '1.0', type: 'batch', source: '/x', id: '1' };
const text = JSON.stringify(job);

describe('a job in a CloudEvent', () => {
  it.each([
    ['data', { ...event, data: job }],
    ['data as text', { ...event, data: text }],
    ['data_base64', { ...event, data_base64: Buffer.from(text).toString('base64') }],
    ['a whole event as text', JSON.stringify({ ...event, data: job })],
    [
      'a whole event as base64',
      Buffer.from(JSON.stringify({ ...event, data: job })).toString('base64'),
    ],
  ])('is found in %s', (_case, message) => {
    expect(parseJob(message)).toEqual({ ok: true, job });
  });

  it.each([
    ['another version', { ...event, specversion: '0.3', data: job }],
    ['no data', event],
    ['data that is no job', { ...event, data: { hello: 1 } }],
    ['broken base64', { ...event, data_base64: '%%%' }],
  ])('is missed, with a reason, in an event with %s', (_case, message) => {
    expect(parseJob(message)).toMatchObject({ ok: false, reason: expect.any(String) });
  });
});

describe('a job that points to its items', () => {
  it.each([
    { v: 1, jobId: 'a', inputBlob: 'batch-input/2026/11/items.jsonl' },
    { v: 1, jobId: 'a', inputBlob: 'batch-input/items.jsonl', owner: 'key:alice' },
    { v: 1, jobId: 'a', shard: 3 },
    { v: 1, jobId: 'a' },
  ])('is accepted as %j', (message) => {
    expect(parseJob(message)).toEqual({ ok: true, job: message });
  });

  it.each([
    'other/items.jsonl',
    'batch-results/x/items.jsonl',
    'batch-input/../batch-results/x.jsonl',
    'batch-input/./x.jsonl',
    'batch-input//x.jsonl/..',
    'https://example.org/batch-input/x.jsonl',
    'batch-input/x.json',
    'batch-input/',
  ])('may not point to %s', (inputBlob) => {
    expect(parseJob({ v: 1, jobId: 'a', inputBlob }).ok).toBe(false);
  });

  it.each([{ shard: -1 }, { shard: 1.5 }, { shard: 50_000 }, { items: [], shard: 1 }])(
    'may not be %j',
    (extra) => {
      expect(parseJob({ v: 1, jobId: 'a', ...extra }).ok).toBe(false);
    },
  );
});
