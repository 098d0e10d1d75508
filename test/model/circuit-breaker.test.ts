import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import {
  chunk,
  openStream,
  refuse,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

describe('U8 an endpoint that is down', () => {
  it('gets no calls while the circuit is open, and callers get an error at once', async () => {
    await using upstream = await startScriptedUpstream(refuse(503));
    const { complete, count, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    while (model.endpoints()[0]?.circuit === 'closed') await failureOf(complete());
    const asked = upstream.requests.length;

    const failures = await Promise.all(Array.from({ length: 100 }, () => failureOf(complete())));

    expect(asked).toBeLessThanOrEqual(6);
    expect(upstream.requests).toHaveLength(asked);
    expect(failures.every(({ code }) => code === 'upstream_unavailable')).toBe(true);
    expect(failures[0]?.retryAfterSeconds).toBeGreaterThan(25);
    expect(failures[0]?.retryAfterSeconds).toBeLessThanOrEqual(30);
    expect(count('model circuit opened')).toBe(1);
  });

  it('gets one probe after the delay while other calls fail at once; then the circuit closes', async () => {
    let isDown = true;
    await using upstream = await startScriptedUpstream((turn) =>
      isDown ? refuse(503)(turn) : say('hello')(turn),
    );
    let now = Date.now();
    const clock = { now: () => now };
    const { complete, count, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      clock,
      settings: { maxAttempts: 1 },
    });
    for (let i = 0; i < 5; i += 1) await failureOf(complete({ deadlineAt: now + 15_000 }));
    now += 30_000;
    isDown = false;
    expect(model.endpoints()[0]?.circuit).toBe('half-open');

    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, () => complete({ deadlineAt: now + 15_000 })),
    );

    expect(upstream.requests).toHaveLength(6);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(model.endpoints()[0]?.circuit).toBe('closed');
    expect(count('model circuit closed')).toBe(1);
    expect((await complete({ deadlineAt: now + 15_000 })).text).toBe('hello');
  });

  it('closes the circuit at the first token of a streamed probe, not at its end', async () => {
    let isDown = true;
    await using upstream = await startScriptedUpstream((turn) => {
      if (isDown) return refuse(503)(turn);
      if (turn.request.body['stream'] !== true) return say('hello')(turn);
      return openStream(turn.response, chunk({ content: 'a long story' }));
    });
    let now = Date.now();
    const { complete, call, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      clock: { now: () => now },
      settings: { maxAttempts: 1 },
    });
    for (let i = 0; i < 5; i += 1) await failureOf(complete({ deadlineAt: now + 15_000 }));
    now += 30_000;
    isDown = false;
    const events = model.stream({ messages: [] }, call())[Symbol.asyncIterator]();

    await events.next();

    expect(model.endpoints()[0]?.circuit).toBe('closed');
    expect((await complete({ deadlineAt: now + 15_000 })).text).toBe('hello');
    await events.return?.();
  });

  it('does not delay calls to the next endpoint', async () => {
    await using sick = await startScriptedUpstream(refuse(503));
    await using well = await startScriptedUpstream(say('hello'));
    const { complete } = createModelUnderTest({ endpoints: [sick.baseUrl, well.baseUrl] });

    for (let i = 0; i < 30; i += 1) expect((await complete()).text).toBe('hello');

    expect(sick.requests).toHaveLength(5);
  });

  it.each([
    ['a filtered prompt', refuse(400, { code: 'content_filter' })],
    ['a request it cannot read', refuse(400)],
    ['a rate limit', refuse(429, {}, { 'retry-after-ms': '1' })],
    ['refused credentials', refuse(401)],
  ])('keeps the circuit closed after %s', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    for (let i = 0; i < 20; i += 1) await failureOf(complete());

    expect(model.endpoints()[0]?.circuit).toBe('closed');
  });
});

describe('the bulkhead', () => {
  it('bounds the calls in flight, queues the next, and refuses the rest at once', async () => {
    let inFlight = 0;
    let most = 0;
    await using upstream = await startScriptedUpstream(async (turn) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setTimeout(resolve, 50));
      inFlight -= 1;
      await say('hello')(turn);
    });
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxConcurrentPerEndpoint: 2, maxQueuedPerEndpoint: 4 },
    });

    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => complete()));

    expect(most).toBe(2);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual(
      Array(4).fill('overloaded'),
    );
  });
});
