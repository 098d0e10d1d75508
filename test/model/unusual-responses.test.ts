import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../../shared/model/model.ts';
import { createModelUnderTest, failureOf, QUESTION } from '../support/model-under-test.ts';
import {
  answer,
  chunk,
  completion,
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
  ])('in a stream is marked as one: %s', async (_name, sent) => {
    const { upstream, model, call } = await underTest(
      stream(...sent.map((delta) => chunk(delta)), chunk({}, 'stop'), '[DONE]'),
    );
    const events = [];

    for await (const one of model.stream(QUESTION, call())) events.push(one);

    const deltas = events.filter((one) => one.type === 'text-delta');
    expect(deltas.every(({ isRefusal }) => isRefusal === true)).toBe(true);
    expect(deltas.flatMap(({ text, pieces = [text] }) => pieces)).toEqual(['I ', 'cannot']);
    expect(events.at(-1)).toMatchObject({
      type: 'done',
      response: { text: REFUSAL, refusal: REFUSAL },
    });
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

describe('F6 split characters', () => {
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
      if (one.type === 'text-delta') texts.push(...(one.pieces ?? [one.text]));
      else whole = one.response.text;
    }

    expect(texts.join('')).toBe(expected);
    expect(texts.every((text) => text.isWellFormed())).toBe(true);
    expect(whole).toBe(expected);
  });

  it('lone surrogates in a whole response become U+FFFD', async () => {
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
