import { describe, expect, it } from 'vitest';
import type { AgentEvent, ClientResponseFormat } from '../../../shared/agent/agent.ts';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { createOutputCheck } from '../../../shared/agent/structured-output.ts';
import type { ModelResponse } from '../../../shared/model/model.ts';
import {
  answerOf,
  callsOf,
  createScriptedModel,
  inputOf,
  textsThenAnswer,
} from '../../support/scripted-model.ts';
import {
  collectEvents,
  createToolAgent,
  runContext,
  toolNamed,
} from '../../support/agent/scripted-tools.ts';

const SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  properties: { items: { type: 'array', items: { $ref: '#/definitions/item' } } },
  required: ['items'],
  additionalProperties: false,
  definitions: {
    item: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  },
};
const FORMAT: ClientResponseFormat = {
  type: 'json_schema',
  name: 'list',
  schema: SCHEMA,
  param: 'format.schema',
};
const VALID = '{"items":[{"name":"a"}]}';
const INVALID = '{"items":[{"name":1}]}';

function runWith(responses: readonly ModelResponse[], format: ClientResponseFormat = FORMAT) {
  const { agent, model } = createToolAgent({ responses, tools: [toolNamed('echo')] });
  const input = { ...inputOf('List'), responseFormat: format };
  return { run: () => agent.run(input, runContext()), model };
}

async function streamOf(...steps: readonly (readonly string[])[]) {
  const model = createScriptedModel({ streams: steps.map((step) => () => textsThenAnswer(step)) });
  const agent = createAgent({ model, instructions: 'x' });
  const events: AgentEvent[] = [];
  let error: unknown;
  try {
    const input = { ...inputOf('List'), responseFormat: FORMAT };
    for await (const event of agent.stream(input, runContext())) events.push(event);
  } catch (thrown) {
    error = thrown;
  }
  const sent = events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
  return { sent, error, last: events.at(-1), model };
}

describe('a structured answer', () => {
  it('is requested with its schema and returned unchanged', async () => {
    const { run, model } = runWith([answerOf(VALID)]);

    const result = await run();

    expect(result.text).toBe(VALID);
    expect(model.calls[0]?.request.responseFormat).toEqual({
      type: 'json_schema',
      name: 'list',
      schema: SCHEMA,
    });
  });

  it('is corrected once by a further step without tools', async () => {
    const { run, model } = runWith([answerOf(INVALID), answerOf(VALID)]);

    const result = await run();

    const { messages = [], toolChoice } = model.calls[1]?.request ?? {};
    expect(result).toMatchObject({ text: VALID, usage: { totalTokens: 10 } });
    expect(toolChoice).toBe('none');
    expect(messages.slice(-2)).toEqual([
      { role: 'assistant', content: INVALID },
      { role: 'user', content: expect.stringContaining('at "/items/0/name" must be string') },
    ]);
  });

  it('is an error with the path if it stays invalid', async () => {
    const { run, model } = runWith([answerOf('no JSON'), answerOf(INVALID)]);

    await expect(run()).rejects.toMatchObject({
      code: 'upstream_invalid',
      message: 'The answer of the model at "/items/0/name" is not valid: it must be string',
    });

    expect(model.calls).toHaveLength(2);
  });

  it('is only the text after the last tool', async () => {
    const { run } = runWith([{ ...callsOf(['echo']), text: 'Let me look' }, answerOf(VALID)]);

    const result = await run();

    expect(result.text).toBe(VALID);
  });

  it('may be a refusal, which stays one', async () => {
    const { run } = runWith([{ ...answerOf('I will not.'), refusal: 'I will not.' }]);

    const result = await run();

    expect(result).toMatchObject({ text: 'I will not.', refusal: 'I will not.' });
  });

  it('may be cut short, which its finish reason tells', async () => {
    const { run } = runWith([{ ...answerOf('{"items":['), finishReason: 'length' }]);

    const result = await run();

    expect(result).toMatchObject({ text: '{"items":[', finishReason: 'length' });
  });

  it('is one object for the format json_object, which the instructions name', async () => {
    const { run, model } = runWith([answerOf('[1]'), answerOf('{"a":1}')], { type: 'json_object' });

    const result = await run();

    expect(result.text).toBe('{"a":1}');
    expect(model.calls[0]?.request).toMatchObject({
      responseFormat: { type: 'json_object' },
      messages: [{ content: expect.stringContaining('JSON') }, {}],
    });
  });

  it("is the agent's own where the input names none", async () => {
    const model = createScriptedModel({ answers: [async () => answerOf('{}')] });
    const agent = createAgent({ model, instructions: 'x', output: { type: 'json_object' } });

    await agent.run(inputOf('Hi'), runContext());

    expect(model.calls[0]?.request.responseFormat).toEqual({ type: 'json_object' });
  });

  it('is free text where the input says so', async () => {
    const model = createScriptedModel({ answers: [async () => answerOf('Hello')] });
    const agent = createAgent({ model, instructions: 'x', output: { type: 'json_object' } });

    const result = await agent.run(
      { ...inputOf('Hi'), responseFormat: { type: 'text' } },
      runContext(),
    );

    expect(result.text).toBe('Hello');
    expect(model.calls[0]?.request.responseFormat).toBeUndefined();
  });
});

