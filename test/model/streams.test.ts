import { describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../shared/model/model.ts';
import { createModelUnderTest, QUESTION, QUESTION_WITH_TOOL } from '../support/model-under-test.ts';
import {
  chunk,
  cutStream,
  event,
  hang,
  inTurn,
  openStream,
  refuse,
  reset,
  say,
  startScriptedUpstream,
  stream,
  type Script,
} from '../support/scripted-upstream.ts';

const HELLO = chunk({ content: 'Hello' });
const STOP = chunk({}, 'stop');

async function outcomeOf(script: Script, settings = {}, request = QUESTION) {
  await using upstream = await startScriptedUpstream(script);
  const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl], settings });
  const outcome = await underTest.stream({}, request);
  return { ...outcome, calls: upstream.requests.length, upstream, underTest };
}

function piecesOf(events: readonly ModelEvent[]): readonly string[] {
  return events.flatMap((one) => (one.type === 'text-delta' ? (one.pieces ?? [one.text]) : []));
}

describe('a stream', () => {
  it('delivers text as it arrives and ends with exactly one response', async () => {
    const usage = {
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
    };
    const azureFirst = { choices: [], prompt_filter_results: [] };
    await using upstream = await startScriptedUpstream(
      stream(azureFirst, HELLO, chunk({ content: ' you' }), STOP, usage, '[DONE]'),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const events: ModelEvent[] = [];
    for await (const one of model.stream({ messages: [] }, call())) events.push(one);

    expect(piecesOf(events)).toEqual(['Hello', ' you']);
    expect(events.filter(({ type }) => type === 'done')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({
      response: {
        text: 'Hello you',
        finishReason: 'stop',
        usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12 },
        model: 'scripted',
      },
    });
    expect(upstream.requests[0]?.body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('leaves its connection to the next call, also when it ends later than its response', async () => {
    await using upstream = await startScriptedUpstream(async ({ response }) => {
      openStream(response, HELLO, STOP, '[DONE]');
      await new Promise((resolve) => setTimeout(resolve, 20));
      response.end();
    });
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    await ask();

    expect(await upstream.requests[0]?.leftEarly).toBe(false);
  });

  it('has tool calls in its response and none of them as text', async () => {
    const part = (call: unknown) => chunk({ tool_calls: [call] });
    const { text, answer } = await outcomeOf(
      stream(
        part({ index: 0, id: 'call_1', function: { name: 'now', arguments: '' } }),
        part({ index: 0, function: { arguments: '{"zone":"UTC"}' } }),
        chunk({}, 'tool_calls'),
        '[DONE]',
      ),
      {},
      QUESTION_WITH_TOOL,
    );

    expect(text).toBe('');
    expect(answer).toMatchObject({
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'call_1', name: 'now', arguments: '{"zone":"UTC"}' }],
    });
  });
});

describe('U10 a stream that breaks after some text', () => {
  it('keeps the text, is flagged as interrupted, and is not repeated', async () => {
    const { text, answer, error, calls } = await outcomeOf(cutStream(HELLO));

    expect(text).toBe('Hello');
    expect(answer).toBeUndefined();
    expect(error).toMatchObject({ code: 'upstream_interrupted' });
    expect(calls).toBe(1);
  });

  it('is not repeated on another endpoint either', async () => {
    await using cutting = await startScriptedUpstream(cutStream(HELLO));
    await using whole = await startScriptedUpstream(say('whole'));
    const { stream: ask } = createModelUnderTest({ endpoints: [cutting.baseUrl, whole.baseUrl] });

    const { text, error } = await ask();

    expect({ text, error }).toMatchObject({
      text: 'Hello',
      error: { code: 'upstream_interrupted' },
    });
    expect(whole.requests).toHaveLength(0);
  });

  it('leaves the circuit closed: every caller gets the error of its own stream', async () => {
    await using upstream = await startScriptedUpstream(cutStream(HELLO));
    const { stream: ask, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    for (let i = 0; i < 5; i += 1) await ask();

    expect(model.endpoints()[0]?.circuit).toBe('closed');
  });
});

describe('U10 a stream that breaks before its first visible token', () => {
  it.each([
    ['before its headers', reset],
    ['after its headers', cutStream()],
    ['after an empty delta', cutStream(chunk({ role: 'assistant', content: '' }))],
    [
      'in the middle of a tool call',
      cutStream(chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'b' } }] })),
    ],
    ['with a status', refuse(503)],
    ['with an error event', stream({ error: { message: 'canary', code: 'server_error' } })],
  ])('%s: every caller gets a whole answer from the next endpoint', async (_name, script) => {
    await using cutting = await startScriptedUpstream(script);
    await using whole = await startScriptedUpstream(say('whole'));
    const { stream: ask } = createModelUnderTest({ endpoints: [cutting.baseUrl, whole.baseUrl] });

    const outcomes = await Promise.all(Array.from({ length: 10 }, () => ask()));

    expect(outcomes.map(({ answer }) => answer?.text)).toEqual(Array(10).fill('whole'));
    expect(outcomes.map(({ text }) => text)).toEqual(Array(10).fill('whole'));
  });
});

