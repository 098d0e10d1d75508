import { describe, expect, it } from 'vitest';
import { ask, clientOf, post, say, startModel } from './support.ts';

describe('rate limits', () => {
  it('fails the first call of each conversation, and starts anew after it was well', async () => {
    const model = await startModel();
    const statuses: number[] = [];

    for (const content of ['a', 'b', 'a', 'a', 'b']) {
      const body = ask('dev/429-then-ok', { messages: say(content) });
      statuses.push((await post(model, { body })).status);
    }

    expect(statuses).toEqual([429, 429, 200, 429, 200]);
  });

  it.each([
    ['dev/429-then-ok', { 'retry-after': '2' }],
    ['dev/429-then-ok-7', { 'retry-after': '7' }],
    ['dev/429-always-90', { 'retry-after': '90' }],
    ['dev/429-date-past', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }],
    ['dev/429-ms', { 'retry-after-ms': '700', 'retry-after': '30' }],
    ['dev/429-x-ms', { 'x-ms-retry-after-ms': '700', 'retry-after': '30' }],
    ['dev/429-retry-after-1.5', { 'retry-after': '1.5' }],
    ['dev/429-reset-tokens-6m0s', { 'x-ratelimit-reset-tokens': '6m0s', 'retry-after': undefined }],
  ])('%s tells when to come back', async (name, wanted) => {
    const model = await startModel();

    const response = await post(model, { body: ask(name) });

    expect(response.status).toBe(429);
    for (const [header, value] of Object.entries(wanted)) {
      expect(response.headers.get(header) ?? undefined).toBe(value);
    }
  });

  it('gives a date that is never too early', async () => {
    const model = await startModel();
    const before = Date.now();

    const response = await post(model, { body: ask('dev/429-date-future-5') });

    const date = Date.parse(response.headers.get('retry-after') ?? '');
    expect(date).toBeGreaterThanOrEqual(before + 5000);
  });

  it('goes through every kind of nonsense, each followed by an answer', async () => {
    const model = await startModel();
    const seen: (string | number | null)[] = [];

    for (let call = 0; call < 10; call += 1) {
      const response = await post(model, { body: ask('dev/429-nonsense') });
      seen.push(response.status === 429 ? response.headers.get('retry-after') : response.status);
    }

    expect(seen).toEqual(['-5', 200, 'abc', 200, '1e9', 200, 'NaN', 200, '3, 5', 200]);
  });
});

describe('server errors', () => {
  it.each([500, 502, 503, 504, 408])(
    'fails so many times with %i, then is well',
    async (status) => {
      const model = await startModel();
      const statuses: number[] = [];

      for (let call = 0; call < 3; call += 1) {
        statuses.push((await post(model, { body: ask(`dev/${status}-then-ok-2`) })).status);
      }

      expect(statuses).toEqual([status, status, 200]);
    },
  );

  it('fails the given share of calls, the same ones in every run', async () => {
    const runs: string[] = [];

    for (let run = 0; run < 2; run += 1) {
      const model = await startModel();
      const outcomes: number[] = [];
      for (let call = 0; call < 200; call += 1) {
        const answer = post(model, { body: ask('dev/flaky-20') });
        outcomes.push(await answer.then(({ status }) => status).catch(() => 0));
      }
      runs.push(outcomes.join());
    }

    const failed = runs[0]?.split(',').filter((status) => status !== '200') ?? [];
    expect(failed.length).toBeGreaterThan(20);
    expect(failed.length).toBeLessThan(60);
    expect(new Set(failed)).toEqual(new Set(['0', '500', '502', '503']));
    expect(runs[0]).toBe(runs[1]);
  });
});

describe('rejections', () => {
  it.each([
    ['dev/quota', 429, 'insufficient_quota'],
    ['dev/context-length', 400, 'context_length_exceeded'],
    ['dev/401', 401, 'invalid_api_key'],
    ['dev/403', 403, 'permission_denied'],
    ['dev/404', 404, 'DeploymentNotFound'],
    ['dev/content-filter', 400, 'content_filter'],
    ['dev/no-temperature', 400, 'unsupported_value'],
    ['dev/deprecated-param', 400, 'unsupported_parameter'],
  ])('%s is %i %s to the real client', async (model, status, code) => {
    const client = clientOf(await startModel());

    const asking = client.chat.completions.create({
      model,
      temperature: 0.2,
      max_tokens: 9,
      messages: say('Hello'),
    });

    await expect(asking).rejects.toMatchObject({ status, code });
  });

  it('names the categories of a filtered prompt where Azure names them', async () => {
    const model = await startModel();

    const body: unknown = await (await post(model, { body: ask('dev/content-filter') })).json();

    expect(body).toMatchObject({
      error: {
        innererror: {
          code: 'ResponsibleAIPolicyViolation',
          content_filter_result: { violence: { filtered: true }, hate: { filtered: false } },
        },
      },
    });
  });

  it('answers as soon as the caller has put right what was refused', async () => {
    const model = await startModel();
    const put = { max_completion_tokens: 9, temperature: 1 };

    const responses = await Promise.all([
      post(model, { body: ask('dev/deprecated-param', put) }),
      post(model, { body: ask('dev/no-temperature', put) }),
      post(model, { body: ask('dev/context-length-1') }),
      post(model, { body: ask('dev/401-unless-new'), headers: { authorization: 'Bearer new' } }),
    ]);

    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it('counts those who follow a redirect', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('dev/301') });
    await fetch(response.headers.get('location') ?? '');

    expect(response.status).toBe(301);
    const stats: unknown = await (await fetch(new URL('/dev/stats', model.url))).json();
    expect(stats).toMatchObject({ redirectHits: 1 });
  });
});
