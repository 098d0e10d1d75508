import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { buildModelRequest } from '../../../../shared/agent/model-request.ts';
import { defineTool } from '../../../../shared/agent/tool.ts';
import { mapStatus } from '../../../../shared/model/openai/map-error.ts';
import { protocolById } from '../../../../shared/protocols/registry.ts';

const IMAGE = { type: 'image_url', image_url: { url: 'https://example.org/a.png' } };
const SCHEMA = { type: 'object', properties: {} };
/** What a caller may set, except images. */
const BODY = {
  messages: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'What is this?' },
  ],
  max_completion_tokens: 50,
  temperature: 0.3,
  stop: 'END',
  reasoning_effort: 'low',
  verbosity: 'low',
  parallel_tool_calls: false,
  response_format: {
    type: 'json_schema',
    json_schema: { name: 'x', schema: SCHEMA, strict: true },
  },
  tools: [
    { type: 'function', function: { name: 'get_weather', parameters: SCHEMA, strict: true } },
  ],
};
const PROMPT = {
  instructions: 'Be brief.',
  parameters: { temperature: 0.2, maxOutputTokens: 1_000 },
  output: { type: 'json_schema' as const, name: 'own', schema: SCHEMA },
  tools: () => [
    defineTool({
      name: 'own_tool',
      description: 'Is ours.',
      parameters: z.strictObject({}),
      effect: 'none',
      run: () => '',
    }),
  ],
};

function reject(body: Record<string, unknown>, error: unknown, prompt: object = {}) {
  const protocol = protocolById('openai.chat-completions');
  const input = protocol.toInput(protocol.parse(body));
  const request = buildModelRequest(input, { ...PROMPT, ...prompt });
  return mapStatus({ status: 400, error, headers: new Headers(), now: 0, request });
}

describe('a parameter that the endpoint rejects', () => {
  it.each([
    [{ param: 'reasoning_effort', code: 'unsupported_parameter' }, 'reasoning_effort'],
    [{ param: 'temperature', code: 'unsupported_value' }, 'temperature'],
    [{ param: 'stop', type: 'invalid_request_error' }, 'stop'],
    [{ param: 'body.verbosity' }, 'verbosity'],
    [{ param: 'parallel_tool_calls' }, 'parallel_tool_calls'],
    [{ param: 'max_tokens', code: 'invalid_value' }, 'max_completion_tokens'],
    [{ message: 'Unrecognized request argument supplied: reasoning_effort' }, 'reasoning_effort'],
    [{ message: "Unsupported parameter: 'verbosity' is not supported." }, 'verbosity'],
    [{ param: 'response_format', message: 'not supported with this model' }, 'response_format'],
    [
      {
        param: 'response_format',
        message: "Invalid schema for response_format 'x': In context=()",
      },
      'response_format.json_schema.schema',
    ],
    [{ param: 'tools[1].function.parameters' }, 'tools.0.function'],
    [{ param: 'tools.1.function.strict', code: 'unknown_parameter' }, 'tools.0.function'],
    [{ message: "Invalid schema for function 'get_weather': In context=()" }, 'tools.0.function'],
    [{ param: 'messages.[3].content.[0].type' }, 'messages'],
    [{ detail: [{ loc: ['body', 'stop'], msg: 'Extra inputs are not permitted' }] }, 'stop'],
  ])('is named to its caller: %j', (error, param) => {
    const failure = reject(BODY, error);

    expect(failure).toMatchObject({ code: 'invalid_request', retryMode: 'none', param });
    expect(failure.message).toContain(`"${param}"`);
    expect(failure.countsAsFailure).toBe(false);
  });

  it.each([
    { param: 'temperature', code: 'unsupported_value' },
    { param: 'max_tokens', code: 'invalid_value' },
    { param: 'response_format' },
    { param: 'tools[0].function.parameters' },
    { message: "Invalid schema for function 'own_tool'" },
    { param: 'messages[0].role' },
    { param: 'model' },
    { param: 'stream_options' },
    { code: 'invalid_value' },
    { message: "The prompt has 'stop' and a field: of text" },
  ])('is a matter of the operator if this service set it: %j', (error) => {
    const { messages } = BODY;

    const failure = reject({ messages }, error);

    expect(failure).toMatchObject({ code: 'upstream_misconfigured', param: undefined });
  });

  it('is a matter of the operator if the cap of this service is too high', () => {
    const body = { messages: BODY.messages, max_tokens: 100_000 };

    const failure = reject(body, { param: 'max_tokens', code: 'invalid_value' });

    expect(failure.code).toBe('upstream_misconfigured');
  });

  it('is a matter of the operator if neither name of the token limit is accepted', () => {
    const error = { param: 'max_completion_tokens', code: 'unsupported_parameter' };

    const failure = reject(BODY, error);

    expect(failure.code).toBe('upstream_misconfigured');
  });

  it('may be the tools as a whole, if all are of the caller', () => {
    const error = { param: 'tools', code: 'unsupported_parameter' };

    const failures = [reject(BODY, error, { tools: undefined }), reject(BODY, error)];

    expect(failures.map(({ param }) => param)).toEqual(['tools', undefined]);
  });

  it.each([
    { message: 'This model does not support image inputs.' },
    { message: 'Invalid content type. image_url is only supported by certain models.' },
  ])('may be an image for a model without vision: %j', (error) => {
    const body = { messages: [{ role: 'user', content: [IMAGE] }] };

    const failures = [reject(body, error), reject({ messages: BODY.messages }, error)];

    expect(failures.map(({ param }) => param)).toEqual(['messages', undefined]);
  });

  it('gives away nothing that the endpoint wrote', () => {
    const canary = 'canary.example sk-1';

    const failure = reject(BODY, { param: `stop.${canary}`, message: canary, code: canary });

    expect(failure.param).toBe('stop');
    expect(`${failure.message} ${JSON.stringify(failure)} ${failure.stack}`).not.toContain(
      'canary',
    );
  });
});
