import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { inTurn, refuse, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

const background = { isBackground: true };

describe('a rate limit that a background call meets', () => {
  it('T9: concerns its own item and delays neither chats nor other background calls', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '90' }), say('hello')),
    );
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const first = await failureOf(complete(background));
    const { text } = await complete();
    const other = await complete(background);

    expect([text, other.text]).toEqual(['hello', 'hello']);
    expect(first).toMatchObject({ code: 'upstream_rate_limited', retryAfterSeconds: 90 });
    expect(upstream.requests).toHaveLength(3);
    expect(model.endpoints()[0]?.coolingDownUntil).toBeUndefined();
  });

  it.each([
    ['it names no time', {}],
    ['it names one that would fit', { 'retry-after': '1' }],
  ])('is not waited for where %s', async (_name, headers) => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, headers), say('hello')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete(background));

    expect(failure.code).toBe('upstream_rate_limited');
    expect(upstream.requests).toHaveLength(1);
  });

  it('takes nothing from the retry budget of interactive calls', async () => {
    const refusals = Array.from({ length: 41 }, () => refuse(429));
    await using upstream = await startScriptedUpstream(inTurn(...refusals, say('hello')));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    await Promise.all(Array.from({ length: 40 }, () => failureOf(complete(background))));

    const { text } = await complete();

    expect(text).toBe('hello');
    expect(upstream.requests).toHaveLength(42);
  });

  it('fails over at once, and later calls start at that endpoint', async () => {
    await using limited = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '90' }));
    await using free = await startScriptedUpstream(say('from the fallback'));
    const { complete } = createModelUnderTest({ endpoints: [limited.baseUrl, free.baseUrl] });

    const answers = [await complete(background), await complete(background)];

    expect(answers.map(({ text }) => text)).toEqual(Array(2).fill('from the fallback'));
    expect(limited.requests).toHaveLength(1);
  });
});

describe('a rate limit that an interactive call meets', () => {
  it('is not waited for by background calls, however short it is', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '1' }), say('hello')),
    );
    const { complete, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { backoffMaxMs: 4_000 },
    });
    const asked = complete();
    while (model.endpoints()[0]?.coolingDownUntil === undefined) await new Promise(setImmediate);

    const failure = await failureOf(complete(background));

    expect(failure.code).toBe('upstream_rate_limited');
    expect(upstream.requests).toHaveLength(1);
    expect((await asked).text).toBe('hello');
  });

  it('applies to background calls too', async () => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '90' }), say('hello')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    await failureOf(complete());

    const failure = await failureOf(complete(background));

    expect(failure).toMatchObject({ code: 'upstream_rate_limited', retryAfterSeconds: 90 });
    expect(upstream.requests).toHaveLength(1);
  });
});
