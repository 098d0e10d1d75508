import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FINISH_REASONS } from '../../shared/model/openai/read-response.ts';
import {
  createModelUnderTest,
  failureOf,
  QUESTION_WITH_TOOL,
} from '../support/model-under-test.ts';
import {
  answer,
  chunk,
  completion,
  startScriptedUpstream,
  stream,
} from '../support/scripted-upstream.ts';

const TOOL_CALL = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };

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

    expect((await model.complete(QUESTION_WITH_TOOL, call())).finishReason).toBe('tool_calls');
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

  it('that is unknown stays invalid', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, completion({ content: 'hi' }, 'tired')),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    expect((await failureOf(complete())).code).toBe('upstream_invalid');
  });

  it('is in the table of docs/model-endpoints.md, and no other is', () => {
    const text = readFileSync('docs/model-endpoints.md', 'utf8');
    const rows = [...text.matchAll(/^\| `(\w+)` \| (`.*`) \|$/gm)];

    const table = Object.fromEntries(
      rows.map(([, meaning, names = '']) => [
        meaning,
        [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
      ]),
    );

    expect(table).toEqual(FINISH_REASONS);
  });
});
