import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../../shared/model/model.ts';
import { createModelUnderTest, failureOf, QUESTION } from '../support/model-under-test.ts';
import {
  answer,
  chunk,
  completion,
  event,
  startScriptedUpstream,
  stream,
  type Script,
} from '../support/scripted-upstream.ts';

const TOOL_CALL = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };
const TOOL = { name: 'now', description: 'The time', parameters: { type: 'object' } };
const WITH_TOOL: ModelRequest = { ...QUESTION, tools: [TOOL] };

async function underTest(script: Script, settings = {}) {
  const upstream = await startScriptedUpstream(script);
  return { upstream, ...createModelUnderTest({ endpoints: [upstream.baseUrl], settings }) };
}

describe('F4 a refusal', () => {
  const REFUSAL = 'I cannot';

  it.each([
    ['null content', { content: null, refusal: REFUSAL }],
    ['empty content', { content: '', refusal: REFUSAL }],
    ['no content', { refusal: REFUSAL }],
  ])('with %s is the response', async (_name, message) => {
    await using upstream = await startScriptedUpstream(answer(200, completion(message)));
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await complete()).toMatchObject({ text: REFUSAL, refusal: REFUSAL });
  });

  it.each([
    ['alone', [{ refusal: 'I ' }, { refusal: 'cannot' }]],
    [
      'with empty content',
      [
        { content: '', refusal: 'I ' },
        { content: '', refusal: 'cannot' },
      ],
    ],
    [
      'with null content',
      [
        { content: null, refusal: 'I ' },
        { content: null, refusal: 'cannot' },
      ],
    ],
  ])('in a stream is marked as one: %s', async (_name, deltas) => {
    const { upstream, model, call } = await underTest(
      stream(...deltas.map((delta) => chunk(delta)), chunk({}, 'stop'), '[DONE]'),
    );
    const events = [];

    for await (const one of model.stream(QUESTION, call())) events.push(one);

    expect(events).toMatchObject([
      { type: 'text-delta', text: 'I ', isRefusal: true },
      { type: 'text-delta', text: 'cannot', isRefusal: true },
      { type: 'done', response: { text: REFUSAL, refusal: REFUSAL } },
    ]);
    await upstream[Symbol.asyncDispose]();
  });

  it('is absent from a response with content and an empty refusal', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: 'hello', refusal: '' })),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect(await complete()).not.toHaveProperty('refusal');
  });
});

describe('F4 a tool call that was not requested', () => {
  const SCRIPTS: readonly (readonly [string, Script])[] = [
    [
      'as tool_calls',
      answer(200, completion({ content: null, tool_calls: [TOOL_CALL] }, 'tool_calls')),
    ],
    ['as stop', answer(200, completion({ content: null, tool_calls: [TOOL_CALL] }))],
    ['beside text', answer(200, completion({ content: 'hi', tool_calls: [TOOL_CALL] }))],
    ['cut short', answer(200, completion({ content: null, tool_calls: [TOOL_CALL] }, 'length'))],
  ];

  it.each(SCRIPTS)('%s is invalid', async (_name, script) => {
    await using upstream = await startScriptedUpstream(script);
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('upstream_invalid');
  });

  it('in a stream is invalid', async () => {
    await using upstream = await startScriptedUpstream(
      stream(
        chunk({ tool_calls: [{ index: 0, ...TOOL_CALL }] }),
        chunk({}, 'tool_calls'),
        '[DONE]',
      ),
    );
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await ask()).error).toMatchObject({ code: 'upstream_invalid' });
  });

  it('is the response where the request offers tools', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: null, tool_calls: [TOOL_CALL] }, 'tool_calls')),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await model.complete(WITH_TOOL, call())).toolCalls).toHaveLength(1);
  });
});

const ENCODINGS: readonly (readonly [string, (text: string) => Uint8Array])[] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZIP', gzipSync],
  ['br', brotliCompressSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['zstd', zstdCompressSync],
  ['identity', (text) => Buffer.from(text)],
];

describe('F5 a compressed body, although identity was requested', () => {
  function encoded(
    status: number,
    { encoding, type, bytes }: { encoding: string; type: string; bytes: Uint8Array },
  ): Script {
    return ({ response }) => {
      response.writeHead(status, { 'content-type': type, 'content-encoding': encoding });
      response.end(bytes);
    };
  }

  it.each(ENCODINGS)('is read: %s', async (encoding, compress) => {
    const bytes = compress(JSON.stringify(completion({ content: 'Grüße' })));
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await complete()).text).toBe('Grüße');
    await complete();
    expect(upstream.connections()).toBe(1);
  });

  it.each(ENCODINGS)('is read as a stream: %s', async (encoding, compress) => {
    const text = event(chunk({ content: 'Grüße' })) + event(chunk({}, 'stop')) + event('[DONE]');
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'text/event-stream', bytes: compress(text) }),
    );
    const { stream: ask } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await ask()).answer?.text).toBe('Grüße');
  });

  it.each(ENCODINGS)('is read as an error: %s', async (encoding, compress) => {
    const bytes = compress(JSON.stringify({ error: { code: 'context_length_exceeded' } }));
    await using upstream = await startScriptedUpstream(
      encoded(400, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('context_too_long');
  });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ])('%s is capped by its decoded size', async (encoding, compress) => {
    const bytes = compress(JSON.stringify(completion({ content: 'x'.repeat(20_000_000) })));
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxBodyBytes: 1_000_000 },
    });

    expect((await failureOf(complete())).code).toBe('upstream_invalid');
  });

  it.each([
    ['bytes that are not gzip', 'gzip', Buffer.from('{"choices":[]}')],
    [
      'half of the bytes',
      'gzip',
      gzipSync(JSON.stringify(completion({ content: 'hi' }))).subarray(0, 40),
    ],
    ['an unknown encoding', 'rot13', Buffer.from('{}')],
    ['no bytes', 'gzip', Buffer.alloc(0)],
  ])('fails as a response without content does: %s', async (...row) => {
    const [, encoding, bytes] = row;
    await using upstream = await startScriptedUpstream(
      encoded(200, { encoding, type: 'application/json', bytes }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toMatch(/^upstream_(?:invalid|unavailable)$/);
  });
});

