import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createModelUnderTest, QUESTION } from '../support/model-under-test.ts';
import {
  chunk,
  hang,
  openStream,
  refuse,
  say,
  startScriptedUpstream,
  stream,
  type UpstreamRequest,
} from '../support/scripted-upstream.ts';

const DISCONNECTED = new Error('client disconnected');

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}

function openCalls(requests: readonly UpstreamRequest[]): Promise<boolean[]> {
  return Promise.all(requests.map(({ leftEarly }) => leftEarly));
}

describe('a caller that disconnects', () => {
  it('ends a call under way with its own reason and closes the socket', async () => {
    await using upstream = await startScriptedUpstream(hang);
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const caller = new AbortController();
    const outcome = complete({ signal: caller.signal }).catch((error: unknown) => error);
    await until(() => upstream.requests.length === 1);

    caller.abort(DISCONNECTED);

    expect(await outcome).toBe(DISCONNECTED);
    expect(await openCalls(upstream.requests)).toEqual([true]);
    expect(upstream.requests).toHaveLength(1);
    expect(model.endpoints()[0]).toEqual({ name: 'primary', circuit: 'closed' });
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  });

  it('ends a wait between two attempts, and no further attempt is made', async () => {
    await using upstream = await startScriptedUpstream(refuse(429, {}, { 'retry-after': '10' }));
    const { complete, count } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const caller = new AbortController();
    const outcome = complete({ signal: caller.signal }).catch((error: unknown) => error);
    await until(() => count('model call retried') === 1);

    caller.abort(DISCONNECTED);

    expect(await outcome).toBe(DISCONNECTED);
    expect(upstream.requests).toHaveLength(1);
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  });

  it('ends a wait for a credential that never arrives', async () => {
    const caller = new AbortController();
    let isRequested = false;
    function neverAnswer(): Promise<string> {
      isRequested = true;
      return new Promise(() => undefined);
    }
    const { complete } = createModelUnderTest({
      endpoints: [{ apiKey: neverAnswer }],
      settings: { attemptTimeoutMs: 600_000 },
    });
    const outcome = complete({ signal: caller.signal }).catch((error: unknown) => error);
    await until(() => isRequested);

    caller.abort(DISCONNECTED);

    expect(await outcome).toBe(DISCONNECTED);
  });

  it('ends a call at any step', async () => {
    await using upstream = await startScriptedUpstream(hang);
    const { complete, stream: ask } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { attemptTimeoutMs: 600_000, firstTokenTimeoutMs: 600_000 },
    });

    for (let steps = 0; steps < 40; steps += 1) {
      const caller = new AbortController();
      const outcomes = [
        complete({ signal: caller.signal }).catch((error: unknown) => error),
        ask({ signal: caller.signal }).then(({ error }) => error),
      ];
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      caller.abort(DISCONNECTED);

      expect(await Promise.all(outcomes)).toEqual([DISCONNECTED, DISCONNECTED]);
      expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
    }
  });

  it('ends a wait in the queue', async () => {
    await using upstream = await startScriptedUpstream(hang);
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxConcurrentPerEndpoint: 1 },
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const outcomes = [first, second].map(({ signal }) => complete({ signal }).catch(String));
    await until(() => upstream.requests.length === 1);

    second.abort(DISCONNECTED);

    expect(await outcomes[1]).toBe(String(DISCONNECTED));
    first.abort(DISCONNECTED);
    await Promise.all(outcomes);
    expect(upstream.requests).toHaveLength(1);
  });

  it('before the call causes no request', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete, stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const signal = AbortSignal.abort(DISCONNECTED);

    const outcome = await complete({ signal }).catch((error: unknown) => error);
    const streamed = await ask({ signal });

    expect([outcome, streamed.error]).toEqual([DISCONNECTED, DISCONNECTED]);
    expect(upstream.requests).toHaveLength(0);
  });

  it('never opens the circuit, nor closes one that is half-open', async () => {
    let isDown = true;
    await using upstream = await startScriptedUpstream((turn) =>
      isDown ? refuse(503)(turn) : hang(),
    );
    let now = Date.now();
    const { complete, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      clock: { now: () => now },
      settings: { maxAttempts: 1 },
    });
    async function disconnectDuringCall(): Promise<void> {
      const before = upstream.requests.length;
      const caller = new AbortController();
      const outcome = complete({ signal: caller.signal }).catch(() => undefined);
      await until(() => upstream.requests.length > before);
      caller.abort(DISCONNECTED);
      await outcome;
    }
    for (let i = 0; i < 5; i += 1) await complete().catch(() => undefined);
    now += 30_000;
    isDown = false;

    await disconnectDuringCall();

    expect(model.endpoints()[0]?.circuit).toBe('half-open');
    for (let i = 0; i < 10; i += 1) await disconnectDuringCall();
    expect(model.endpoints()[0]?.circuit).toBe('half-open');
  });

  it('frees the slot of a stream without a reader', async () => {
    await using upstream = await startScriptedUpstream((turn) =>
      turn.request.body['stream'] === true
        ? openStream(turn.response, chunk({ content: 'Hello' }))
        : say('hello')(turn),
    );
    const { complete, model, call } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxConcurrentPerEndpoint: 1, maxQueuedPerEndpoint: 0 },
    });
    const caller = new AbortController();
    const events = model.stream(QUESTION, call({ signal: caller.signal }));
    await events[Symbol.asyncIterator]().next();

    caller.abort(DISCONNECTED);

    expect(await upstream.requests[0]?.leftEarly).toBe(true);
    expect((await complete()).text).toBe('hello');
  });
});

describe('the timers and listeners of calls', () => {
  it('are removed, however a call ends', async () => {
    await using upstream = await startScriptedUpstream((turn) => {
      const scripts = [
        say('hello'),
        refuse(400),
        refuse(503),
        stream(chunk({ content: 'Hello' })),
        stream(chunk({ content: 'Hello' }), chunk({}, 'stop'), '[DONE]'),
      ];
      return scripts[turn.number % scripts.length]?.(turn);
    });
    const { model, call } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      // A timer that is left behind must still be there when they are counted.
      settings: { attemptTimeoutMs: 600_000, firstTokenTimeoutMs: 600_000, idleTimeoutMs: 600_000 },
    });
    const caller = new AbortController();
    const before = timers();

    for (let i = 0; i < 30; i += 1) {
      const parts = { signal: caller.signal };
      await model.complete(QUESTION, call(parts)).catch(() => undefined);
      try {
        for await (const _event of model.stream(QUESTION, call(parts)));
      } catch {
        // Half of these streams fail; they must be cleaned up too.
      }
    }

    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
    await until(() => timers() <= before + 1);
  });
});
