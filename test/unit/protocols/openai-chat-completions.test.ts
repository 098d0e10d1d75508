import { describe, expect, it } from 'vitest';
import { openAiChatCompletions as protocol } from '../../../shared/protocols/openai-chat-completions.ts';

const USER = { role: 'user', content: 'Hi' };

describe('the request of chat completions', () => {
  it('becomes the messages of the agent, with the text parts joined', () => {
    const request = protocol.parse({
      model: 'any',
      messages: [
        { role: 'system', content: 'Rhyme' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'A' },
            { type: 'text', text: 'B' },
          ],
        },
        { role: 'assistant', content: 'C', refusal: null },
        USER,
      ],
      max_tokens: 9,
      temperature: 0.2,
    });

    const { fieldNames: _names, ...input } = protocol.toInput(request);
    expect(input).toEqual({
      messages: [
        { role: 'system', content: 'Rhyme' },
        { role: 'user', content: 'AB' },
        { role: 'assistant', content: 'C' },
        { role: 'user', content: 'Hi' },
      ],
      maxOutputTokens: 9,
      temperature: 0.2,
    });
  });

  it.each([
    { user: 'u', n: 1, metadata: { a: 'b' }, stream: false, service_tier: 'auto' },
    { top_p: 1, presence_penalty: 0, frequency_penalty: 0, logprobs: false, logit_bias: {} },
    { tools: [], functions: [], store: false, audio: null },
    { stop: null, seed: null, tools: null, tool_choice: null, response_format: null, n: null },
  ])('accepts what clients send by habit without sending it on: %j', (extra) => {
    const request = protocol.parse({ messages: [USER], ...extra });

    const { messages, tools, fieldNames: _names, ...parameters } = protocol.toInput(request);
    expect(messages).toEqual([USER]);
    expect(tools ?? []).toEqual([]);
    expect(Object.values(parameters).filter((value) => value !== undefined)).toEqual([]);
  });

  it('takes the shape of the answer, with the path of its schema', () => {
    const schema = { type: 'object' };
    const format = (value: object) =>
      protocol.toInput(protocol.parse({ messages: [USER], response_format: value })).responseFormat;

    expect(format({ type: 'text' })).toEqual({ type: 'text' });
    expect(format({ type: 'json_object' })).toEqual({ type: 'json_object' });
    expect(
      format({ type: 'json_schema', json_schema: { name: 'n', schema, strict: true } }),
    ).toEqual({
      type: 'json_schema',
      name: 'n',
      schema,
      strict: true,
      param: 'response_format.json_schema.schema',
    });
  });

  it('sends on every parameter that changes the answer', () => {
    const request = protocol.parse({
      messages: [USER],
      top_p: 0.5,
      presence_penalty: 1,
      frequency_penalty: -1,
      seed: 7,
      stop: 'END',
      reasoning_effort: 'low',
      verbosity: 'high',
      parallel_tool_calls: false,
    });

    const { fieldNames: _names, ...input } = protocol.toInput(request);
    expect(input).toEqual({
      messages: [USER],
      topP: 0.5,
      presencePenalty: 1,
      frequencyPenalty: -1,
      seed: 7,
      stop: ['END'],
      reasoningEffort: 'low',
      verbosity: 'high',
      parallelToolCalls: false,
    });
  });

  it.each([
    { param: 'n', body: { messages: [USER], n: 2 } },
    { param: 'logprobs', body: { messages: [USER], logprobs: true } },
    { param: 'top_logprobs', body: { messages: [USER], top_logprobs: 2 } },
    { param: 'modalities.0', body: { messages: [USER], modalities: ['audio'] } },
    { param: 'audio', body: { messages: [USER], audio: { voice: 'x' } } },
    { param: 'logit_bias', body: { messages: [USER], logit_bias: { 5: 1 } } },
    { param: 'web_search_options', body: { messages: [USER], web_search_options: {} } },
    { param: 'stop', body: { messages: [USER], stop: ['1', '2', '3', '4', '5'] } },
    { param: 'verbosity', body: { messages: [USER], verbosity: 'chatty' } },
    {
      param: 'response_format.type',
      body: { messages: [USER], response_format: { type: 'json' } },
    },
    {
      param: 'response_format.json_schema.schema',
      body: {
        messages: [USER],
        response_format: { type: 'json_schema', json_schema: { name: 'n' } },
      },
    },
    { param: 'unheard_of', body: { messages: [USER], unheard_of: 1 } },
    { param: 'messages', body: { messages: [] } },
    { param: 'messages.0.role', body: { messages: [{ role: 'function', content: 'x' }] } },
    { param: 'messages.0.content', body: { messages: [{ role: 'user', content: 7 }] } },
    { param: 'messages.0.content', body: { messages: [{ role: 'user', content: ' ' }] } },
    { param: 'messages.1.content', body: { messages: [USER, { role: 'system', content: ' ' }] } },
  ])('names the field that it cannot accept: $param', ({ body, param }) => {
    expect(() => protocol.parse(body)).toThrow(
      expect.objectContaining({ code: 'invalid_request', param }),
    );
  });
});
