import { once } from 'node:events';
import { Agent } from 'node:http';
import type { HttpHandler } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../shared/model/model.ts';
import { createChat, type ChatScript, type ChatUnderTest } from '../support/chat-handler.ts';
import { answerOf, never, textsThenAnswer } from '../support/scripted-model.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';
import { postTo, type SendOptions, textOf } from './post-to-worker.ts';

const STREAM = JSON.stringify({ message: 'Hi', stream: true });

let worker: LibraryWorker;
let current: HttpHandler;

beforeAll(async () => {
  worker = await startLibraryWorker((request, context) => current(request, context));
});

afterAll(() => worker.close());

const post = (options: SendOptions) => postTo(worker, options);

function serve(script: ChatScript): ChatUnderTest {
  const chat = createChat(script);
  current = chat.handler;
  return chat;
}

/** A model that streams until its reader stops, and counts what it sent. */
function endless(textChars: number) {
  const state = { made: 0, finished: false };
  async function* stream(): AsyncGenerator<ModelEvent> {
    try {
      for (;;) {
        state.made += 1;
        yield { type: 'text-delta', text: 'x'.repeat(textChars) };
        await new Promise(setImmediate);
      }
    } finally {
      state.finished = true;
    }
  }
  return { state, stream };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('The condition did not come true within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** How often a number is the same in a row before it counts as standing still. */
async function untilStill(read: () => number): Promise<number> {
  let last = read();
  for (let same = 0; same < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = read() === last ? same + 1 : 0;
    last = read();
  }
  return last;
}

describe("a chat through the library's streaming proxy", () => {
  it('answers JSON with the ids of the wire and not of the shadowed headers', async () => {
    serve({ answers: [async () => answerOf('Hello')] });

    const { answered, invoked } = post({
      body: '{"message":"Hi"}',
      headers: { 'x-request-id': 'wire-1' },
    });
    const response = await answered;

    expect(response.statusCode).toBe(200);
    expect(response.headers['x-request-id']).toBe('wire-1');
    expect(JSON.parse(await textOf(response))).toMatchObject({ response: 'Hello' });
    await invoked;
  });

  it('streams to the end and finishes the invocation', async () => {
    serve({ streams: [() => textsThenAnswer(['Hel', 'lo'])] });

    const { answered, invoked } = post({ body: STREAM });
    const text = await textOf(await answered);

    expect(text.match(/^event: \w+/gm)).toEqual([
      'event: session',
      'event: delta',
      'event: delta',
      'event: done',
    ]);
    await invoked;
  });

  it('stops the model when the client leaves in the middle of a stream', async () => {
    const { state, stream } = endless(10);
    const { model, telemetry } = serve({ streams: [stream] });

    const { request, answered, invoked } = post({ body: STREAM });
    await once(await answered, 'data');
    request.destroy();
    await until(() => state.finished);
    await invoked;

    expect(model.calls[0]?.call.signal.aborted).toBe(true);
    expect(telemetry.lines.at(-1)?.fields['outcome']).toBe('client_disconnected');
  });

  it('stops the model when the client leaves before the answer', async () => {
    const asked = Promise.withResolvers<AbortSignal>();
    const { telemetry } = serve({
      answers: [
        (_request, { signal }) => {
          asked.resolve(signal);
          return never();
        },
      ],
    });

    const { request, invoked } = post({ body: '{"message":"Hi"}' });
    const signal = await asked.promise;
    request.destroy();
    await until(() => signal.aborted);
    await invoked;

    expect(telemetry.lines.at(-1)?.message).toBe('client disconnected');
  });

  it('takes a client that leaves while it sends for no defect of ours', async () => {
    const { telemetry } = serve({});

    const { request, invoked } = post({});
    request.write('{"mess');
    await new Promise((resolve) => setTimeout(resolve, 50));
    request.destroy();
    await invoked;

    expect(telemetry.at('error')).toEqual([]);
    expect(telemetry.lines).toHaveLength(1);
  });

  it('lets a paused reader pause the model instead of filling memory', async () => {
    const { state, stream } = endless(10_000);
    serve({ streams: [stream] });

    const { request, answered } = post({ body: STREAM });
    const response = await answered;
    response.pause();
    const paused = await untilStill(() => state.made);
    response.resume();
    await until(() => state.made > paused + 100);
    request.destroy();
    await until(() => state.finished);

    // 10 kB each: the sockets' own buffers hold some MB, an unpaced stream would never stand still.
    expect(paused).toBeLessThan(2_000);
  });

  it('ends the invocation of a reader that never reads on when the time is up', async () => {
    const { state, stream } = endless(10_000);
    serve({ streams: [stream], streamDeadlineMs: 500 });

    const { request, answered, invoked } = post({ body: STREAM });
    const response = await answered;
    response.pause();
    await invoked;
    await until(() => state.finished);

    expect(response.readableEnded).toBe(false);
    request.destroy();
  });
});

describe('a refused body', () => {
  it.each([
    ['is announced as too large', { 'content-length': '400000' }],
    ['turns out to be too large', { 'transfer-encoding': 'chunked' }],
  ])('leaves the connection usable when it %s', async (_name, headers) => {
    serve({ answers: [async () => answerOf('Hello')] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });

    const refused = post({ body: Buffer.alloc(400_000, 'a'), headers, agent });
    const response = await refused.answered;
    const text = await textOf(response);
    await refused.invoked;
    const next = post({ body: '{"message":"Hi"}', agent });
    const nextResponse = await next.answered;

    expect(response.statusCode).toBe(413);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'payload_too_large' } });
    expect(nextResponse.statusCode).toBe(200);
    await textOf(nextResponse);
    agent.destroy();
  });

  it('is answered before it ends, and its sender is cut when it does not stop', async () => {
    serve({});
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const headers = { 'transfer-encoding': 'chunked' };

    const { request, answered, invoked } = post({ headers, agent });
    const gone = new Promise((resolve) => request.once('close', resolve));
    const pump = setInterval(() => request.write(Buffer.alloc(65_536, 'a')), 2);
    const response = await answered;
    response.resume();
    await invoked;
    await gone;
    clearInterval(pump);
    agent.destroy();

    expect(response.statusCode).toBe(413);
  });
});
