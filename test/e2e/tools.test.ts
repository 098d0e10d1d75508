import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readEvents } from './support/read-events.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment({
    settings: { AGENT__TOOLS__ENABLED: 'calculator,current_time' },
  });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
beforeEach(() => environment.model.reset());
afterAll(() => environment.stop());

const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
    },
  },
};

function ask(content: string) {
  return { model: 'any', messages: [{ role: 'user' as const, content }] };
}

describe('own tools', () => {
  it('run between two steps, which the client does not see', async () => {
    const completion = await client.chat.completions.create(
      ask('calculator {"expression": "6 * 7"}'),
    );

    expect(completion.choices[0]).toMatchObject({ finish_reason: 'stop' });
    expect(completion.choices[0]?.message.content).toContain('The tool answered: 42');
    expect(completion.choices[0]?.message).not.toHaveProperty('tool_calls');
  });

  it('are events and a summary in the own protocol', async () => {
    const response = await fetch(`${environment.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'calculator {"expression": "1 +"}', stream: true }),
    });

    const { events } = await readEvents(response);

    expect(events.filter(({ event }) => event === 'tool').map(({ data }) => data)).toEqual([
      { name: 'calculator', status: 'running' },
      { name: 'calculator', status: 'failed' },
    ]);
    expect(events.at(-1)).toMatchObject({
      event: 'done',
      data: { toolCalls: [{ name: 'calculator', status: 'failed' }] },
    });
  });

  it('do not keep a run going for ever', async () => {
    const running = client.chat.completions.create(ask('dev/tool-loop Hi'));

    await expect(running).rejects.toMatchObject({ status: 502, code: 'upstream_invalid' });
    expect(environment.model.calls()).toHaveLength(8);
  });

  it.each(['calculator {"expression": 7}', 'dev/wrong-arguments Hi'])(
    'are not run with wrong arguments: %s',
    async (content) => {
      const completion = await client.chat.completions.create(ask(content));

      expect(completion.choices[0]?.message.content).toContain(
        'The tool answered: The arguments of "calculator" are not valid.',
      );
    },
  );

  it('include none that the model makes up', async () => {
    const completion = await client.chat.completions.create(ask('dev/unknown-tool Hi'));

    const { content } = completion.choices[0]?.message ?? {};
    expect(content).toContain('There is no tool named "no_such_tool"');
  });
});

describe("the client's tools", () => {
  it('are called in parallel and continued with their results', async () => {
    const asked = await client.chat.completions.create({
      ...ask('get_weather {"city": "Bonn"} and get_weather {"city": "Ulm"}'),
      tools: [WEATHER],
    });
    const { message, finish_reason: reason } = asked.choices[0] ?? {};
    const calls = message?.tool_calls ?? [];
    const cities = calls.map((call) => call.type === 'function' && call.function.arguments);
    if (message === undefined) throw new Error('There is no message');

    const answered = await client.chat.completions.create({
      model: 'any',
      tools: [WEATHER],
      messages: [
        ...ask('Weather?').messages,
        message,
        ...calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: 'sunny' })),
      ],
    });

    expect([reason, ...cities]).toEqual(['tool_calls', '{"city": "Bonn"}', '{"city": "Ulm"}']);
    expect(answered.choices[0]?.message.content).toContain('sunny | sunny');
  });

  it.each([
    { choice: 'required' as const, reason: 'tool_calls' },
    { choice: 'none' as const, reason: 'stop' },
    {
      choice: { type: 'function' as const, function: { name: 'get_weather' } },
      reason: 'tool_calls',
    },
  ])('obey the choice $choice', async ({ choice, reason }) => {
    const completion = await client.chat.completions.create({
      ...ask(choice === 'none' ? 'get_weather calculator' : 'Hi'),
      tools: [WEATHER],
      tool_choice: choice,
    });

    expect(completion.choices[0]?.finish_reason).toBe(reason);
  });

  it('must not have the name of an own tool', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'calculator' } }];

    const asking = client.chat.completions.create({ ...ask('Hi'), tools });

    await expect(asking).rejects.toMatchObject({ status: 400, param: 'tools.0.function.name' });
    expect(environment.model.calls()).toHaveLength(0);
  });
});

describe('structured output', () => {
  const Event = z.object({ name: z.string(), attendees: z.array(z.string()) });
  const format = zodResponseFormat(Event, 'event');

  it('is corrected by a second step', async () => {
    const completion = await client.chat.completions.parse({
      ...ask('dev/wrong-json An event'),
      response_format: format,
    });

    expect(completion.choices[0]?.message.parsed).toMatchObject({ attendees: [] });
    expect(environment.model.calls()).toHaveLength(2);
  });

  it('ends a stream in an error if it does not match', async () => {
    const stream = client.chat.completions.stream({
      ...ask('dev/wrong-json An event'),
      response_format: format,
    });

    await expect(stream.finalChatCompletion()).rejects.toMatchObject({ code: 'upstream_invalid' });
  });
});

describe('a parameter that the model does not support', () => {
  it.each([false, true])('is named to the client that sent it, streamed: %s', async (stream) => {
    const asking = client.chat.completions.create({
      ...ask('dev/without-reasoning_effort Hi'),
      reasoning_effort: 'low',
      stream,
    });

    await expect(asking).rejects.toMatchObject({
      status: 400,
      code: 'invalid_request',
      param: 'reasoning_effort',
    });
    expect(environment.model.calls()).toHaveLength(1);
  });

  it('may be the strict schema of a tool or of the answer', async () => {
    const strict = { ...WEATHER, function: { ...WEATHER.function, strict: true } };
    const { json_schema: format } = zodResponseFormat(z.object({ a: z.string() }), 'answer');
    const schema = { ...format.schema, additionalProperties: true };

    const asking = [
      client.chat.completions.create({ ...ask('dev/strict-schemas Hi'), tools: [strict] }),
      client.chat.completions.create({
        ...ask('dev/strict-schemas Hi'),
        response_format: { type: 'json_schema', json_schema: { ...format, schema } },
      }),
    ];

    const problems = await Promise.all(asking.map((one) => one.catch((error: unknown) => error)));
    expect(problems).toMatchObject([
      { status: 400, param: 'tools.0.function' },
      { status: 400, param: 'response_format.json_schema.schema' },
    ]);
  });
});
