import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { openAiResponses as protocol } from '../../../shared/protocols/openai-responses.ts';

const CALL = { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' };
const OUTPUT = { type: 'function_call_output', call_id: 'c1', output: 'seen' };
const TOOL = { type: 'function', name: 'look', parameters: { type: 'object' } };

function inputOf(body: object) {
  return protocol.toInput(protocol.parse(body));
}

function paramOf(body: object): string | undefined {
  try {
    inputOf(body);
    return undefined;
  } catch (error) {
    return error instanceof ServiceError ? error.param : 'no service error';
  }
}

describe('the input of the Responses API', () => {
  it('is one message of the user if it is text', () => {
    const { messages } = inputOf({ input: 'Hi' });

    expect(messages).toEqual([{ role: 'user', content: 'Hi' }]);
  });

  it('joins text parts, keeps images, and takes an item with a role as a message', () => {
    const url = 'https://example.org/a.png';
    const { messages } = inputOf({
      instructions: 'Rhyme',
      input: [
        { role: 'system', content: 'Short' },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'A' },
            { type: 'input_text', text: 'B' },
          ],
        },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No' }] },
        { role: 'user', content: [{ type: 'input_image', image_url: url }] },
      ],
    });

    expect(messages).toEqual([
      { role: 'developer', content: 'Rhyme' },
      { role: 'system', content: 'Short' },
      { role: 'user', content: 'AB' },
      { role: 'assistant', content: 'No' },
      { role: 'user', content: [{ type: 'image', url, detail: 'auto' }] },
    ]);
  });

  it('makes one message of a text and the calls after it', () => {
    const { messages } = inputOf({
      input: [
        { role: 'user', content: 'Look' },
        { role: 'assistant', content: 'I look' },
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'x' },
        CALL,
        { ...CALL, call_id: 'c2' },
        { ...OUTPUT, output: [{ type: 'input_text', text: 'two' }], call_id: 'c2' },
        OUTPUT,
      ],
    });

    expect(messages).toEqual([
      { role: 'user', content: 'Look' },
      {
        role: 'assistant',
        content: 'I look',
        toolCalls: [
          { id: 'c1', name: 'look', arguments: '{}' },
          { id: 'c2', name: 'look', arguments: '{}' },
        ],
      },
      { role: 'tool', toolCallId: 'c2', content: 'two' },
      { role: 'tool', toolCallId: 'c1', content: 'seen' },
    ]);
  });

  it.each([
    [[CALL, { role: 'user', content: 'And?' }], 'No tool output found for function call c1.'],
    [[{ role: 'user', content: 'x' }, CALL], 'No tool output found for function call c1.'],
    [[OUTPUT], 'No tool call found for function call output with call_id c1.'],
  ])('names a call without an output, and an output without a call', (input, message) => {
    expect(() => protocol.parse({ input })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'input', message }),
    );
  });

  it.each([
    [{}, 'input'],
    [{ input: [] }, 'input'],
    [{ input: ' ' }, 'input'],
    [{ input: 'x', prompt: { id: 'p' } }, 'prompt'],
    [{ input: 'x', unknown: 1 }, 'unknown'],
    [{ input: 'x', max_output_tokens: 15 }, 'max_output_tokens'],
    [{ input: 'x', top_logprobs: 3 }, 'top_logprobs'],
    [{ input: 'x', tools: [{ type: 'web_search' }] }, 'tools.0.type'],
    [{ input: 'x', tools: [TOOL, TOOL] }, 'tools.1.name'],
    [{ input: 'x', tool_choice: 'required' }, 'tool_choice'],
    [{ input: 'x', tool_choice: { type: 'function', name: 'look' } }, 'tool_choice.name'],
    [{ input: [{ type: 'web_search_call', id: 'ws_1' }] }, 'input.0.type'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input.0.role'],
    [
      { input: [{ role: 'user', content: [{ type: 'input_file', file_url: 'https://x.y' }] }] },
      'input.0.content.0.file_data',
    ],
    [
      { input: [{ role: 'user', content: [{ type: 'input_audio', data: 'x' }] }] },
      'input.0.content.0.type',
    ],
    [{ input: 'x', metadata: { a: 'x'.repeat(513) } }, 'metadata.a'],
    [{ input: 'x', metadata: { ['k'.repeat(65)]: 'v' } }, 'metadata'],
    [
      { input: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, ''])) },
      'metadata',
    ],
    [
      { input: 'x', previous_response_id: 'resp_1', conversation: 'conv_1' },
      'previous_response_id',
    ],
    [{ input: 'x', previous_response_id: 'resp_1' }, 'previous_response_id'],
    [{ input: 'x', conversation: { id: 'conv_1' } }, 'conversation'],
    [{ input: [{ id: 'msg_1' }] }, 'input'],
  ])('refuses %j by the name of the field', (body, param) => {
    expect(paramOf(body)).toBe(param);
  });

  it('sends the model the allowed tools only', () => {
    const { tools, toolChoice } = inputOf({
      input: 'x',
      tools: [TOOL, { ...TOOL, name: 'ring' }],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'required',
        tools: [{ type: 'function', name: 'ring' }],
      },
    });

    expect(tools?.map(({ name, nameParam }) => [name, nameParam])).toEqual([
      ['ring', 'tools.1.name'],
    ]);
    expect(toolChoice).toBe('required');
  });

  it('permits to drop messages only where truncation is auto', () => {
    const mayDrop = ['auto', 'disabled', undefined].map(
      (truncation) => inputOf({ input: 'Hi', truncation }).mayDropMessages,
    );

    expect(mayDrop).toEqual([true, false, false]);
  });
});
