import { describe, expect, it } from 'vitest';
import {
  createModelUnderTest,
  failureOf,
  QUESTION_WITH_TOOL,
  type ModelUnderTest,
} from '../support/model-under-test.ts';
import {
  answer,
  chunk,
  completion,
  event,
  inTurn,
  openStream,
  refuse,
  say,
  startScriptedUpstream,
  stream,
  type Script,
} from '../support/scripted-upstream.ts';

const FOX = 'Grüße 🦊';

/** Sends exactly these bytes as an event stream. */
function raw(...parts: readonly (string | Uint8Array)[]): Script {
  return async ({ response }) => {
    openStream(response);
    for (const part of parts) {
      response.write(part);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    response.end();
  };
}

describe('a whole response', () => {
  it('has text, finish reason, usage and the public name of the model', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await complete()).toEqual({
      text: 'hello',
      toolCalls: [],
      finishReason: 'stop',
      usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
      model: 'scripted',
    });
    expect(model.endpoints()[0]?.lastSuccessAt).toBeGreaterThan(Date.now() - 5_000);
  });

  it('has tool calls', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: null, tool_calls: [call] }, 'tool_calls')),
    );
    const { model, call: callOf } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await model.complete(QUESTION_WITH_TOOL, callOf())).toMatchObject({
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'call_1', name: 'now', arguments: '{}' }],
    });
  });
});

describe('U15 event streams in every legal form', () => {
  const whole = event(chunk({ content: FOX })) + event(chunk({}, 'stop')) + event('[DONE]');
  const bytes = new TextEncoder().encode(whole);
  const split = bytes.indexOf(0xf0) + 2;

  it.each([
    ['CRLF', raw(whole.replaceAll('\n', '\r\n'))],
    ['CR', raw(whole.replaceAll('\n', '\r'))],
    ['a byte order mark', raw(`\uFEFF${whole}`)],
    ['a character cut in two', raw(bytes.subarray(0, split), bytes.subarray(split))],
    ['comments and other events', raw(`: hi\n\nevent: ping\ndata: {"no":1}\n\n${whole}`)],
    ['data on several lines', raw(whole.replace('{"id"', '{\ndata: "id"'))],
    ['a line end cut in two', raw(`${whole.slice(0, -2)}\r`, '\n\r', '\n')],
  ])('reads %s', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await ask()).toMatchObject({ text: FOX, answer: { text: FOX }, error: undefined });
  });

  it.each([
    ['broken JSON', raw(event(chunk({ content: 'Hi' })), 'data: {"choices":[canary\n\n')],
    ['no object', raw(event(chunk({ content: 'Hi' })), event('7'))],
    ['a line over the cap', raw(event(chunk({ content: 'Hi' })), `data: ${'x'.repeat(5_000)}`)],
  ])('rejects %s without repeating its text', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { stream: ask, lines } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxLineBytes: 1_000 },
    });

    const { text, error } = await ask();

    expect(text).toBe('Hi');
    expect(error).toMatchObject({ code: 'upstream_invalid' });
    expect(JSON.stringify([String(error), lines])).not.toMatch(/canary|xxx/);
  });
});

const CALL_WITHOUT_NAME = { id: 'a', type: 'function', function: { arguments: '{}' } };
const NO_ANSWERS: readonly (readonly [string, Script])[] = [
  ['HTML', answer(200, '<html>canary</html>')],
  ['an empty body', answer(200)],
  ['an empty object', answer(200, {})],
  ['an error under 200', answer(200, { error: { message: 'canary' } })],
  ['truncated JSON', answer(200, JSON.stringify(completion({ content: 'canary' })).slice(0, -9))],
  ['no choices', answer(200, { ...Object(completion({})), choices: [] })],
  ['no text', answer(200, completion({ content: null }))],
  ['text that is none', answer(200, completion({ content: { canary: 1 } }))],
  ['a tool call without a name', answer(200, completion({ tool_calls: [CALL_WITHOUT_NAME] }))],
  ['an unknown finish reason', answer(200, completion({ content: 'canary' }, 'tired'))],
  ['a body over the cap', answer(200, completion({ content: 'x'.repeat(50_000) }))],
];

