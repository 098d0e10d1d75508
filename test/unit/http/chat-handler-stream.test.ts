import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { createChat, type ChatUnderTest } from '../../support/chat-handler.ts';
import { call, open, postJson } from '../../support/http-call.ts';
import {
  answerOf,
  failingAfter,
  never,
  textsThenAnswer,
  type StreamStep,
} from '../../support/scripted-model.ts';

const REQUEST = { message: 'Hi', stream: true };

function setUp(stream: StreamStep, limits: object = {}): ChatUnderTest {
  return createChat({ streams: [stream], ...limits });
}

interface Received {
  readonly event: string;
  readonly data: unknown;
}

function eventsIn(text: string): Received[] {
  return [...text.matchAll(/^event: (\w+)\ndata: (.*)\n$/gm)].map(([, event = '', json = '']) => ({
    event,
    data: JSON.parse(json) as unknown,
  }));
}

function namesIn(text: string): string[] {
  return eventsIn(text).map(({ event }) => event);
}

describe('POST /api/chat as a stream', () => {
  it('sends each delta of the model as an event of its own, also where several arrive together', async () => {
    const { handler } = setUp(async function* together() {
      yield { type: 'text-delta', text: 'Hello', pieces: ['Hel', 'lo'] };
      yield { type: 'done', response: answerOf('Hello') };
    });

    const { text } = await call(handler, postJson(REQUEST));

    const deltas = eventsIn(text).filter(({ event }) => event === 'delta');
    expect(deltas.map(({ data }) => data)).toEqual([{ text: 'Hel' }, { text: 'lo' }]);
  });

  it('sends the session, each text and exactly one done without the text', async () => {
    const { handler, telemetry } = setUp(() => textsThenAnswer(['Hel', 'lo 👋']));

    const answered = await call(handler, postJson(REQUEST));

    const requestId = answered.headers['x-request-id'];
    expect(answered.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(eventsIn(answered.text)).toEqual([
      { event: 'session', data: { sessionId: null, requestId } },
      { event: 'delta', data: { text: 'Hel' } },
      { event: 'delta', data: { text: 'lo 👋' } },
      {
        event: 'done',
        data: {
          sessionId: null,
          requestId,
          model: 'scripted',
          finishReason: 'stop',
          cached: false,
          usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
          toolCalls: [],
        },
      },
    ]);
    expect(telemetry.lines.map(({ message }) => message)).toEqual([
      'request answered',
      'stream ended',
    ]);
    expect(telemetry.lines[1]?.fields['outcome']).toBe('done');
  });

  it('streams when the caller accepts it', async () => {
    const { handler } = setUp(() => textsThenAnswer(['a']));
    const request = postJson({ message: 'Hi' }, { accept: 'Text/Event-Stream, */*;q=0.1' });

    const answered = await call(handler, request);

    expect(namesIn(answered.text)).toEqual(['session', 'delta', 'done']);
  });

  it('answers a failure before the first text with its own status', async () => {
    const { handler, telemetry } = setUp(() =>
      failingAfter([], new ServiceError('upstream_quota', 'Used up')),
    );

    const answered = await call(handler, postJson(REQUEST));

    expect(answered.status).toBe(503);
    expect(answered.headers['content-type']).toBe('application/problem+json');
    expect(answered.problem().error.code).toBe('upstream_quota');
    expect(telemetry.lines).toHaveLength(1);
  });

  it('answers a plain error when streaming cannot start', async () => {
    const { handler } = setUp(() => {
      throw new Error('sk-secret');
    });

    const answered = await call(handler, postJson(REQUEST));

    expect(answered.status).toBe(500);
    expect(answered.text).not.toContain('secret');
  });

  it('ends with one error event when the model fails later', async () => {
    const { handler, telemetry } = setUp(async function* () {
      yield { type: 'text-delta', text: 'Hel' };
      throw new ServiceError('upstream_interrupted', 'Cut', { cause: new Error('sk-secret') });
    });

    const answered = await call(handler, postJson(REQUEST));

    expect(answered.status).toBe(200);
    expect(namesIn(answered.text)).toEqual(['session', 'delta', 'error']);
    expect(eventsIn(answered.text).at(-1)?.data).toMatchObject({
      status: 502,
      retryable: true,
      requestId: answered.headers['x-request-id'],
      error: { code: 'upstream_interrupted' },
    });
    expect(answered.text).not.toContain('secret');
    expect(telemetry.at('warn')).toMatchObject([{ message: 'stream failed' }]);
  });

  it('logs a defect in the middle of a stream at error level and shows fixed text', async () => {
    const { handler, telemetry } = setUp(async function* () {
      yield { type: 'text-delta', text: 'Hel' };
      throw new TypeError('sk-secret');
    });

    const answered = await call(handler, postJson(REQUEST));

    expect(eventsIn(answered.text).at(-1)?.data).toMatchObject({ error: { code: 'internal' } });
    expect(telemetry.at('error')).toMatchObject([{ fields: { cause: 'TypeError' } }]);
    expect(JSON.stringify([answered.text, telemetry.lines])).not.toContain('secret');
  });

  it('reports a model that ends without a response as an error', async () => {
    const { handler: cut } = setUp(async function* () {
      yield { type: 'text-delta', text: 'Hel' };
    });
    const { handler: empty } = setUp(async function* () {});

    const afterText = await call(cut, postJson(REQUEST));
    const atOnce = await call(empty, postJson(REQUEST));

    expect(namesIn(afterText.text)).toEqual(['session', 'delta', 'error']);
    expect(atOnce.status).toBe(502);
    expect(atOnce.problem().error.code).toBe('upstream_interrupted');
  });

  it('sends nothing after done', async () => {
    const { handler } = setUp(async function* () {
      yield* textsThenAnswer(['a']);
      yield { type: 'text-delta', text: 'b' };
      yield { type: 'done', response: answerOf('ab') };
    });

    const answered = await call(handler, postJson(REQUEST));

    expect(namesIn(answered.text)).toEqual(['session', 'delta', 'done']);
  });

  it('starts before a slow model and sends keep-alives', async () => {
    const gate = Promise.withResolvers<void>();
    const { handler } = setUp(
      async function* () {
        await gate.promise;
        yield* textsThenAnswer(['late']);
      },
      { heartbeatMs: 5 },
    );

    const response = await open(handler, postJson(REQUEST));
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const decoder = new TextDecoder();
    let text = '';
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      text += decoder.decode(step.value);
      if (text.split(': keep-alive').length > 3) gate.resolve();
    }

    expect(namesIn(text)).toEqual(['session', 'delta', 'done']);
    expect(text).toMatch(/event: done\ndata: .*\n\n$/);
  });

  it('ends with a typed error when a slow model fails', async () => {
    const gate = Promise.withResolvers<never>();
    const { handler } = setUp(
      async function* () {
        await gate.promise;
        yield { type: 'text-delta', text: '' };
      },
      { heartbeatMs: 5 },
    );

    const response = await open(handler, postJson(REQUEST));
    gate.reject(new ServiceError('upstream_unavailable', 'Away'));
    const text = await response.text();

    expect(response.status).toBe(200);
    expect(namesIn(text)).toEqual(['session', 'error']);
  });

  it('ends at the deadline when the model ignores its signal', async () => {
    const { handler } = setUp(
      async function* () {
        yield { type: 'text-delta', text: 'Hel' };
        await never();
      },
      { streamDeadlineMs: 40 },
    );

    const answered = await call(handler, postJson(REQUEST));

    expect(eventsIn(answered.text).at(-1)).toMatchObject({
      event: 'error',
      data: { error: { code: 'upstream_timeout' } },
    });
  });

  it('answers 504 at the deadline before anything was sent', async () => {
    const { handler } = setUp(() => ({ [Symbol.asyncIterator]: () => ({ next: never }) }), {
      streamDeadlineMs: 20,
    });

    const answered = await call(handler, postJson(REQUEST));

    expect(answered.status).toBe(504);
  });
});