describe('F6 characters in two halves', () => {
  it.each([
    ['one character', ['a\ud83e', '\udd8ab'], 'a🦊b'],
    ['two in a row', ['\ud83e', '\udd8a\ud83d', '\ude00'], '🦊😀'],
    ['with an empty delta between', ['\ud83e', '', '\udd8a'], '🦊'],
    ['a first half at the end', ['a', '\ud83e'], 'a\ufffd'],
    ['a second half alone', ['a', '\udd8ab'], 'a\ufffdb'],
    ['a first half before other text', ['\ud83e', 'b'], '\ufffdb'],
    ['two first halves', ['\ud83e', '\ud83e', '\udd8a'], '\ufffd🦊'],
  ])('%s', async (_name, deltas, expected) => {
    await using upstream = await startScriptedUpstream(
      stream(...deltas.map((content) => chunk({ content })), chunk({}, 'stop'), '[DONE]'),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const texts: string[] = [];
    let whole = '';

    for await (const one of model.stream(QUESTION, call())) {
      if (one.type === 'text-delta') texts.push(one.text);
      else whole = one.response.text;
    }

    expect(texts.join('')).toBe(expected);
    expect(texts.every((text) => text.isWellFormed())).toBe(true);
    expect(whole).toBe(expected);
  });

  it('lone halves in a whole response become U+FFFD', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: 'a\ud83eb' })),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await complete()).text).toBe('a\ufffdb');
  });
});

describe('F8 cached input tokens', () => {
  const usage = { prompt_tokens: 100, completion_tokens: 2, total_tokens: 102 };

  it.each([
    ['OpenAI', { prompt_tokens_details: { cached_tokens: 64 } }, 64],
    ['DeepSeek', { prompt_cache_hit_tokens: 64 }, 64],
    ['a proxy of Anthropic', { cache_read_input_tokens: 64 }, 64],
    ['more than the input', { prompt_tokens_details: { cached_tokens: 640 } }, 100],
    ['null details', { prompt_tokens_details: null }, undefined],
    ['an invalid count', { prompt_tokens_details: { cached_tokens: 'many' } }, undefined],
    ['none', {}, undefined],
  ])('as %s reports them', async (_name, details, expected) => {
    await using upstream = await startScriptedUpstream(
      answer(200, { ...Object(completion({ content: 'hi' })), usage: { ...usage, ...details } }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const response = await complete();

    expect(response.usage.cachedInputTokens).toBe(expected);
    expect(response.usage.inputTokens).toBe(100);
  });
});

describe('F11 a finish reason by another name', () => {
  it.each([
    ['eos', 'stop'],
    ['eos_token', 'stop'],
    ['end_turn', 'stop'],
    ['STOP', 'stop'],
    ['Stop', 'stop'],
    ['stop_sequence', 'stop'],
    ['COMPLETE', 'stop'],
    ['max_tokens', 'length'],
    ['MAX_TOKENS', 'length'],
    ['max_output_tokens', 'length'],
    ['model_length', 'length'],
  ])('%s is %s', async (reported, finishReason) => {
    await using upstream = await startScriptedUpstream((turn) =>
      turn.request.body['stream'] === true
        ? stream(chunk({ content: 'hi' }), chunk({}, reported), '[DONE]')(turn)
        : answer(200, completion({ content: 'hi' }, reported))(turn),
    );
    const {
      complete,
      stream: ask,
      lines,
    } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
    });

    const responses = [await complete(), (await ask()).answer, await complete()];

    expect(responses.map((response) => response?.finishReason)).toEqual(
      Array(3).fill(finishReason),
    );
    expect(lines.filter(({ message }) => message === 'model finish reason mapped')).toMatchObject([
      { level: 'warn', fields: { endpoint: 'primary', reported, mapped: finishReason } },
    ]);
  });

  it.each(['tool_use', 'function_call', 'tool_call'])('%s is tool_calls', async (reported) => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: null, tool_calls: [TOOL_CALL] }, reported)),
    );
    const { model, call } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await model.complete(WITH_TOOL, call())).finishReason).toBe('tool_calls');
  });

  it.each(['SAFETY', 'content_filtered', 'guardrail_intervened'])(
    '%s is the content filter',
    async (reported) => {
      await using upstream = await startScriptedUpstream(
        answer(200, completion({ content: 'hi' }, reported)),
      );
      const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

      expect((await failureOf(complete())).code).toBe('content_filtered');
    },
  );

  it.each(['error', 'abort', 'insufficient_system_resource'])(
    '%s is an interruption',
    async (reported) => {
      await using upstream = await startScriptedUpstream(
        answer(200, completion({ content: 'hi' }, reported)),
      );
      const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

      expect((await failureOf(complete())).code).toBe('upstream_interrupted');
    },
  );

  it('that nothing resembles stays invalid', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: 'hi' }, 'tired')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('upstream_invalid');
  });
});
