import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import {
  inTurn,
  refuse,
  say,
  startScriptedUpstream,
  type ScriptedUpstream,
} from '../support/scripted-upstream.ts';

/** Milliseconds between the first request and the second. */
function gapMs({ requests }: ScriptedUpstream): number {
  const [first, second] = requests;
  if (!first || !second) throw new Error('The upstream was not asked twice');
  return second.at - first.at;
}

describe('U1 a Retry-After that fits the deadline', () => {
  it('is waited for, and no call comes before its time', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '1' }), say('hello')),
    );
    const { complete, count } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const { text } = await complete();

    expect(text).toBe('hello');
    expect(gapMs(upstream)).toBeGreaterThanOrEqual(1_000);
    expect(count('model call retried')).toBe(1);
  });

  it('applies to every caller of the process, and all of them succeed', async () => {
    await using upstream = await startScriptedUpstream(({ number, ...turn }) =>
      number <= 20
        ? refuse(429, {}, { 'retry-after': '1' })({ number, ...turn })
        : say('hello')({ number, ...turn }),
    );
    const { complete, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { backoffMaxMs: 4_000 },
    });

    const early = Array.from({ length: 20 }, () => complete());
    while (upstream.requests.length < 20 || !model.endpoints()[0]?.coolingDownUntil) {
      await new Promise(setImmediate);
    }
    const late = Array.from({ length: 20 }, () => complete());
    const answers = await Promise.all([...early, ...late]);

    expect(answers.every(({ text }) => text === 'hello')).toBe(true);
    expect(upstream.requests).toHaveLength(60);
    const lastRefusalAt = upstream.requests[19]?.at ?? 0;
    const resumedAt = upstream.requests[20]?.at ?? 0;
    expect(resumedAt - lastRefusalAt).toBeGreaterThan(900);
  });
});

describe('U2 a Retry-After beyond the deadline', () => {
  it.each([
    ['seconds', '90', 90],
    ['a date', new Date(Date.now() + 3_600_000).toUTCString(), 300],
    ['more than is passed on', '4000', 300],
  ])('as %s fails at once and is passed on', async (_name, retryAfter, expected) => {
    await using upstream = await startScriptedUpstream(
      refuse(429, {}, { 'retry-after': retryAfter }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure).toMatchObject({ code: 'upstream_rate_limited', retryAfterSeconds: expected });
    expect(upstream.requests).toHaveLength(1);
  });

  it('blocks later calls to the endpoint, which return the remaining time', async () => {
    await using upstream = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '90' }));
    const { complete, stream, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    await failureOf(complete());

    const failure = await failureOf(complete());
    const { error } = await stream();

    expect(failure).toMatchObject({ code: 'upstream_rate_limited', retryAfterSeconds: 90 });
    expect(error).toMatchObject({ code: 'upstream_rate_limited' });
    expect(upstream.requests).toHaveLength(1);
    expect(model.endpoints()[0]).toMatchObject({
      circuit: 'closed',
      lastFailureCode: 'upstream_rate_limited',
    });
    expect(model.endpoints()[0]?.coolingDownUntil).toBeGreaterThan(Date.now() + 80_000);
  });

  it('is not waited for by later callers, though it would fit their deadline', async () => {
    await using upstream = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '90' }));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    await failureOf(complete());

    const failure = await failureOf(complete({ deadlineAt: Date.now() + 200_000 }));

    expect(failure).toMatchObject({ code: 'upstream_rate_limited', retryAfterSeconds: 90 });
  });

  it('causes no wait where another endpoint can answer', async () => {
    await using limited = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '2' }));
    await using free = await startScriptedUpstream(say('from the fallback'));
    const { complete, count } = createModelUnderTest({
      endpoints: [limited.baseUrl, free.baseUrl],
    });

    const answers = [await complete(), await complete(), await complete()];

    expect(answers.map(({ text }) => text)).toEqual(Array(3).fill('from the fallback'));
    expect(limited.requests).toHaveLength(1);
    expect(count('model call failed over')).toBe(1);
  });

  it('fails at once where every endpoint is in cooldown, with the shortest remaining time', async () => {
    await using first = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '90' }));
    await using second = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '60' }));
    const { complete } = createModelUnderTest({ endpoints: [first.baseUrl, second.baseUrl] });

    const failures = [await failureOf(complete()), await failureOf(complete())];

    expect(failures.map(({ retryAfterSeconds }) => retryAfterSeconds)).toEqual([60, 60]);
    expect(first.requests.length + second.requests.length).toBe(2);
  });
});

describe('U3 milliseconds beside seconds', () => {
  it.each(['retry-after-ms', 'x-ms-retry-after-ms'])('%s takes precedence', async (name) => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { [name]: '700', 'retry-after': '30' }), say('hello')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await complete();

    expect(gapMs(upstream)).toBeGreaterThanOrEqual(700);
    expect(gapMs(upstream)).toBeLessThan(3_000);
  });
});

describe('U4 an invalid Retry-After', () => {
  it.each(['-5', 'abc', '1e9', 'NaN', '0', 'Wed, 21 Oct 2015 07:28:00 GMT'])(
    '"%s" means the usual back-off',
    async (retryAfter) => {
      await using upstream = await startScriptedUpstream(
        inTurn(refuse(429, {}, { 'retry-after': retryAfter }), say('hello')),
      );
      const { complete } = createModelUnderTest({
        endpoints: [upstream.baseUrl],
        settings: { backoffInitialMs: 100, backoffMaxMs: 100 },
        random: () => 1,
      });

      await complete();

      expect(gapMs(upstream)).toBeGreaterThanOrEqual(99);
      expect(gapMs(upstream)).toBeLessThan(2_000);
    },
  );
});

describe('U5 the rate limit headers of an endpoint', () => {
  it('set the wait where there is no Retry-After', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'x-ratelimit-reset-tokens': '400ms' }), say('hello')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await complete();

    expect(gapMs(upstream)).toBeGreaterThanOrEqual(400);
  });
});

describe('U6 an exhausted quota', () => {
  it('is reported after one call, to operators as well', async () => {
    await using upstream = await startScriptedUpstream(
      refuse(429, { code: 'insufficient_quota' }, { 'retry-after': '1' }),
    );
    const { complete, lines } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_quota');
    expect(upstream.requests).toHaveLength(1);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('fails no call where another endpoint can answer', async () => {
    await using empty = await startScriptedUpstream(refuse(429, { code: 'insufficient_quota' }));
    await using full = await startScriptedUpstream(say('hello'));
    const { stream } = createModelUnderTest({ endpoints: [empty.baseUrl, full.baseUrl] });

    expect((await stream()).answer?.text).toBe('hello');
  });
});
