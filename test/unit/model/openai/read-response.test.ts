import { describe, expect, it } from 'vitest';
import {
  toModelResponse,
  type RawCompletion,
} from '../../../../shared/model/openai/read-response.ts';
import type { ModelEndpoint } from '../../../../shared/model/model.ts';

const CALL = { id: 'call_1', name: 'get_weather', arguments: '{"city":"Oslo"}' };
const request = {
  messages: [{ role: 'user' as const, content: 'x'.repeat(40) }],
  tools: [{ name: 'get_weather', parameters: {} }],
};

function createEndpoint(parts: Partial<ModelEndpoint> = {}): ModelEndpoint {
  return {
    name: 'primary',
    kind: 'openai',
    baseUrl: 'http://127.0.0.1/v1',
    model: 'model-a',
    apiKey: async () => 'key',
    ...parts,
  };
}

function build(raw: Partial<RawCompletion>, endpoint: Partial<ModelEndpoint> = {}) {
  return toModelResponse(
    {
      text: 'hello',
      toolCalls: [],
      finishReason: 'stop',
      model: undefined,
      usage: undefined,
      ...raw,
    },
    { endpoint: createEndpoint(endpoint), request, onMappedFinishReason: () => undefined },
  );
}

describe('whole responses', () => {
  it('uses the usage of the endpoint and computes a missing total', () => {
    const { usage, usageEstimated } = build({ usage: { prompt_tokens: 10, completion_tokens: 5 } });

    expect(usage).toEqual({ inputTokens: 10, outputTokens: 5, totalTokens: 15 });
    expect(usageEstimated).toBeUndefined();
  });

  it('estimates four characters a token where the endpoint sends no usage, and marks the estimate', () => {
    const { usage, usageEstimated } = build({ text: 'twelve chars' });

    expect(usage).toEqual({ inputTokens: 10, outputTokens: 3, totalTokens: 13 });
    expect(usageEstimated).toBe(true);
  });

  it('has the finish reason tool_calls even where the endpoint sends stop', () => {
    expect(build({ text: undefined, toolCalls: [CALL] }).finishReason).toBe('tool_calls');
  });

  it('drops a tool call that the token limit cut short', () => {
    const answer = build({ text: undefined, toolCalls: [CALL], finishReason: 'length' });

    expect(answer).toMatchObject({ finishReason: 'length', toolCalls: [], text: '' });
  });

  it.each([
    ['U16', 'no text and no tool calls', { text: undefined }, 'upstream_invalid'],
    ['U16', 'tool calls that are none', { finishReason: 'tool_calls' }, 'upstream_invalid'],
    ['U11', 'an unknown reason', { finishReason: 'because' }, 'upstream_invalid'],
    ['U11', 'an empty reason', { finishReason: '' }, 'upstream_invalid'],
    ['U18', 'the content filter', { finishReason: 'content_filter' }, 'content_filtered'],
  ])('%s: refuses an answer with %s', (...row) => {
    const [, , raw, code] = row;

    expect(() => build(raw)).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    ['what the upstream says', { model: 'model-a-2026' }, {}, 'model-a-2026'],
    ['what was configured', { model: 'x' }, { publicModelName: 'our-model' }, 'our-model'],
    ['the model where the upstream says nothing', {}, {}, 'model-a'],
    ['the label, not a deployment', { model: 'model-a' }, { kind: 'azure' as const }, 'primary'],
    ['the label where Azure says nothing', {}, { kind: 'azure' as const }, 'primary'],
    ['the model behind a deployment', { model: 'gpt-x' }, { kind: 'azure' as const }, 'gpt-x'],
  ])('calls the model %s', (...row) => {
    const [, raw, endpoint, expected] = row;

    expect(build(raw, endpoint).model).toBe(expected);
  });
});