describe('U11 a stream that ends without a finish reason', () => {
  it.each([
    ['without [DONE]', stream(HELLO)],
    ['with [DONE]', stream(HELLO, '[DONE]')],
    ['with usage and [DONE]', stream(HELLO, { choices: [], usage: null }, '[DONE]')],
  ])('%s is interrupted, never a short answer', async (_name, script) => {
    const { text, answer, error } = await outcomeOf(script);

    expect(text).toBe('Hello');
    expect(answer).toBeUndefined();
    expect(error).toMatchObject({ code: 'upstream_interrupted' });
  });

  it('is called again if it was empty', async () => {
    const { answer, calls } = await outcomeOf(inTurn(stream(), stream('[DONE]'), say('hello')));

    expect(answer?.text).toBe('hello');
    expect(calls).toBe(3);
  });

  it('is complete with a finish reason, with or without [DONE]', async () => {
    const { answer } = await outcomeOf(cutStream(HELLO, STOP));

    expect(answer).toMatchObject({ text: 'Hello', usageEstimated: true });
  });
});

describe('U13 a stream without a first token', () => {
  it('times out, and the socket is closed', async () => {
    const { error, upstream, calls } = await outcomeOf(({ response }) => openStream(response), {
      firstTokenTimeoutMs: 100,
    });

    expect(error).toMatchObject({ code: 'upstream_timeout' });
    expect(calls).toBe(3);
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });

  it('fails over to an endpoint that answers', async () => {
    await using silent = await startScriptedUpstream(hang);
    await using well = await startScriptedUpstream(say('hello'));
    const { stream: ask } = createModelUnderTest({
      endpoints: [silent.baseUrl, well.baseUrl],
      settings: { firstTokenTimeoutMs: 100 },
    });

    expect((await ask()).answer?.text).toBe('hello');
  });
});

describe('U14 a slow stream', () => {
  it.each([
    ['comments', ': keep-alive\n\n'],
    ['single bytes', ':'],
    ['empty deltas', event(chunk({ content: '' }))],
    ['empty lines', '\n'],
  ])('is ended when only %s arrive', async (_name, bytes) => {
    const { text, error } = await outcomeOf(
      ({ response }) => {
        openStream(response, HELLO);
        const timer = setInterval(() => response.write(bytes), 20);
        response.once('close', () => clearInterval(timer));
      },
      { idleTimeoutMs: 200 },
    );

    expect(text).toBe('Hello');
    expect(error).toMatchObject({ code: 'upstream_timeout' });
  });

  it('continues while tokens arrive, though it takes longer than the limit', async () => {
    const { answer } = await outcomeOf(
      async ({ response }) => {
        openStream(response);
        for (let i = 0; i < 12; i += 1) {
          response.write(event(i % 2 === 0 ? HELLO : chunk({ reasoning_content: 'hm' })));
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        response.end(event(STOP));
      },
      { idleTimeoutMs: 400, firstTokenTimeoutMs: 400 },
    );

    expect(answer?.text).toBe('Hello'.repeat(6));
  });

  it('continues during reasoning text, which is not shown', async () => {
    const { answer } = await outcomeOf(
      async ({ response }) => {
        openStream(response);
        for (let i = 0; i < 12; i += 1) {
          response.write(event(chunk({ reasoning_content: 'hm' })));
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        response.end(event(HELLO) + event(STOP));
      },
      { idleTimeoutMs: 300, firstTokenTimeoutMs: 300 },
    );

    expect(answer?.text).toBe('Hello');
  });

  it('is not ended for a reader that takes longer than the limit', async () => {
    await using upstream = await startScriptedUpstream(stream(HELLO, HELLO, STOP, '[DONE]'));
    const { model, call } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { idleTimeoutMs: 50 },
    });
    const types: string[] = [];

    for await (const { type } of model.stream({ messages: [] }, call())) {
      types.push(type);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }

    expect(types[0]).toBe('text-delta');
    expect(types.at(-1)).toBe('done');
  });
});

describe('U17 an error in the stream', () => {
  it.each([
    ['as data', stream(HELLO, { error: { message: 'canary', code: 'server_error' } }, '[DONE]')],
    [
      'as an event of its own',
      ({ response }: Parameters<Script>[0]) => {
        openStream(response, HELLO);
        response.end('event: error\ndata: canary\n\n');
      },
    ],
  ])('%s interrupts the response without repeating its text', async (_name, script) => {
    const { text, error, underTest } = await outcomeOf(script);

    expect(text).toBe('Hello');
    expect(error).toMatchObject({ code: 'upstream_interrupted' });
    expect(JSON.stringify([error, String(error), underTest.lines])).not.toContain('canary');
  });
});
