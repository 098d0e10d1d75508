import OpenAI, { APIError, BadRequestError } from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RESPONSE_CASES } from '../../dev/responses/cases.ts';
import { checkStream } from '../support/responses/check-stream.ts';
import { responseShape } from '../support/responses/shapes.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment();
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

function post(body: object): Promise<Response> {
  return fetch(`${environment.url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const WHOLE_CASES = RESPONSE_CASES.filter(({ streamOnly }) => streamOnly !== true);

describe('POST /v1/responses', () => {
  it.each(WHOLE_CASES)('answers $name with a response of the exact shape', async (one) => {
    const answered = await post(one.body);

    const response = responseShape.parse(await answered.json());
    expect(answered.headers.get('content-type')).toContain('application/json');
    expect(response.status).toBe(one.status);
    expect(response.output.map(({ type }) => type)).toEqual(one.output);
  });

  it.each(RESPONSE_CASES)('streams $name as exact events that add up', async (one) => {
    const answered = await post({ ...one.body, stream: true });

    const { response } = checkStream(await answered.text());
    expect(response.status).toBe(one.status);
    expect(response.output.map(({ type }) => type)).toEqual(one.output);
  });
});

describe('the OpenAI client', () => {
  it('gets a response with its text', async () => {
    const response = await client.responses.create({ model: 'any', input: 'Hello there' });

    expect(response.output_text).toContain('Hello there');
    expect(response.usage?.total_tokens).toBeGreaterThan(0);
  });

  it('collects a stream, with the id and items that it began with', async () => {
    const stream = client.responses.stream({ model: 'any', input: 'Hello there' });

    const deltas: string[] = [];
    stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta));
    const response = await stream.finalResponse();

    expect(deltas.join('')).toContain('Hello there');
    expect(response.output_text).toBe(deltas.join(''));
    expect(response.status).toBe('completed');
  });

  it('parses structured output and the arguments of a call', async () => {
    const city = z.object({ city: z.string() });

    const parsed = await client.responses.parse({
      model: 'any',
      input: 'Where?',
      text: { format: zodTextFormat(city, 'place') },
    });
    const called = await client.responses.parse({
      model: 'any',
      input: 'Use get_weather {"city":"Oslo"}',
      tools: [zodResponsesFunction({ name: 'get_weather', parameters: city })],
    });

    expect(city.safeParse(parsed.output_parsed).success).toBe(true);
    expect(called.output[0]).toMatchObject({ parsed_arguments: { city: 'Oslo' } });
  });

  it('gets a failed response where the model stops in the middle', async () => {
    const stream = client.responses.stream({ model: 'any', input: 'dev/cut-3 Hi' });

    const response = await stream.finalResponse();

    expect(response.status).toBe('failed');
    expect(response.error?.code).toBe('upstream_interrupted');
  });

  it('gets an HTTP error where nothing was streamed, and the name of a wrong field', async () => {
    const failing = () =>
      client.responses.create({ model: 'any', input: 'dev/400 Hi', stream: true });
    const wrong = () => client.responses.create({ model: 'any', input: 'Hi', top_logprobs: 2 });

    await expect(failing()).rejects.toThrow(APIError);
    await expect(wrong()).rejects.toThrow(BadRequestError);
    await expect(wrong()).rejects.toMatchObject({ param: 'top_logprobs' });
  });
});
