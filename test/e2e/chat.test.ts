import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AzureOpenAI } from 'openai';
import { z } from 'zod';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const replySchema = z.strictObject({
  response: z.string().min(1),
  requestId: z.string(),
  model: z.string(),
  finishReason: z.literal('stop'),
  cached: z.literal(false),
  sessionId: z.string(),
  usage: z.strictObject({
    inputTokens: z.int().positive(),
    outputTokens: z.int().positive(),
    totalTokens: z.int().positive(),
  }),
  toolCalls: z.array(z.never()),
});

const stream = { accept: 'text/event-stream' };

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({ tokenDelayMs: 20 });
});
afterAll(() => environment.stop());

describe('POST /api/chat', () => {
  it('answers a message as JSON with everything that a caller may quote', async () => {
    const response = await postChat(environment.url, { message: 'Hello, test message' });

    const reply = replySchema.parse(await response.json());
    expect(response.status).toBe(200);
    expect(reply.response).toContain('Hello, test message');
    expect(response.headers.get('x-request-id')).toBe(reply.requestId);
    expect(response.headers.get('traceparent')).toMatch(
      /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/,
    );
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('gives text back exactly, whatever its characters', async () => {
    const message = 'ü € 𝕏 👩‍👩‍👧 \u202e\u0007 "quoted" \\ \n line שלום';

    const response = await postChat(environment.url, { message });

    const reply = replySchema.parse(await response.json());
    expect(reply.response).toContain(message);
  });

  it('streams tokens one by one and ends with exactly one done', async () => {
    const response = await postChat(
      environment.url,
      { message: 'Tell me something' },
      { headers: stream },
    );

    const { events, chunks } = await readEvents(response);
    const names = events.map(({ event }) => event);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(names[0]).toBe('session');
    expect(names.filter((name) => name === 'done' || name === 'error')).toEqual(['done']);
    expect(names.at(-1)).toBe('done');
    expect(names.filter((name) => name === 'delta').length).toBeGreaterThan(5);
    expect(chunks).toBeGreaterThan(5);
  });

  it('says the same in a stream as in one piece', async () => {
    const whole = replySchema.parse(
      await (await postChat(environment.url, { message: 'Same?' })).json(),
    );

    const { events } = await readEvents(
      await postChat(environment.url, { message: 'Same?', stream: true }),
    );

    const text = events
      .filter(({ event }) => event === 'delta')
      .map(({ data }) => z.strictObject({ text: z.string() }).parse(data).text)
      .join('');
    const done = events.at(-1)?.data;
    expect(text).toBe(whole.response);
    expect(done).toEqual({
      requestId: expect.any(String),
      sessionId: expect.any(String),
      model: whole.model,
      finishReason: 'stop',
      cached: false,
      usage: whole.usage,
      toolCalls: [],
    });
  });

  it('keeps a sane request id and trace of the caller', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

    const response = await postChat(
      environment.url,
      { message: 'Hi' },
      { headers: { 'x-request-id': 'order-4711', traceparent } },
    );

    expect(response.headers.get('x-request-id')).toBe('order-4711');
    expect(response.headers.get('traceparent')?.slice(3, 35)).toBe(traceparent.slice(3, 35));
  });

  it('stops the upstream call when the client leaves in the middle of a stream (H1)', async () => {
    environment.model.reset();
    const client = new AbortController();
    const response = await postChat(
      environment.url,
      { message: 'word '.repeat(2_000) },
      { headers: stream, signal: client.signal },
    );
    await readEvents(response, (events) => events.length > 3).catch(() => undefined);

    client.abort();

    await eventually(
      'the upstream call is aborted',
      () => environment.model.calls()[0]?.status === 'aborted',
    );
    const call = environment.model.calls()[0];
    expect(environment.model.calls()).toHaveLength(1);
    expect(call?.tokensSent).toBeLessThan(1_000);
  });
});

describe('GET /health, /ready and /health/ready', () => {
  it('answer 200 without a call to the model', async () => {
    environment.model.reset();

    const responses = await Promise.all(
      ['/health', '/ready', '/health/ready'].map((path) => fetch(environment.url + path)),
    );

    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await responses[0]?.json()).toEqual({
      status: 'healthy',
      version: expect.stringMatching(/^\d+\.\d+\.\d+(\+[0-9a-f]{12}(-dirty)?)?$/),
    });
    expect(await responses[1]?.json()).toMatchObject({
      status: 'ready',
      chat: { status: 'ready' },
      batch: { status: 'ready' },
    });
    expect(environment.model.calls()).toEqual([]);
  });
});

describe('a client of Azure OpenAI (F24)', () => {
  it('gets answers and streams by the path of a deployment', async () => {
    const client = new AzureOpenAI({
      endpoint: environment.url,
      apiKey: 'unused',
      apiVersion: '2024-10-21',
      deployment: 'agent',
      maxRetries: 0,
    });
    const messages = [{ role: 'user' as const, content: 'Azure test' }];

    const whole = await client.chat.completions.create({ model: 'any', messages });
    const stream = client.chat.completions.stream({ model: 'any', messages });
    const streamed = await stream.finalContent();

    expect(whole.choices[0]?.message.content).toContain('Azure test');
    expect(streamed).toContain('Azure test');
  });
});

describe('a route that does not exist', () => {
  it.each([
    ['GET', '/v1/'],
    ['GET', '/v1/nothing'],
    ['DELETE', '/v1/chat/completions'],
    ['GET', '/v1/models/unknown'],
    ['POST', '/v1/embeddings'],
  ])('F21: %s %s is a 404 with an error body that no client repeats', async (method, path) => {
    const response = await fetch(`${environment.url}${path}`, { method });

    expect([response.status, response.headers.get('x-should-retry')]).toEqual([404, 'false']);
    expect(await response.json()).toMatchObject({
      error: { code: 'not_found', type: 'invalid_request_error' },
    });
  });
});