describe('a structured stream', () => {
  it('sends the text as it comes', async () => {
    const { sent, last } = await streamOf([VALID.slice(0, 9), VALID.slice(9)]);

    expect(sent).toBe(VALID);
    expect(last).toMatchObject({ type: 'done', result: { text: VALID } });
  });

  it('sends nothing of a text that is no JSON, and its correction', async () => {
    const { sent, last } = await streamOf(['Here ', 'it is: {}'], [VALID]);

    expect(sent).toBe(VALID);
    expect(last).toMatchObject({ type: 'done', result: { text: VALID } });
  });

  it('stops at the first piece that cannot become JSON and ends in an error', async () => {
    const { sent, error } = await streamOf(['{"items":', 'oops', '[]}']);

    expect(sent).toBe('{"items":');
    expect(error).toMatchObject({ code: 'upstream_invalid' });
  });

  it('ends in an error with the path if JSON does not match the schema', async () => {
    const { sent, error, model } = await streamOf([INVALID]);

    expect(sent).toBe(INVALID);
    expect(error).toMatchObject({
      code: 'upstream_invalid',
      message: expect.stringContaining('"/items/0/name"'),
    });
    expect(model.calls).toHaveLength(1);
  });

  it('ends in an error if the answer is not whole', async () => {
    const { error } = await streamOf(['{"items":[']);

    expect(error).toMatchObject({ code: 'upstream_invalid' });
  });

  it('drops what the model says before it calls a tool', async () => {
    const { agent } = createToolAgent({
      responses: [{ ...callsOf(['echo']), text: 'Let me look' }, answerOf(VALID)],
      tools: [toolNamed('echo')],
    });
    const input = { ...inputOf('List'), responseFormat: FORMAT };

    const events = await collectEvents(agent.stream(input, runContext()));

    const texts = events.flatMap((event) => (event.type === 'text-delta' ? event.text : []));
    expect(texts).toEqual([VALID]);
  });
});

describe('the schema of a client', () => {
  const nested = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, { anyOf: [next, next] }];
    }),
  );

  it.each([
    { $ref: 'https://example.com/schema.json' },
    { properties: { a: { $ref: 'other.json#/a' } } },
    { type: 'sentence' },
    { pattern: '(' },
    { $async: true },
    { description: 'x'.repeat(65_536) },
  ])('is refused by the name of its field: %#', async (schema) => {
    const creating = createOutputCheck({ type: 'json_schema', name: 'x', schema }, 'the.param');

    await expect(creating).rejects.toMatchObject({ code: 'invalid_request', param: 'the.param' });
  });

  it('is refused before the model is called', async () => {
    const { run, model } = runWith([], { ...FORMAT, type: 'json_schema', schema: { type: 'x' } });

    await expect(run()).rejects.toMatchObject({ param: 'format.schema' });

    expect(model.calls).toEqual([]);
  });

  it.each([
    { schema: { pattern: '^(a+)+$' }, text: JSON.stringify(`${'a'.repeat(50)}!`) },
    { schema: { $ref: '#/$defs/d0', $defs: { ...nested, d30: { type: 'string' } } }, text: '1' },
    {
      schema: { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
      text: '1',
    },
  ])('cannot block the service: %#', async ({ schema, text }) => {
    const format = { type: 'json_schema', name: 'x', schema } as const;

    const checking = createOutputCheck(format, 'the.param').then((check) => check?.validate(text));

    await expect(checking).rejects.toMatchObject({ code: 'invalid_request', param: 'the.param' });
  });
});
