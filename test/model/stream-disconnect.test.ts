import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createModelUnderTest, QUESTION } from '../support/model-under-test.ts';
import {
  chunk,
  event,
  openStream,
  say,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';

const DISCONNECTED = new Error('client disconnected');

describe('a reader that leaves a stream', () => {
  it('closes the socket', async () => {
    await using upstream = await startScriptedUpstream(({ response }) =>
      openStream(response, chunk({ content: 'Hello' })),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const caller = new AbortController();

    for await (const { type } of model.stream(QUESTION, call({ signal: caller.signal }))) {
      expect(type).toBe('text-delta');
      break;
    }

    expect(await upstream.requests[0]?.leftEarly).toBe(true);
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
    expect(model.endpoints()[0]?.lastFailureCode).toBeUndefined();
  });

  it('does not wait for a token that is pending', async () => {
    await using upstream = await startScriptedUpstream(({ response }) =>
      openStream(response, chunk({ content: 'Hello' })),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const events = model.stream(QUESTION, call())[Symbol.asyncIterator]();
    await events.next();
    const waiting = events.next();

    await events.return?.();

    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });

  it('stops at once at an abort, even with text that has arrived already', async () => {
    await using upstream = await startScriptedUpstream(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event(chunk({ content: 'Hello' })).repeat(50));
    });
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const caller = new AbortController();
    let texts = 0;
    let thrown: unknown;

    try {
      for await (const _event of model.stream(QUESTION, call({ signal: caller.signal }))) {
        texts += 1;
        caller.abort(DISCONNECTED);
      }
    } catch (error) {
      thrown = error;
    }

    expect(thrown).toBe(DISCONNECTED);
    expect(texts).toBe(1);
  });
});

describe('a reader that stops after the response', () => {
  it('leaves no listener', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const { signal } = new AbortController();
    const events = model.stream(QUESTION, call({ signal }))[Symbol.asyncIterator]();

    const steps = [await events.next(), await events.next()];

    expect(steps.at(-1)?.value).toMatchObject({ type: 'done' });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('a slow reader', () => {
  it('slows the endpoint down instead of filling the memory', async () => {
    const piece = event(chunk({ content: 'x'.repeat(16_000) }));
    let sent = 0;
    await using upstream = await startScriptedUpstream(({ response }) => {
      openStream(response);
      function pump(): void {
        while (!response.destroyed && sent < 200_000_000) {
          sent += piece.length;
          if (!response.write(piece)) return;
        }
      }
      response.on('drain', pump);
      pump();
    });
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const events = model.stream(QUESTION, call())[Symbol.asyncIterator]();
    for (let i = 0; i < 10; i += 1) await events.next();

    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }

    expect(sent).toBeLessThan(20_000_000);
    await events.return?.();
  });
});
