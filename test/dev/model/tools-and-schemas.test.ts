import { describe, expect, it } from 'vitest';
import type OpenAI from 'openai';
import { z } from 'zod';
import { zodResponseFormat } from 'openai/helpers/zod';
import { createInstance } from '../../../dev/model/create-instance.ts';
import { clientOf, say, startModel } from './support.ts';

const TOOLS = ['get_weather', 'get_time'].map((name) => ({
  type: 'function' as const,
  function: {
    name,
    parameters: {
      type: 'object',
      required: ['city'],
      properties: { city: { type: 'string', maxLength: 5 } },
    },
  },
}));

describe('tools', () => {
  it.each([false, true])(
    'calls the tools that the user names when stream is %s',
    async (stream) => {
      const client = clientOf(await startModel());
      const messages = say('use tool get_weather {"city":"Oslo {}"} and then get_time please');

      const calls = stream
        ? (
            await client.chat.completions
              .stream({ model: 'any', tools: TOOLS, messages })
              .finalMessage()
          ).tool_calls
        : (await client.chat.completions.create({ model: 'any', tools: TOOLS, messages }))
            .choices[0]?.message.tool_calls;

      expect(calls).toMatchObject([
        { function: { name: 'get_weather', arguments: '{"city":"Oslo {}"}' } },
        { function: { name: 'get_time', arguments: '{"city":"devel"}' } },
      ]);
    },
  );

  it('quotes the result once the tool has answered', async () => {
    const client = clientOf(await startModel());
    const call = {
      id: 'c1',
      type: 'function' as const,
      function: { name: 'get_weather', arguments: '{}' },
    };
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      ...say('use tool get_weather'),
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: '4 degrees' },
    ];

    const reply = await client.chat.completions.create({ model: 'any', tools: TOOLS, messages });

    expect(reply.choices[0]?.finish_reason).toBe('stop');
    expect(reply.choices[0]?.message.content).toContain('4 degrees');
  });

  it('obeys tool_choice and parallel_tool_calls', async () => {
    const client = clientOf(await startModel());
    const both = { model: 'any', tools: TOOLS, messages: say('get_time get_weather') };

    const [none, required, single] = await Promise.all([
      client.chat.completions.create({ ...both, tool_choice: 'none' }),
      client.chat.completions.create({ ...both, messages: say('Hi'), tool_choice: 'required' }),
      client.chat.completions.create({ ...both, parallel_tool_calls: false }),
    ]);

    expect(none.choices[0]?.finish_reason).toBe('stop');
    expect(required.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(single.choices[0]?.message.tool_calls).toMatchObject([
      { function: { name: 'get_time' } },
    ]);
  });
});

describe('structured answers', () => {
  it('answers a schema with JSON that the schema accepts', async () => {
    const client = clientOf(await startModel());
    const person = z.object({
      name: z.string().min(30),
      kind: z.enum(['cat', 'dog']),
      born: z.iso.date(),
      mail: z.email(),
      age: z.int().min(3).max(9),
      weight: z.number().gt(1).lt(2),
      tags: z.array(z.object({ id: z.uuid() })).min(2),
      parent: z.union([z.null(), z.string()]),
      exact: z.literal('yes'),
    });

    const reply = await client.chat.completions.create({
      model: 'any',
      messages: say('Hello'),
      response_format: zodResponseFormat(person, 'person'),
    });

    const content: unknown = JSON.parse(reply.choices[0]?.message.content ?? '');
    expect(person.safeParse(content).error).toBeUndefined();
  });

  it('answers json_object with an object', async () => {
    const client = clientOf(await startModel());

    const reply = await client.chat.completions.create({
      model: 'any',
      messages: say('Hello'),
      response_format: { type: 'json_object' },
    });

    expect(JSON.parse(reply.choices[0]?.message.content ?? '')).toEqual({
      developmentModel: true,
      youSaid: 'Hello',
    });
  });

  it.each([
    [{ type: 'integer', exclusiveMinimum: 0 }, 1],
    [{ type: 'integer', minimum: 5, multipleOf: 4 }, 8],
    [{ type: 'number', maximum: -2 }, -2],
    [{ type: ['string', 'null'], maxLength: 3 }, 'dev'],
    [{ type: 'string', pattern: '^[0-9]{4}$' }, '1111'],
    [{ allOf: [{ type: 'object', required: ['a'], properties: { a: { const: 1 } } }] }, { a: 1 }],
    [{ $ref: '#/$defs/x', $defs: { x: { enum: ['first', 'second'] } } }, 'first'],
  ])('makes the smallest value of %j', (schema, value) => {
    expect(createInstance(schema)).toEqual(value);
  });

  it('ends a schema that contains itself at the first place where it may', () => {
    const node = {
      type: 'object',
      required: ['left', 'right'],
      properties: {
        left: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
        right: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
      },
    };

    const value = createInstance({ $ref: '#/$defs/node', $defs: { node } });

    expect(value).toEqual({ left: null, right: null });
  });

  it('refuses a schema that has no finite value', async () => {
    const client = clientOf(await startModel());
    const schema = { type: 'object', required: ['me'], properties: { me: { $ref: '#' } } };

    const asking = client.chat.completions.create({
      model: 'any',
      messages: say('Hello'),
      response_format: { type: 'json_schema', json_schema: { name: 'loop', schema } },
    });

    await expect(asking).rejects.toMatchObject({
      status: 400,
      param: 'response_format.json_schema.schema',
    });
  });
});
