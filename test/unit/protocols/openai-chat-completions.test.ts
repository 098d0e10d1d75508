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

    expect(protocol.toInput(request)).toEqual({
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
    { user: 'u', n: 1, top_p: 0.5, stop: ['x'], seed: 7, metadata: { a: 'b' }, stream: false },
    { max_completion_tokens: 5, presence_penalty: 0, frequency_penalty: 0, logprobs: false },
    { response_format: { type: 'text' }, tools: [], tool_choice: 'none', store: false },
  ])('accepts what clients send by habit: %j', (extra) => {
    expect(protocol.parse({ messages: [USER], ...extra }).messages).toEqual([USER]);
  });

  it.each([
    { param: 'n', body: { messages: [USER], n: 2 } },
    { param: 'tools', body: { messages: [USER], tools: [{ type: 'function' }] } },
    {
      param: 'response_format.type',
      body: { messages: [USER], response_format: { type: 'json' } },
    },
    { param: 'unheard_of', body: { messages: [USER], unheard_of: 1 } },
    { param: 'messages', body: { messages: [] } },
    { param: 'messages.0.role', body: { messages: [{ role: 'tool', content: 'x' }] } },
    { param: 'messages.0.content', body: { messages: [{ role: 'user', content: 7 }] } },
    { param: 'messages.0.content', body: { messages: [{ role: 'user', content: ' ' }] } },
    { param: 'messages.1.role', body: { messages: [USER, { role: 'system', content: 'x' }] } },
  ])('names the field that it cannot accept: $param', ({ body, param }) => {
    expect(() => protocol.parse(body)).toThrow(
      expect.objectContaining({ code: 'invalid_request', param }),
    );
  });

  it('refuses a conversation that is too long as a whole', () => {
    const long = { role: 'user', content: 'x'.repeat(60_000) };

    const reading = () => protocol.parse({ messages: [long, long] });

    expect(reading).toThrow(expect.objectContaining({ code: 'context_too_long' }));
  });
});
