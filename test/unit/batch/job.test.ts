import { describe, expect, it } from 'vitest';
import { customIdOf, parseItem } from '../../../shared/batch/job/item.ts';
import { digestOf, isJobId, parseJob, toMessageText } from '../../../shared/batch/job/job.ts';
import { itemOf, jobOf } from '../../support/batch/jobs.ts';

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
    ['null', null, 'its shape is wrong'],
    ['undefined', undefined, 'its shape is wrong'],
    ['an array', [job], 'its shape is wrong'],
    ['a number', 7, 'its shape is wrong'],
    ['a number as text', '7', 'its shape is wrong'],
    ['another version', { ...job, v: 2 }, '"v" is wrong'],
    ['a field that is not known', { ...job, dequeueCount: 0 }, 'its shape is wrong'],
    ['no items', { ...job, items: [] }, '"items" is wrong'],
    ['items that are no list', { ...job, items: {} }, '"items" is wrong'],
    [
      'too many items',
      { ...job, items: Array.from({ length: 10_001 }, () => 0) },
      '"items" is wrong',
    ],
  ])('Q1: refuses %s and says why', (_case, message, reason) => {
    expect(reasonOf(message)).toContain(`The message is not a job: ${reason}`);
  });

  it('leaves of an item that would exhaust the stack of its writers no more than its id', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
    const good = { custom_id: 'b', body: { message: 'Hi' } };

    const parsed = parseJob({ ...job, items: [{ custom_id: 'a', body: { deep } }, good] });

    expect(parsed).toEqual({ ok: true, job: { ...job, items: [{ custom_id: 'a' }, good] } });
  });

  it('Q1: refuses nesting that would exhaust the stack where no item is', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);

    expect(reasonOf({ ...job, jobId: deep })).toContain('"jobId" is wrong');
    expect(reasonOf(deep)).toContain('its shape is wrong');
  });

  it('judges a long text that only looks like base64 without going over it again and again', () => {
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
    expect(reasonOf({ ...job, jobId })).toContain('"jobId" is wrong');
    expect(isJobId(jobId)).toBe(false);
  });

  it('leaves items to be judged one by one', () => {
    const items = [null, 1, 'text', {}, itemOf('good')];

    const parsed = parseJob({ ...job, items });

    expect(parsed).toEqual({ ok: true, job: { ...job, items } });
  });
});

describe('parseItem', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['no custom_id', { body: {} }],
    ['an empty custom_id', itemOf('hi', '')],
    ['a custom_id that is a number', { custom_id: 1, body: {} }],
    ['a custom_id of 513 characters', itemOf('hi', 'x'.repeat(513))],
    ['no body', { custom_id: 'a' }],
    ['a body that is a list', { custom_id: 'a', body: [] }],
    ['a field that is not known', { ...itemOf('hi'), methode: 'POST' }],
  ])('refuses an item that has or is %s', (_case, item) => {
    expect(parseItem(item)).toBeUndefined();
  });

  it('accepts a custom_id and a body', () => {
    expect(parseItem(itemOf('hi'))).toEqual(itemOf('hi'));
  });
});

describe('customIdOf', () => {
  it('finds the custom_id of a malformed item', () => {
    expect(customIdOf({ custom_id: 'a', bdoy: {} })).toBe('a');
  });

  it('cuts one that is too long and finds none in what has none', () => {
    expect(customIdOf({ custom_id: 'x'.repeat(600) })).toBe('x'.repeat(512));
    expect([null, 1, [], {}, { custom_id: 1 }].map(customIdOf)).toEqual(Array(5).fill(null));
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
