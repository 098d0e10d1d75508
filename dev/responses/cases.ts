/** One request to `POST /v1/responses` of the development model, and how its response ends. */
export interface ResponseCase {
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly status: 'completed' | 'incomplete' | 'failed';
  /** The types of the output items. */
  readonly output: readonly string[];
  /** The fault happens in streams only, or has another ending in a whole answer. */
  readonly streamOnly?: true;
}

const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather of a place',
  parameters: {
    type: 'object',
    properties: { location: { type: 'string' } },
    required: ['location'],
  },
} as const;

/** One red pixel. */
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';

function user(text: string) {
  return { type: 'message', role: 'user', content: text };
}

/** What the Open Responses specification describes and one request without a state can show. */
export const RESPONSE_CASES: readonly ResponseCase[] = [
  {
    name: 'text as input',
    body: { model: 'm', input: 'Say hello' },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a message as input',
    body: { model: 'm', input: [user('Say hello in exactly 3 words.')] },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'messages with phases',
    body: {
      model: 'm',
      input: [
        user('Plan a trip'),
        { type: 'message', role: 'assistant', phase: 'commentary', content: 'I look for trains' },
        { type: 'message', role: 'assistant', phase: 'final_answer', content: 'Take the train' },
        user('When does it leave?'),
      ],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a system message',
    body: {
      model: 'm',
      input: [{ type: 'message', role: 'system', content: 'You are a pirate.' }, user('Hello')],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a tool call',
    body: { model: 'm', input: [user('Use get_weather {"location":"Oslo"}')], tools: [WEATHER] },
    status: 'completed',
    output: ['function_call'],
  },
  {
    name: 'two tool calls',
    body: {
      model: 'm',
      input: 'Use get_weather {"location":"Oslo"} and get_weather {"location":"Bergen"}',
      tools: [{ ...WEATHER, strict: true }],
      parallel_tool_calls: true,
    },
    status: 'completed',
    output: ['function_call', 'function_call'],
  },
  {
    name: 'a forced tool call',
    body: {
      model: 'm',
      input: 'Hello',
      tools: [WEATHER],
      tool_choice: { type: 'function', name: 'get_weather' },
    },
    status: 'completed',
    output: ['function_call'],
  },
  {
    name: 'allowed tools',
    body: {
      model: 'm',
      input: 'Hello',
      tools: [WEATHER, { ...WEATHER, name: 'get_time' }],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'required',
        tools: [{ type: 'function', name: 'get_time' }],
      },
    },
    status: 'completed',
    output: ['function_call'],
  },
  {
    name: 'the output of a tool call',
    body: {
      model: 'm',
      input: [
        user('Use get_weather'),
        { type: 'function_call', call_id: 'c1', name: 'get_weather', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'Rain' },
      ],
      tools: [WEATHER],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'an image',
    body: {
      model: 'm',
      input: [
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'What do you see?' },
            { type: 'input_image', image_url: PIXEL },
          ],
        },
      ],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a file',
    body: {
      model: 'm',
      input: [
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'What does it say?' },
            {
              type: 'input_file',
              filename: 'note.pdf',
              file_data: `data:application/pdf;base64,${btoa('%PDF-1.4')}`,
            },
          ],
        },
      ],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a conversation of several turns',
    body: {
      model: 'm',
      input: [
        user('My name is Ada.'),
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hello' }] },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        user('What is my name?'),
      ],
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'structured output',
    body: {
      model: 'm',
      input: 'Where is it?',
      text: {
        format: {
          type: 'json_schema',
          name: 'place',
          strict: true,
          schema: {
            type: 'object',
            properties: { city: { type: 'string' } },
            required: ['city'],
            additionalProperties: false,
          },
        },
      },
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'every parameter',
    body: {
      model: 'm',
      input: 'Hello',
      instructions: 'Be brief',
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.1,
      max_output_tokens: 64,
      max_tool_calls: 2,
      parallel_tool_calls: false,
      truncation: 'auto',
      store: false,
      metadata: { topic: 'weather' },
      reasoning: { effort: 'low', summary: 'auto' },
      text: { format: { type: 'text' }, verbosity: 'low' },
      include: ['reasoning.encrypted_content'],
      service_tier: 'auto',
      safety_identifier: 'someone',
      prompt_cache_key: 'key',
    },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'a refusal',
    body: { model: 'm', input: 'dev/refusal Hello' },
    status: 'completed',
    output: ['message'],
  },
  {
    name: 'an answer at the bound of its length',
    body: { model: 'm', input: 'dev/length Hello' },
    status: 'incomplete',
    output: ['message'],
  },
  {
    name: 'a filtered answer',
    body: { model: 'm', input: 'dev/content-filter-stream-3 Hello' },
    status: 'incomplete',
    output: ['message'],
    streamOnly: true,
  },
  {
    name: 'a connection that breaks',
    body: { model: 'm', input: 'dev/cut-3 Hello' },
    status: 'failed',
    output: ['message'],
    streamOnly: true,
  },
];
