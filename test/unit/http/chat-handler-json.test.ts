import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { countTimers, createChat, type ChatScript } from '../../support/chat-handler.ts';
import { startRequest, call, open, postJson, postRaw } from '../../support/http-call.ts';
import { answerOf, never } from '../../support/scripted-model.ts';

function setUp(answers: ChatScript['answers'] = [], answerDeadlineMs = 10_000) {
  return createChat({ answers, answerDeadlineMs });
}

describe('POST /api/chat', () => {
  it('answers the result with the id of the request', async () => {
    const { handler, model } = setUp([async () => answerOf('Hello')]);

    const answered = await call(handler, postJson({ message: 'Hi', maxOutputTokens: 7 }));

    expect(answered.status).toBe(200);
    expect(answered.headers['content-type']).toBe('application/json');
    expect(answered.json()).toEqual({
      response: 'Hello',
      model: 'scripted',
      finishReason: 'stop',
      cached: false,
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
      toolCalls: [],
      sessionId: null,
      requestId: answered.headers['x-request-id'],
    });
    expect(model.calls[0]?.request).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Hi' },
      ],
      maxOutputTokens: 7,
    });
  });

  it('passes a signal, a deadline and the trace to the model', async () => {
    const { handler, model } = setUp([async () => answerOf('x')]);
    const before = Date.now();

    const answered = await call(handler, postJson({ message: 'Hi' }));

    const sent = model.calls[0]?.call;
    expect(sent?.signal.aborted).toBe(false);
    expect(sent?.traceparent).toBe(answered.headers['traceparent']);
    expect(sent?.deadlineAt).toBeGreaterThanOrEqual(before + 10_000);
  });

  it.each([
    ['{"message":"x"', 'invalid_json', null],
    ['[]', 'invalid_request', null],
    ['null', 'invalid_request', null],
    ['{}', 'invalid_request', 'message'],
    ['{"message":" \\n"}', 'invalid_request', 'message'],
    ['{"message":"x","role":"system"}', 'invalid_request', 'role'],
    ['{"message":"x","messages":[{"role":"system"}]}', 'invalid_request', 'messages'],
    ['{"message":"x","maxOutputTokens":-1}', 'invalid_request', 'maxOutputTokens'],
    ['{"message":"x","metadata":{"a":1}}', 'invalid_request', 'metadata.a'],
    ['{"message":"x","Headers":{}}', 'invalid_request', 'headers'],
  ])('answers 400 to %s and calls no model', async (body, code, param) => {
    const { handler, model } = setUp([]);

    const answered = await call(handler, postRaw(body));

    expect(answered.status).toBe(400);
    expect(answered.problem().error).toMatchObject({ code, param });
    expect(model.calls).toHaveLength(0);
  });

  it('answers 413 to a body of 256 KiB and a byte', async () => {
    const { handler } = setUp([]);

    const answered = await call(handler, postRaw('a'.repeat(262_145)));

    expect(answered.status).toBe(413);
  });

  it('answers 504 after the deadline, even when the model ignores its signal', async () => {
    const { handler, telemetry } = setUp([() => never()], 20);

    const answered = await call(handler, postJson({ message: 'Hi' }));

    expect(answered.status).toBe(504);
    expect(answered.problem()).toMatchObject({
      retryable: true,
      error: { code: 'upstream_timeout' },
    });
    expect(telemetry.lines).toMatchObject([
      { level: 'warn', fields: { code: 'upstream_timeout' } },
    ]);
  });

  it('aborts the model when the client disconnects', async () => {
    const started = startRequest({ 'content-type': 'application/json' });
    const called = Promise.withResolvers<AbortSignal>();
    const { handler, telemetry } = setUp([
      (_request, { signal }) => {
        called.resolve(signal);
        return never();
      },
    ]);

    const answering = open(handler, postJson({ message: 'Hi' }), started.context);
    const signal = await called.promise;
    started.disconnect();

    expect((await answering).status).toBe(499);
    expect(signal.aborted).toBe(true);
    expect(telemetry.lines).toMatchObject([{ level: 'info', message: 'client disconnected' }]);
  });

  it("passes on the model's failure and how long to wait", async () => {
    const failure = new ServiceError('upstream_rate_limited', 'Busy', {
      retryAfterSeconds: 9,
      cause: new Error('deployment gpt-secret'),
    });
    const { handler } = setUp([() => Promise.reject(failure)]);

    const answered = await call(handler, postJson({ message: 'Hi' }));

    expect(answered.status).toBe(429);
    expect(answered.headers['retry-after']).toBe('9');
    expect(answered.text).not.toContain('secret');
  });

  it('leaves no timer, however a run ends', async () => {
    const before = countTimers();
    const { handler } = setUp([
      async () => answerOf('x'),
      () => Promise.reject(new Error('x')),
      () => {
        throw new Error('at once');
      },
    ]);

    for (let sent = 0; sent < 3; sent += 1) await call(handler, postJson({ message: 'Hi' }));

    expect(countTimers()).toBe(before);
  });

  it('answers JSON when the body requires it, whatever the Accept header', async () => {
    const { handler } = setUp([async () => answerOf('x')]);
    const request = postJson({ message: 'Hi', stream: false }, { accept: 'text/event-stream' });

    const answered = await call(handler, request);

    expect(answered.headers['content-type']).toBe('application/json');
  });
});

describe('a conversation that is too long (F22)', () => {
  const tooLong = async (): Promise<never> => {
    throw new ServiceError('context_too_long', 'The conversation is too long for the model');
  };
  const long = 'x'.repeat(100_001);

  it.each([
    { protocol: 'openai.chat-completions', body: { messages: [{ role: 'user', content: 'Hi' }] } },
    { protocol: 'openai.chat-completions', body: { messages: [{ role: 'user', content: long }] } },
    { protocol: 'openai.responses', body: { input: 'Hi' } },
    { protocol: 'openai.responses', body: { input: long } },
  ] as const)('is 400 with the code that OpenAI clients know: $protocol', async (row) => {
    const { handler } = createChat({ answers: [tooLong] }, row.protocol);

    const answered = await call(handler, postJson(row.body));

    expect(answered.status).toBe(400);
    expect(answered.headers['x-should-retry']).toBe('false');
    expect(answered.json()).toMatchObject({
      error: { code: 'context_length_exceeded', type: 'invalid_request_error' },
    });
  });

  it.each(['Hi', long])('keeps its own code for other clients', async (message) => {
    const { handler } = createChat({ answers: [tooLong] });

    const answered = await call(handler, postJson({ message }));

    expect([answered.status, answered.json()]).toMatchObject([
      413,
      { error: { code: 'context_too_long' } },
    ]);
  });

  it('is an event with that code where the stream has begun', async () => {
    const streams = [
      async function* () {
        yield { type: 'text-delta', text: 'Hel' } as const;
        throw new ServiceError('context_too_long', 'The conversation is too long for the model');
      },
    ];
    const { handler } = createChat({ streams }, 'openai.chat-completions');

    const body = { messages: [{ role: 'user', content: 'Hi' }], stream: true };
    const answered = await call(handler, postJson(body));

    expect(answered.text).toContain('"code":"context_length_exceeded"');
  });
});
