import { describe, expect, it } from 'vitest';
import { customIdOf, parseItem } from '../../../../shared/batch/model/item.ts';
import {
  digestOf,
  isJobId,
  parseJob,
  toMessageText,
} from '../../../../shared/batch/model/job-message.ts';
import { itemOf, jobOf } from '../../../support/batch/jobs.ts';

const job = jobOf('job-1', ['größe', '你好']);
const text = JSON.stringify(job);
const base64 = Buffer.from(text).toString('base64');

const notUtf8 = Buffer.from(text.replace('größe', 'gr\u00ffe'), 'latin1').toString('base64');

function reasonOf(message: unknown): string {
  const parsed = parseJob(message);
  return parsed.ok ? 'accepted' : parsed.reason;
}

describe('parseJob', () => {
  it.each([
    ['the parsed value that the platform hands over', job],
    ['JSON text', text],
    ['JSON text behind a byte order mark', `\ufeff${text}`],
    ['base64', base64],
    ['base64 with line breaks', `${base64.replaceAll(/(.{20})/g, '$1\r\n')}\n`],
    ['base64 of JSON behind a byte order mark', Buffer.from(`\ufeff${text}`).toString('base64')],
  ])('accepts %s', (_case, message) => {
    const parsed = parseJob(message);

    expect(parsed).toEqual({ ok: true, job });
  });

  it.each([
    ['plain text', 'hello', 'it is neither JSON nor base64 of JSON'],
    ['empty text', '', 'it is neither JSON nor base64 of JSON'],
    ['base64 of something else', btoa('hello'), 'it is neither JSON nor base64 of JSON'],
    ['base64 of JSON that is no UTF-8', notUtf8, 'it is neither JSON nor base64 of JSON'],
    ['null', null, 'it must be of type object'],
    ['undefined', undefined, 'it must be of type object'],
    ['an array', [job], 'it must be of type object'],
    ['a number', 7, 'it must be of type object'],
    ['a number as text', '7', 'it must be of type object'],
    ['another version', { ...job, v: 2 }, '"v" must be 1'],
    ['a field that is not known', { ...job, dequeueCount: 0 }, '"dequeueCount" is not a field'],
    ['no items', { ...job, items: [] }, '"items" must be at least 1'],
    ['items that are no list', { ...job, items: {} }, '"items" must be of type array'],
    [
      'too many items',
      { ...job, items: Array.from({ length: 10_001 }, () => 0) },
      '"items" must be at most 10000',
    ],
    [
      'a blob of another container',
      { v: 1, jobId: 'a', inputBlob: 'other/a.jsonl' },
      '"inputBlob" must be a blob batch-input/',
    ],
    [
      'a file that a caller uploaded',
      { v: 1, jobId: 'a', inputBlob: 'batch-input/files/file-0.jsonl' },
      '"inputBlob" must be a blob batch-input/….jsonl of plain ASCII letters, outside of files/',
    ],
  ])('Q1: refuses %s and says why', (_case, message, reason) => {
    expect(reasonOf(message)).toContain(`The message is not a job: ${reason}`);
  });

  it('keeps only the id of an item nested too deeply to serialise', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
    const good = { custom_id: 'b', body: { message: 'Hi' } };

    const parsed = parseJob({ ...job, items: [{ custom_id: 'a', body: { deep } }, good] });

    expect(parsed).toEqual({ ok: true, job: { ...job, items: [{ custom_id: 'a' }, good] } });
  });

  it('Q1: refuses deep nesting outside of items', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);

    expect(reasonOf({ ...job, jobId: deep })).toContain('"jobId" must be of type string');
    expect(reasonOf(deep)).toContain('it must be of type object');
  });

  it('reads a long text that only looks like base64 in linear time', () => {
    const blank = ' '.repeat(1_000_000);
    const startedAt = performance.now();
    reasonOf(`a${blank}`);
    const onceMs = performance.now() - startedAt;

    const reason = reasonOf(`a${blank}!`);

    expect(reason).toContain('neither JSON nor base64');
    expect(performance.now() - startedAt).toBeLessThan(onceMs * 50 + 500);
  });

  it.each(['a', 'A-1_b.c', '0', 'x'.repeat(128), 'a..b'])('accepts the job id %j', (jobId) => {
    expect(parseJob({ ...job, jobId }).ok).toBe(true);
    expect(isJobId(jobId)).toBe(true);
  });

  it.each([
    '',
    '.',
    '..',
    '../a',
    'a/b',
    'a\\b',
    '_dead-letters',
    '-a',
    'a.',
    'a\n',
    'ä',
    '😀',
    'a b',
    'a%2fb',
    'x'.repeat(129),
    'x'.repeat(200),
  ])('Q1: refuses the job id %j', (jobId) => {
    expect(reasonOf({ ...job, jobId })).toContain('"jobId" must be 1 to 128 letters');
    expect(isJobId(jobId)).toBe(false);
  });

  it('leaves the validation of items to each item', () => {
    const items = [null, 1, 'text', {}, itemOf('good')];

    const parsed = parseJob({ ...job, items });

    expect(parsed).toEqual({ ok: true, job: { ...job, items } });
  });
});

describe('parseItem', () => {
  it.each([
    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['a list', [], undefined],
    ['no custom_id', { body: {} }, 'custom_id'],
    ['an empty custom_id', itemOf('hi', ''), 'custom_id'],
    ['a custom_id that is a number', { custom_id: 1, body: {} }, 'custom_id'],
    ['a custom_id of 513 characters', itemOf('hi', 'x'.repeat(513)), 'custom_id'],
    ['no body', { custom_id: 'a' }, 'body'],
    ['a body that is a list', { custom_id: 'a', body: [] }, 'body'],
    ['another method', { ...itemOf('hi'), method: 'GET' }, 'method'],
    ['another url', { ...itemOf('hi'), url: '/v1/embeddings' }, 'url'],
    ['a field that is not known', { ...itemOf('hi'), methode: 'POST' }, 'methode'],
  ])('refuses an item that has or is %s, by its field', (_case, item, param) => {
    expect(parseItem(item)).toMatchObject({ ok: false, issue: { param } });
  });

  it('accepts a custom_id and a body', () => {
    expect(parseItem(itemOf('hi'))).toEqual({ ok: true, item: itemOf('hi') });
  });
});

describe('customIdOf', () => {
  it('finds the custom_id of an invalid item', () => {
    expect(customIdOf({ custom_id: 'a', bdoy: {} })).toBe('a');
  });

  it('cuts one that is too long and finds none in what has none', () => {
    expect(customIdOf({ custom_id: 'x'.repeat(600) })).toBe('x'.repeat(512));
    expect([null, 1, [], {}, { custom_id: true }].map(customIdOf)).toEqual(Array(5).fill(null));
  });
});

describe('digestOf', () => {
  it('is the same for each encoding of a job and another for other items', () => {
    const again = parseJob(base64);

    expect(again.ok && 'items' in again.job && digestOf(again.job.items)).toBe(digestOf(job.items));
    expect(digestOf(jobOf('job-1', ['other']).items)).not.toBe(digestOf(job.items));
  });
});

describe('toMessageText', () => {
  it('escapes what XML cannot carry and stays the same job', () => {
    const nasty = jobOf('job-1', ['\ufffe \uffff \u0085 \ud800 😀 <&"> \r\n\u0000']);

    const message = toMessageText(nasty);

    expect(message).not.toMatch(/\p{Cc}|\p{Cs}|[\ufffe\uffff]/u);
    expect(parseJob(message)).toEqual({ ok: true, job: nasty });
  });
});
