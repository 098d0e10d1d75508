import OpenAI, { APIError, BadRequestError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment();
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

function ask(content: string) {
  return { model: 'any', messages: [{ role: 'user' as const, content }] };
}

describe('the OpenAI client', () => {
  it('gets a whole answer', async () => {
    const completion = await client.chat.completions.create(ask('Hello there'));

    expect(completion.object).toBe('chat.completion');
    expect(completion.choices[0]?.finish_reason).toBe('stop');
    expect(completion.choices[0]?.message.content).toContain('Hello there');
    expect(completion.usage?.total_tokens).toBeGreaterThan(0);
    expect(completion.id).toBe(`chatcmpl-${completion._request_id}`);
  });

  it('reads a stream to its end, with the usage that it asked for', async () => {
    const stream = await client.chat.completions.create({
      ...ask('Hello there'),
      stream: true,
      stream_options: { include_usage: true },
    });

    const chunks = await Array.fromAsync(stream);

    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    expect(text).toContain('Hello there');
    expect(chunks.at(0)?.choices[0]?.delta.role).toBe('assistant');
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)?.usage?.total_tokens).toBeGreaterThan(0);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('throws when the model stops in the middle of a stream', async () => {
    const stream = await client.chat.completions.create({ ...ask('dev/cut-3 Hi'), stream: true });

    const reading = Array.fromAsync(stream);

    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toMatchObject({ code: 'upstream_interrupted' });
  });

  it('gets the name of the field that it may not send', async () => {
    const asking = client.chat.completions.create({ ...ask('Hi'), n: 2 });

    await expect(asking).rejects.toThrow(BadRequestError);
    await expect(asking).rejects.toMatchObject({ code: 'invalid_request', param: 'n' });
  });

  it('finds one model: the agent', async () => {
    const models = await client.models.list();

    expect(models.data.map(({ id, object }) => [id, object])).toEqual([['agent', 'model']]);
  });
});
