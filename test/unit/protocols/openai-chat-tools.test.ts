import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../../shared/agent/agent.ts';
import { openAiChatCompletions as protocol } from '../../../shared/protocols/openai-chat-completions.ts';

const USER = { role: 'user', content: 'Hi' };
const CALL = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"a":1}' } };
const ASKED = { role: 'assistant', content: null, tool_calls: [CALL] };
const ANSWERED = { role: 'tool', tool_call_id: 'c1', content: 'found' };

function tool(name: string, extra: object = {}) {
  return { type: 'function', function: { name, ...extra } };
}

function inputOf(body: object) {
  return protocol.toInput(protocol.parse({ messages: [USER], ...body }));
}

describe('tools of the client', () => {
  it('become functions for the model, with the path of each name', () => {
    const parameters = { type: 'object', properties: { a: { type: 'number' } } };

    const input = inputOf({
      tools: [tool('look', { parameters, description: 'Looks', strict: true }), tool('ring')],
      tool_choice: { type: 'function', function: { name: 'ring' } },
    });

    expect(input.toolChoice).toEqual({ name: 'ring' });
    expect(input.tools).toEqual([
      {
        name: 'look',
        description: 'Looks',
        parameters,
        strict: true,
        nameParam: 'tools.0.function.name',
      },
      {
        name: 'ring',
        parameters: { type: 'object', properties: {} },
        nameParam: 'tools.1.function.name',
      },
    ]);
  });

  it.each(['none', 'auto', 'required'])('take the choice %s', (choice) => {
    const input = inputOf({ tools: [tool('look')], tool_choice: choice });

    expect(input.toolChoice).toBe(choice);
  });

  it.each([
    { param: 'tools.0.function.name', body: { tools: [tool('a b')] } },
    { param: 'tools.0.function.name', body: { tools: [tool('x'.repeat(65))] } },
    { param: 'tools.1.function.name', body: { tools: [tool('a'), tool('a')] } },
    { param: 'tools.0.type', body: { tools: [{ type: 'custom', custom: { name: 'a' } }] } },
    { param: 'tools', body: { tools: Array.from({ length: 129 }, (_, n) => tool(`t${n}`)) } },
    { param: 'tool_choice', body: { tool_choice: 'required' } },
    {
      param: 'tool_choice.function.name',
      body: { tools: [tool('a')], tool_choice: { type: 'function', function: { name: 'b' } } },
    },
    { param: 'tool_choice', body: { tools: [tool('a')], tool_choice: 'any' } },
  ])('are refused by the name of the field: $param', ({ param, body }) => {
    expect(() => protocol.parse({ messages: [USER], ...body })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param }),
    );
  });
});

describe('a follow-up with results', () => {
  it('continues the conversation', () => {
    const { messages } = inputOf({ messages: [USER, ASKED, ANSWERED] });

    expect(messages).toEqual([
      USER,
      {
        role: 'assistant',
        content: null,
        toolCalls: [{ id: 'c1', name: 'look', arguments: '{"a":1}' }],
      },
      { role: 'tool', toolCallId: 'c1', content: 'found' },
    ]);
  });

  it.each([
    { param: 'messages.1.tool_call_id', messages: [USER, ANSWERED] },
    { param: 'messages.3.tool_call_id', messages: [USER, ASKED, ANSWERED, ANSWERED] },
    { param: 'messages.2.role', messages: [USER, ASKED, USER] },
    { param: 'messages', messages: [USER, ASKED] },
    { param: 'messages.1.content', messages: [USER, { role: 'assistant' }, USER] },
    {
      param: 'messages.1.tool_calls.1.id',
      messages: [USER, { role: 'assistant', tool_calls: [CALL, CALL] }, ANSWERED],
    },
  ])('is refused where calls and results do not belong together: $param', ({ param, messages }) => {
    expect(() => protocol.parse({ messages })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param }),
    );
  });
});

describe('image parts', () => {
  const image = (url: string, detail?: string) => ({
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is it?' },
          { type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } },
        ],
      },
    ],
  });

  it.each(['https://example.com/a.png', 'data:image/png;base64,iVBORw0KGgo='])(
    'are sent on as they are: %s',
    (url) => {
      const { messages } = inputOf(image(url, 'low'));

      expect(messages[0]?.content).toEqual([
        { type: 'text', text: 'What is it?' },
        { type: 'image', url, detail: 'low' },
      ]);
    },
  );

  it.each([
    'http://example.com/a.png',
    'file:///etc/passwd',
    'data:text/html;base64,PGI+',
    'data:image/png,raw',
    `https://example.com/${'a'.repeat(3_000)}`,
    'no address',
  ])('are refused for %s', (url) => {
    expect(() => protocol.parse(image(url))).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });

  it('are refused in too large a number', () => {
    const part = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
    const messages = [{ role: 'user', content: Array.from({ length: 17 }, () => part) }];

    expect(() => protocol.parse({ messages })).toThrow(
      expect.objectContaining({ param: 'messages' }),
    );
  });
});

const RESULT: RunResult = {
  text: '',
  model: 'm',
  finishReason: 'tool_calls',
  cached: false,
  usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
  toolCalls: [],
  clientToolCalls: [
    { id: 'c1', name: 'look', arguments: '{"a":1}' },
    { id: 'c2', name: 'ring', arguments: '{}' },
  ],
};
const FRAME = {
  request: protocol.parse({ messages: [USER] }),
  requestId: 'r',
  startedAt: 0,
  publicModel: 'agent',
};

describe('the calls of a result', () => {
  it('are the tool_calls of the message', () => {
    expect(protocol.encodeResult(RESULT, FRAME)).toMatchObject({
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            content: null,
            tool_calls: [CALL, { id: 'c2', type: 'function', function: { name: 'ring' } }],
          },
        },
      ],
    });
  });

  it('are streamed as deltas with an index', () => {
    const events = protocol.openStream(FRAME).event({ type: 'done', result: RESULT });

    const deltas = events.map(({ data }) => JSON.parse(JSON.stringify(data) ?? 'null'));
    expect(deltas.map((data) => data?.choices[0].delta.tool_calls?.[0])).toEqual([
      { index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: '' } },
      { index: 0, function: { arguments: '{"a":1}' } },
      { index: 1, id: 'c2', type: 'function', function: { name: 'ring', arguments: '' } },
      { index: 1, function: { arguments: '{}' } },
      undefined,
      undefined,
    ]);
    expect(deltas[4].choices[0].finish_reason).toBe('tool_calls');
  });
});

describe('a refusal', () => {
  const refused = { ...RESULT, text: 'No.', refusal: 'No.', finishReason: 'stop' } as const;

  it('is the refusal of the message and not its content', () => {
    const { clientToolCalls: _calls, ...result } = refused;

    expect(protocol.encodeResult(result, FRAME)).toMatchObject({
      choices: [{ message: { content: null, refusal: 'No.' }, finish_reason: 'stop' }],
    });
  });

  it('is streamed as such', () => {
    const [event] = protocol
      .openStream(FRAME)
      .event({ type: 'text-delta', text: 'No.', isRefusal: true });

    expect(event?.data).toMatchObject({ choices: [{ delta: { refusal: 'No.' } }] });
  });
});
