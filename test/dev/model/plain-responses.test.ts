import { describe, expect, it } from 'vitest';
import OpenAI, { AzureOpenAI } from 'openai';
import { ask, clientOf, post, readStream, say, startModel } from './support.ts';

const HARD_TEXT = 'Zażółć 漢字 👩‍👩‍👧 \u202Eabc \u0000 \r\n\t  two  blanks </script> "quoted" \\';

describe('development model', () => {
  it('says that it is a development model and repeats the last user message', async () => {
    const client = clientOf(await startModel());

    const reply = await client.chat.completions.create({ model: 'any', messages: say('Hello') });

    expect(reply.choices[0]?.message.content).toBe(
      'I am the development model: no real model is configured. You said: Hello',
    );
    expect(reply.choices[0]?.finish_reason).toBe('stop');
    expect(reply.usage).toEqual({ prompt_tokens: 3, completion_tokens: 18, total_tokens: 21 });
    expect(reply._request_id).toBe('req_dev_1');
  });

  it('streams the same text in many pieces, with usage when asked for', async () => {
    const client = clientOf(await startModel());

    const stream = await client.chat.completions.create({
      model: 'any',
      stream: true,
      stream_options: { include_usage: true },
      messages: say('Hello'),
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);

    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toMatch(
      /: Hello$/,
    );
    expect(chunks.length).toBeGreaterThan(10);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)?.usage?.total_tokens).toBe(21);
  });

  it('pauses between two tokens if configured', async () => {
    const model = await startModel({ tokenDelayMs: 5 });

    const response = await post(model, { body: ask('any', { stream: true }) });
    let reads = 0;
    for await (const _piece of response.body ?? []) reads += 1;

    expect(reads).toBeGreaterThan(5);
  });

  it.each([false, true])('repeats any text to the byte when stream is %s', async (stream) => {
    const client = clientOf(await startModel());
    const text = `${HARD_TEXT} ${'x'.repeat(500)}`;

    const said = stream
      ? (await readStream(client, 'dev/instant', text)).text
      : (await client.chat.completions.create({ model: 'dev/instant', messages: say(text) }))
          .choices[0]?.message.content;

    expect(said?.split('You said: ')[1]).toBe(text);
  });

  it('gives the same answer to the same request, apart from its number and time', async () => {
    const model = await startModel();
    const body = ask('any', { stream: true });

    const texts = [];
    for (let round = 0; round < 2; round += 1) {
      texts.push(await (await post(model, { body })).text());
    }

    const [first, second] = texts.map((text) =>
      text.replaceAll(/chatcmpl-dev-\d+|"created":\d+/g, ''),
    );
    expect(first).toBe(second);
  });

  it('stops at a stop sequence and at the token limit, and says which', async () => {
    const client = clientOf(await startModel());

    const stopped = await client.chat.completions.create({
      model: 'any',
      stop: [' You said'],
      messages: say('Hello'),
    });
    const limited = await client.chat.completions.create({
      model: 'any',
      max_completion_tokens: 3,
      messages: say('Hello'),
    });

    expect(stopped.choices[0]?.message.content).toMatch(/configured\.$/);
    expect(stopped.choices[0]?.finish_reason).toBe('stop');
    expect(limited.choices[0]?.finish_reason).toBe('length');
    expect(limited.usage?.completion_tokens).toBe(3);
  });

  it('answers under the paths of Azure, where a stream begins with a chunk without choices', async () => {
    const model = await startModel();
    const endpoint = `http://127.0.0.1:${model.port}`;
    const azure = new AzureOpenAI({ endpoint, apiKey: 'k', apiVersion: 'v', maxRetries: 0 });
    const v1 = new OpenAI({ baseURL: `${endpoint}/openai/v1/`, apiKey: 'k', maxRetries: 0 });

    for (const client of [azure, v1]) {
      const stream = await client.chat.completions.create({
        model: 'dev/instant',
        stream: true,
        messages: say('Hello'),
      });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);

      expect(chunks[0]?.choices).toEqual([]);
      expect(chunks[0]).toHaveProperty('prompt_filter_results');
      expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    }
    expect(model.calls().map((call) => call.model)).toEqual(['dev/instant', 'dev/instant']);
  });
});

describe('requests that the development model refuses', () => {
  it.each([
    ['no key', { body: ask('any'), headers: {} }, 401],
    ['a body that is not JSON', { body: '{"model":' }, 400],
    ['a body that is a list', { body: [] }, 400],
    ['no messages', { body: { model: 'any' } }, 400],
    ['a message without a role', { body: { model: 'any', messages: [{}] } }, 400],
    ['a scripted name that nobody wrote', { body: ask('dev/no-such-script') }, 404],
    ['a number that is none', { body: ask('dev/cut-many') }, 404],
    ['an unknown path', { body: ask('any'), path: '/v2/nothing' }, 404],
    [
      'a broken escape in a deployment',
      { body: '{}', path: '/openai/deployments/%/chat/completions' },
      400,
    ],
  ])('answers %s in the error shape of OpenAI', async (_what, options, status) => {
    const model = await startModel();

    const response = await post(model, options);

    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: {
        message: expect.any(String),
        type: expect.any(String),
        param: expect.toSatisfy((param: unknown) => param === null || typeof param === 'string'),
        code: expect.toSatisfy((code: unknown) => code === null || typeof code === 'string'),
      },
    });
  });

  it('takes an api-key header as well as a bearer token', async () => {
    const model = await startModel();

    const response = await post(model, { body: ask('any'), headers: { 'api-key': 'k' } });

    expect(response.status).toBe(200);
  });

  it('stays up whatever a model name or a message holds', async () => {
    const model = await startModel();
    const names = [
      'dev/429-retry-after-\r\nx: 1',
      'dev/429-reset-tokens-\u0000é',
      '__proto__',
      '\uD800',
    ];
    const deep = '['.repeat(50_000) + ']'.repeat(50_000);

    const statuses = [];
    for (const name of names) statuses.push((await post(model, { body: ask(name) })).status);
    await (await post(model, { body: `{"model":"a","messages":${deep}}` })).text();

    expect(statuses).toEqual([429, 429, 200, 200]);
    expect((await post(model, { body: ask('any') })).status).toBe(200);
  });
});
