import { describe, expect, it } from 'vitest';
import {
  firstTokenLimitName,
  isTokenLimitNameRejected,
  toRequestParams,
} from '../../../../shared/model/openai/chat-completions-client.ts';

const context = { model: 'model-a', tokenLimitName: 'max_completion_tokens' as const };

describe('chat completion parameters', () => {
  it('sends only the parameters of the request', () => {
    const params = toRequestParams({ messages: [{ role: 'user', content: 'hi' }] }, context);

    expect(params).toEqual({ model: 'model-a', messages: [{ role: 'user', content: 'hi' }] });
  });

  it('sends limit, temperature and tools if the request has them', () => {
    const tool = { name: 'now', description: 'The time', parameters: { type: 'object' } };

    const params = toRequestParams(
      { messages: [], maxOutputTokens: 50, temperature: 0, tools: [tool] },
      context,
    );

    expect(params).toEqual({
      model: 'model-a',
      messages: [],
      max_completion_tokens: 50,
      temperature: 0,
      tools: [{ type: 'function', function: tool }],
    });
  });

  it('carries tool calls and their results', () => {
    const params = toRequestParams(
      {
        messages: [
          {
            role: 'assistant',
            content: null,
            toolCalls: [{ id: 'call_1', name: 'now', arguments: '{}' }],
          },
          { role: 'tool', toolCallId: 'call_1', content: '12:00' },
        ],
      },
      context,
    );

    expect(params.messages).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: '12:00' },
    ]);
  });
});

describe('the name of the token limit', () => {
  it.each([
    ['openai', 'https://api.openai.com/v1', 'max_completion_tokens'],
    ['azure', 'https://x.openai.azure.com/openai/v1', 'max_completion_tokens'],
    ['openai', 'http://127.0.0.1:8080/v1', 'max_tokens'],
    ['openai', 'https://api.openai.com.evil.example/v1', 'max_tokens'],
    ['openai', 'no address', 'max_tokens'],
  ] as const)('for %s at %s is %s at first', (kind, baseUrl, expected) => {
    expect(firstTokenLimitName({ kind, baseUrl })).toBe(expected);
  });

  it.each([
    [{ code: 'unsupported_parameter', param: 'max_tokens' }, true],
    [{ message: "Unsupported parameter: 'max_tokens' is not supported with this model." }, true],
    [{ message: 'Unrecognized request argument supplied: max_tokens' }, true],
    [{ code: 'unsupported_parameter', param: 'temperature' }, false],
    [{ code: 'invalid_value', param: 'max_tokens', message: 'max_tokens is too large' }, false],
    [{ message: "'max_completion_tokens' is not supported" }, false],
    [undefined, false],
  ])('is refused by %j: %s', (error, expected) => {
    expect(isTokenLimitNameRejected(error, 'max_tokens')).toBe(expected);
  });
});
