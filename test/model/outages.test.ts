import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../shared/errors.ts';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import {
  answer,
  hang,
  inTurn,
  refuse,
  reset,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

const HTML = '<html><h1>canary 503 page</h1></html>';

describe('U7 an endpoint that fails briefly', () => {
  it.each([500, 502, 503, 504, 408])('is called again after %i', async (status) => {
    await using upstream = await startScriptedUpstream(
      inTurn(answer(status, HTML), refuse(status), say('hello')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await complete()).text).toBe('hello');
    expect(upstream.requests).toHaveLength(3);
  });

  it('is called three times at most, then the caller gets a Retry-After', async () => {
    await using upstream = await startScriptedUpstream(answer(503, HTML));
    const { complete, stream, count } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(failure.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(failure.message).not.toContain('canary');
    expect(upstream.requests).toHaveLength(3);
    expect(count('model call failed')).toBe(1);
    expect((await stream()).error).toMatchObject({ code: 'upstream_unavailable' });
  });

  it('fails over to the next endpoint without waiting', async () => {
    await using sick = await startScriptedUpstream(refuse(503));
    await using well = await startScriptedUpstream(say('hello'));
    const { complete, count } = createModelUnderTest({
      endpoints: [sick.baseUrl, well.baseUrl],
      settings: { backoffInitialMs: 60_000, backoffMaxMs: 60_000 },
    });

    expect((await complete()).text).toBe('hello');
    expect(sick.requests).toHaveLength(1);
    expect(count('model call failed over')).toBe(1);
  });

  it('returns the Retry-After of an outage without waiting past the deadline', async () => {
    await using upstream = await startScriptedUpstream(refuse(503, {}, { 'retry-after': '120' }));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure).toMatchObject({ code: 'upstream_unavailable', retryAfterSeconds: 120 });
    expect(upstream.requests).toHaveLength(1);
  });

  it('does not start a wait that ends after the deadline', async () => {
    await using upstream = await startScriptedUpstream(refuse(503));
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { backoffInitialMs: 10_000, backoffMaxMs: 10_000 },
      random: () => 1,
    });

    const failure = await failureOf(complete({ deadlineAt: Date.now() + 2_000 }));

    expect(failure.code).toBe('upstream_unavailable');
    expect(upstream.requests).toHaveLength(1);
  });

  it('gets no more retries than the budget allows when everything fails', async () => {
    await using upstream = await startScriptedUpstream(refuse(503));
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { breakerFailures: 10_000, backoffInitialMs: 1, backoffMaxMs: 1 },
    });

    await Promise.all(Array.from({ length: 100 }, () => failureOf(complete())));

    expect(upstream.requests.length).toBeGreaterThan(105);
    expect(upstream.requests.length).toBeLessThanOrEqual(100 + 20 + 10);
  });

  it('serves nearly every request while one call in five fails', async () => {
    let seed = 5;
    await using upstream = await startScriptedUpstream((turn) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32 < 0.2 ? refuse(500)(turn) : say('hello')(turn);
    });
    const { complete, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { retryBudgetRatio: 1, backoffInitialMs: 1, backoffMaxMs: 1 },
    });
    let answered = 0;

    for (let i = 0; i < 300; i += 1) {
      answered += await complete().then(
        () => 1,
        () => 0,
      );
    }

    expect(answered).toBeGreaterThanOrEqual(294);
    expect(model.endpoints()[0]?.circuit).toBe('closed');
  });
});

describe('U9 and U22 an endpoint that cannot be reached', () => {
  it('is called again after a connection that broke before the response', async () => {
    await using upstream = await startScriptedUpstream(inTurn(reset, reset, say('hello')));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await complete()).text).toBe('hello');
  });

  it('is unavailable if no server listens, and only the log has the reason', async () => {
    const upstream = await startScriptedUpstream(hang);
    await upstream[Symbol.asyncDispose]();
    const { complete, lines } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(failure.message).not.toContain('127');
    expect(lines.at(-1)?.fields['cause']).toContain('ECONNREFUSED');
  });

  it('is unavailable at a host without an address', async () => {
    const { complete } = createModelUnderTest({ endpoints: ['http://no-such-host.invalid/v1'] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(failure.message).not.toContain('invalid');
  });

  it('is unavailable if it does not speak TLS', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl.replace('http:', 'https:')],
    });

    expect((await failureOf(complete())).code).toBe('upstream_unavailable');
  });

  it('fails over to an endpoint that can be reached', async () => {
    await using well = await startScriptedUpstream(say('hello'));
    const { stream } = createModelUnderTest({ endpoints: ['http://127.0.0.1:1/v1', well.baseUrl] });

    expect((await stream()).answer?.text).toBe('hello');
  });
});

describe('U12 an endpoint that does not respond', () => {
  it('is called again after the timeout of one attempt', async () => {
    await using upstream = await startScriptedUpstream(inTurn(hang, say('hello')));
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { attemptTimeoutMs: 150 },
    });

    expect((await complete()).text).toBe('hello');
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });

  it('finally times out, with every socket closed', async () => {
    await using upstream = await startScriptedUpstream(hang);
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { attemptTimeoutMs: 100 },
    });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_timeout');
    expect(upstream.requests).toHaveLength(3);
    expect(await Promise.all(upstream.requests.map(({ leftEarly }) => leftEarly))).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('includes a body that stops in the middle', async () => {
    await using upstream = await startScriptedUpstream(({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"choices":[');
    });
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { attemptTimeoutMs: 100, maxAttempts: 1 },
    });

    expect((await failureOf(complete())).code).toBe('upstream_timeout');
  });
});

describe('a credential that is not loaded yet', () => {
  it('is reported with the time of the next attempt', async () => {
    const { complete } = createModelUnderTest({
      endpoints: [
        {
          apiKey: () =>
            Promise.reject(
              new ServiceError('config_unavailable', 'The secrets are not loaded', {
                retryAfterSeconds: 7,
              }),
            ),
        },
      ],
    });

    expect(await failureOf(complete())).toMatchObject({
      code: 'config_unavailable',
      message: 'The secrets are not loaded',
      retryAfterSeconds: 7,
    });
  });
});