describe('U16 an invalid success', () => {
  it.each(NO_ANSWERS)('%s: is retried once, then an error', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { complete, lines } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxBodyBytes: 10_000 },
    });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_invalid');
    expect(upstream.requests).toHaveLength(2);
    expect(JSON.stringify([failure.message, failure.stack, lines])).not.toContain('canary');
  });

  it.each(NO_ANSWERS)(
    '%s: is hidden from the caller when the next response is valid',
    async (...row) => {
      await using upstream = await startScriptedUpstream(inTurn(row[1], say('hello')));
      const { complete } = createModelUnderTest({
        endpoints: [upstream.baseUrl],
        settings: { maxBodyBytes: 10_000 },
      });

      expect((await complete()).text).toBe('hello');
    },
  );

  it('stops reading a body at the cap', async () => {
    let sent = 0;
    await using upstream = await startScriptedUpstream(({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const piece = Buffer.alloc(64 * 1024, 'x');
      function pump(): void {
        while (!response.destroyed && response.write(piece)) sent += piece.length;
        sent += piece.length;
      }
      response.on('drain', pump);
      pump();
    });
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxBodyBytes: 100_000, maxAttempts: 1 },
    });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_invalid');
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
    expect(sent).toBeLessThan(20_000_000);
  });

  it.each([
    ['a body that is no event stream', answer(200, completion({ content: 'canary' }))],
    ['an end without text', stream(chunk({}, 'stop'), '[DONE]')],
  ])('applies to streams: %s', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await ask()).error).toMatchObject({ code: 'upstream_invalid' });
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('U18 the content filter', () => {
  const error = {
    code: 'content_filter',
    innererror: {
      code: 'ResponsibleAIPolicyViolation',
      content_filter_result: { violence: { filtered: true }, hate: { filtered: false } },
    },
  };

  it('is reported after one call, with its categories', async () => {
    await using upstream = await startScriptedUpstream(refuse(400, error));
    await using other = await startScriptedUpstream(say('hello'));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl, other.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('content_filtered');
    expect(failure.message).toContain('violence');
    expect(failure.message).not.toContain('hate');
    expect([upstream.requests.length, other.requests.length]).toEqual([1, 0]);
  });

  it.each([
    [
      'an answer',
      answer(200, completion({ content: 'partly' }, 'content_filter')),
      (underTest: ModelUnderTest) => failureOf(underTest.complete()),
    ],
    [
      'a stream that reports it as an error',
      stream({ error }),
      async (underTest: ModelUnderTest) => (await underTest.stream()).error,
    ],
  ])('ends %s as filtered', async (_name, script, ask) => {
    await using upstream = await startScriptedUpstream(script);
    const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await ask(underTest)).toMatchObject({ code: 'content_filtered' });
    expect(upstream.requests).toHaveLength(1);
  });

  it('ends a stream as filtered after the text before it', async () => {
    await using upstream = await startScriptedUpstream(
      stream(chunk({ content: 'So far' }), chunk({}, 'content_filter'), '[DONE]'),
    );
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await ask()).toMatchObject({
      text: 'So far',
      answer: undefined,
      error: { code: 'content_filtered' },
    });
  });
});

describe('U19 a conversation that is too long', () => {
  it('is reported after one call', async () => {
    await using upstream = await startScriptedUpstream(
      refuse(400, { code: 'context_length_exceeded' }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('context_too_long');
    expect(upstream.requests).toHaveLength(1);
  });

  it('is recognised by its text if the error has no envelope, and requests no encoding', async () => {
    const text = 'This model has a maximum context length of 4096 tokens';
    await using upstream = await startScriptedUpstream(
      answer(400, { object: 'error', message: text, type: 'BadRequestError', code: 400 }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('context_too_long');
    expect(upstream.requests[0]?.headers['accept-encoding']).toBe('identity');
  });
});
