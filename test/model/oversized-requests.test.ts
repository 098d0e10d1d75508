import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../../shared/model/model.ts';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { inTurn, refuse, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

const LIMIT = 30_000;
const LARGE: ModelRequest = { messages: [{ role: 'user', content: 'x'.repeat(200_000) }] };
const BOUNDED: ModelRequest = {
  messages: [{ role: 'user', content: 'Hello' }],
  maxOutputTokens: 45_000,
};
const TOO_LARGE =
  'Request too large for gpt-x in organization org-canary on tokens per min (TPM): Limit 30000, Requested 50000.';

describe('T6 a rate limit that one request can never meet', () => {
  it.each([
    ['the message says so', LARGE, { message: TOO_LARGE }, {}],
    ['the message has both numbers', LARGE, { message: 'TPM: Limit 30,000, Requested 50,000' }, {}],
    ['the limit is in a header', LARGE, {}, { 'x-ratelimit-limit-tokens': String(LIMIT) }],
    [
      'the bound on the output is too high',
      BOUNDED,
      {},
      { 'x-ratelimit-limit-tokens': String(LIMIT) },
    ],
  ])('is an error of that request only: %s', async (...row) => {
    const [, request, error, headers] = row;
    await using upstream = await startScriptedUpstream(
      inTurn(
        refuse(429, { code: 'rate_limit_exceeded', ...error }, { 'retry-after': '60', ...headers }),
        say('hello'),
      ),
    );
    const { model, call, complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(model.complete(request, call()));
    const { text } = await complete();

    expect(failure.code).toBe('context_too_long');
    expect(failure.message).not.toContain('canary');
    expect(text).toBe('hello');
    expect(model.endpoints()[0]?.coolingDownUntil).toBeUndefined();
    expect(upstream.requests).toHaveLength(2);
  });

  it('goes to an endpoint with a higher limit', async () => {
    await using small = await startScriptedUpstream(refuse(429, { message: TOO_LARGE }));
    await using large = await startScriptedUpstream(say('from the fallback'));
    const { model, call } = createModelUnderTest({ endpoints: [small.baseUrl, large.baseUrl] });

    expect((await model.complete(LARGE, call())).text).toBe('from the fallback');
  });

  it.each(['0', '-1', 'unknown', ''])('does not follow from the limit "%s"', async (limit) => {
    await using upstream = await startScriptedUpstream(
      refuse(
        429,
        {},
        {
          'retry-after': '60',
          'x-ratelimit-limit-tokens': limit,
          'x-ratelimit-remaining-tokens': '0',
        },
      ),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(model.complete(LARGE, call()));

    expect(failure.code).toBe('upstream_rate_limited');
    expect(model.endpoints()[0]?.coolingDownUntil).toBeGreaterThan(Date.now());
  });

  it('differs from the limit of a busy endpoint', async () => {
    const message = 'Rate limit reached on TPM: Limit 30000, Used 29000, Requested 5000.';
    await using upstream = await startScriptedUpstream(
      refuse(429, { message }, { 'retry-after': '60', 'x-ratelimit-limit-tokens': '30000' }),
    );
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('upstream_rate_limited');
    expect(model.endpoints()[0]?.coolingDownUntil).toBeGreaterThan(Date.now());
    await failureOf(complete());
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('T6 a rate limit while most of the limit is free', () => {
  const headers = {
    'retry-after-ms': '300',
    'x-ratelimit-limit-tokens': String(LIMIT),
    'x-ratelimit-remaining-tokens': '20000',
  };

  it('delays that request only, for the time that the endpoint names', async () => {
    await using upstream = await startScriptedUpstream((turn) => {
      const isLarge = JSON.stringify(turn.request.body).length > 1_000;
      return (isLarge && turn.number === 1 ? refuse(429, {}, headers) : say('hello'))(turn);
    });
    const { model, call, complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const large = model.complete(
      { messages: [{ role: 'user', content: 'x'.repeat(90_000) }] },
      call(),
    );
    while (upstream.requests.length === 0) await new Promise(setImmediate);

    const others = await Promise.all([complete(), complete()]);

    expect(model.endpoints()[0]?.coolingDownUntil).toBeUndefined();
    expect(others.map(({ text }) => text)).toEqual(['hello', 'hello']);
    expect((await large).text).toBe('hello');
    const [first, last] = [upstream.requests[0], upstream.requests.at(-1)];
    expect((last?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(300);
  });

  it('sets a cooldown where the limit of requests is used up', async () => {
    await using upstream = await startScriptedUpstream(
      refuse(
        429,
        {},
        { ...headers, 'retry-after-ms': '60000', 'x-ratelimit-remaining-requests': '0' },
      ),
    );
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await failureOf(complete());

    expect(model.endpoints()[0]?.coolingDownUntil).toBeGreaterThan(Date.now());
  });
});
