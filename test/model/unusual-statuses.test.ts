import { describe, expect, it } from 'vitest';
import { chatStatus } from '../../shared/health/readiness.ts';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import {
  answer,
  inTurn,
  refuse,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

/** Statuses of proxies and servers that say nothing about the request. */
const TRANSIENT = [
  408, 409, 418, 419, 420, 421, 423, 424, 425, 430, 440, 444, 449, 450, 460, 463, 494, 497, 498,
  499,
];
const TRANSIENT_SERVER = [500, 502, 503, 504, 507, 508, 509, 520, 524, 529, 530, 598, 599];
const MISCONFIGURED = [301, 404, 405, 407, 410, 411, 415, 426, 431, 451, 501, 505];

describe('F1 an unusual status', () => {
  it.each([...TRANSIENT, ...TRANSIENT_SERVER])('%i is retried', async (status) => {
    await using upstream = await startScriptedUpstream(inTurn(answer(status, {}), say('hello')));
    const { complete, model, lines } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const { text } = await complete();

    expect(text).toBe('hello');
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(chatStatus(model.endpoints(), Date.now()).status).toBe('ready');
  });

  it.each([499, 421])('%i on every attempt can be retried by the caller', async (status) => {
    await using upstream = await startScriptedUpstream(answer(status, {}));
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(failure.retryAfterSeconds).toBeGreaterThan(0);
    expect(chatStatus(model.endpoints(), Date.now()).status).toBe('ready');
  });

  it.each(MISCONFIGURED)('%i is reported to operators and fails over', async (status) => {
    await using upstream = await startScriptedUpstream(answer(status, {}));
    await using other = await startScriptedUpstream(say('from the fallback'));
    const { complete, count } = createModelUnderTest({
      endpoints: [upstream.baseUrl, other.baseUrl],
    });

    expect((await complete()).text).toBe('from the fallback');
    expect(count('model endpoint misconfigured')).toBe(1);
  });

  it.each([
    ['refused credentials', refuse(401)],
    ['a missing deployment', refuse(404)],
    ['a used-up quota', refuse(429, { code: 'insufficient_quota' })],
  ])('%s: the endpoint is tried again after a minute without a call', async (_name, script) => {
    await using upstream = await startScriptedUpstream(inTurn(script, say('hello')));
    let now = Date.now();
    const clock = { now: () => now };
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl], clock });
    await failureOf(complete({ deadlineAt: now + 15_000 }));
    const before = chatStatus(model.endpoints(), now).status;

    now += 60_000;
    const after = chatStatus(model.endpoints(), now).status;
    await complete({ deadlineAt: now + 15_000 });

    expect([before, after]).toEqual(['unready', 'degraded']);
    expect(chatStatus(model.endpoints(), now).status).toBe('ready');
  });
});
