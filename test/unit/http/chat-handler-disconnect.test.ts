import type { HttpResponse } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../../shared/model/model.ts';
import { countTimers, createChat, type ChatUnderTest } from '../../support/chat-handler.ts';
import { startRequest, call, open, postJson } from '../../support/http-call.ts';
import { failingAfter, textsThenAnswer, type StreamStep } from '../../support/scripted-model.ts';

const REQUEST = { message: 'Hi', stream: true };

function setUp(stream: StreamStep): ChatUnderTest {
  return createChat({ streams: [stream] });
}

function readerOf(response: HttpResponse): ReadableStreamDefaultReader<Uint8Array> {
  return response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
}

describe('POST /api/chat as a stream and its reader', () => {
  it('pulls no more than the first event before the reader reads', async () => {
    let made = 0;
    const { handler } = setUp(async function* () {
      for (;;) {
        made += 1;
        yield { type: 'text-delta', text: 'x' } satisfies ModelEvent;
      }
    });

    const response = await open(handler, postJson(REQUEST));
    const reader = readerOf(response);
    await new Promise(setImmediate);
    const before = made;
    for (let read = 0; read < 4; read += 1) await reader.read();

    // The first read has the session and the first text.
    expect(before).toBe(1);
    expect(made).toBe(4);
    await reader.cancel();
  });

  it('aborts the model and finishes its stream once when the client disconnects', async () => {
    const started = startRequest({ 'content-type': 'application/json' });
    let finished = 0;
    const { handler, telemetry, model } = setUp(async function* (_request, { signal }) {
      try {
        yield { type: 'text-delta', text: 'Hel' };
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      } finally {
        finished += 1;
      }
    });

    const response = await open(handler, postJson(REQUEST), started.context);
    const reader = readerOf(response);
    await reader.read();
    const waiting = reader.read();
    await new Promise(setImmediate);
    started.disconnect();

    expect(await waiting).toMatchObject({ done: true });
    expect(model.calls[0]?.call.signal.aborted).toBe(true);
    await new Promise(setImmediate);
    expect(finished).toBe(1);
    expect(telemetry.lines.at(-1)).toMatchObject({
      message: 'stream ended',
      fields: { outcome: 'client_disconnected' },
    });
    expect(telemetry.at('warn')).toEqual([]);
  });

  it.each([0, 1, 2])('stops the model when the body is cancelled after %d reads', async (reads) => {
    const before = countTimers();
    const { handler, model, telemetry } = setUp(async function* () {
      for (;;) yield { type: 'text-delta', text: 'x' };
    });

    const response = await open(handler, postJson(REQUEST));
    const reader = readerOf(response);
    for (let read = 0; read < reads; read += 1) await reader.read();
    await reader.cancel();

    expect(model.calls[0]?.call.signal.aborted).toBe(true);
    expect(telemetry.lines.at(-1)?.fields['outcome']).toBe('client_disconnected');
    expect(countTimers()).toBe(before);
  });

  it('leaves no timer, however a stream ends', async () => {
    const before = countTimers();
    const scripts: StreamStep[] = [
      () => textsThenAnswer(['a']),
      () => failingAfter(['a'], new Error('x')),
      () => failingAfter([], new Error('x')),
    ];

    for (const script of scripts) await call(setUp(script).handler, postJson(REQUEST));

    expect(countTimers()).toBeLessThanOrEqual(before);
  });
});
