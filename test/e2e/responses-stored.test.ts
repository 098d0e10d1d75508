import OpenAI, { BadRequestError, NotFoundError } from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkStream } from '../support/responses/check-stream.ts';
import { itemShape, responseShape } from '../support/responses/shapes.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment({ tokenDelayMs: 5 });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

const WEATHER = {
  type: 'function' as const,
  name: 'get_weather',
  strict: false,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
};

function ask(input: string, options: object = {}) {
  return client.responses.create({ model: 'any', input, ...options });
}

/** The client adds `output_text`. */
function shapeOf({ output_text: _text, ...response }: OpenAI.Responses.Response) {
  return responseShape.parse(response);
}

async function rest(path: string, method = 'GET'): Promise<Response> {
  return fetch(`${environment.url}/v1/responses/${path}`, { method });
}

/** The messages of the last model call that contains the text. */
function messagesOf(text: string): readonly unknown[] {
  const call = environment.model
    .calls()
    .findLast(({ body }) => JSON.stringify(body).includes(text));
  const body = call?.body;
  return typeof body === 'object' && body !== null && 'messages' in body
    ? (body.messages as unknown[])
    : [];
}

async function untilEnded(id: string) {
  for (;;) {
    const response = await client.responses.retrieve(id);
    if (response.status !== 'queued' && response.status !== 'in_progress') return response;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a stored response', () => {
  it('is retrieved as it was answered, listed, deleted and then gone', async () => {
    const created = await ask('Hello there');

    const retrieved = shapeOf(await client.responses.retrieve(created.id));
    const items = await client.responses.inputItems.list(created.id);
    const cancelling = client.responses.cancel(created.id);
    await expect(cancelling).rejects.toThrow(BadRequestError);
    const deleted = await rest(created.id, 'DELETE');

    expect(retrieved).toEqual(shapeOf(created));
    expect(retrieved.store).toBe(true);
    expect(items.data.map((item) => itemShape.parse(item))).toMatchObject([
      { role: 'user', content: [{ type: 'input_text', text: 'Hello there' }] },
    ]);
    expect(await deleted.json()).toEqual({ id: created.id, object: 'response', deleted: true });
    await expect(client.responses.retrieve(created.id)).rejects.toThrow(NotFoundError);
  });

  it('is not stored where store is false', async () => {
    const created = await ask('Hello there', { store: false });

    expect(shapeOf(created).store).toBe(false);
    await expect(client.responses.retrieve(created.id)).rejects.toThrow(NotFoundError);
    await expect(ask('And?', { previous_response_id: created.id })).rejects.toMatchObject({
      code: 'previous_response_not_found',
    });
  });

  it('is the context of the next one, without its instructions', async () => {
    const first = await ask('My name is Ada', { instructions: 'Rhyme' });
    const second = await ask('What is my name?', { previous_response_id: first.id });
    await ask('Branch of the first', { previous_response_id: first.id });

    const branch = messagesOf('Branch of the first');
    expect(second.previous_response_id).toBe(first.id);
    expect(messagesOf('What is my name?')).toMatchObject([
      { role: 'system' },
      { role: 'user', content: 'My name is Ada' },
      { role: 'assistant', content: first.output_text },
      { role: 'user', content: 'What is my name?' },
    ]);
    expect(branch).toHaveLength(4);
    expect(JSON.stringify(branch)).not.toContain('What is my name?');
  });

  it('takes the output of its call without the tools, and refuses a message before it', async () => {
    const called = await ask('Use get_weather {"city":"Oslo"}', { tools: [WEATHER] });
    const [call] = called.output;
    const output = {
      type: 'function_call_output' as const,
      call_id: call?.type === 'function_call' ? call.call_id : '',
      output: 'Rain in Oslo',
    };

    const skipped = ask('And?', { previous_response_id: called.id });
    await expect(skipped).rejects.toThrow(/No tool output found for function call/);
    const answer = await client.responses.create({
      model: 'any',
      input: [output],
      previous_response_id: called.id,
    });

    expect(answer.output_text).toContain('Rain in Oslo');
  });

  it('is found by the references to its items', async () => {
    const first = await ask('Remember the sea');
    const id = first.output[0]?.id ?? '';

    await client.responses.create({
      model: 'any',
      input: [
        { id, type: 'item_reference' },
        { role: 'user', content: 'Referring to it' },
      ],
    });
    const unknown = client.responses.create({
      model: 'any',
      input: [{ id: `msg_${'0'.repeat(52)}`, type: 'item_reference' }],
    });

    await expect(unknown).rejects.toMatchObject({ param: 'input.0.id' });
    expect(messagesOf('Referring to it')).toMatchObject([
      { role: 'system' },
      { role: 'assistant', content: first.output_text },
      { role: 'user' },
    ]);
  });

  it('of a stream has the same events again, from any number on', async () => {
    const stream = await ask('Hello there', { stream: true });
    const live: ResponseStreamEvent[] = await Array.fromAsync(
      stream as unknown as AsyncIterable<ResponseStreamEvent>,
    );
    const id = live[0]?.type === 'response.created' ? live[0].response.id : '';

    const again = await rest(`${id}?stream=true`);
    const replayed = checkStream(await again.text());
    const later = await client.responses.retrieve(id, { stream: true, starting_after: 4 });

    expect(replayed.events).toEqual(live);
    expect(await Array.fromAsync(later)).toEqual(live.slice(5));
  });

  it('is cancelled when its client leaves, and its model call is aborted', async () => {
    const leaving = new AbortController();
    const stream = await client.responses.create(
      { model: 'any', input: 'dev/stall-2 leaving', stream: true },
      { signal: leaving.signal },
    );
    let id = '';
    for await (const event of stream) {
      if (event.type === 'response.created') ({ id } = event.response);
      if (event.type === 'response.output_text.delta') leaving.abort();
    }

    await expect.poll(async () => (await rest(id)).status, { timeout: 10_000 }).toBe(200);
    expect((await client.responses.retrieve(id)).status).toBe('cancelled');
    expect(environment.model.calls().findLast(callsLeaving)?.status).toBe('aborted');
  });

  it('of a model that writes without an end fails, and is stored as failed', async () => {
    const stream = client.responses.stream({ model: 'any', input: 'dev/bytes-5000000 Endless' });
    const failed = await stream.finalResponse();

    const stored = await client.responses.retrieve(failed.id);
    expect(failed.status).toBe('failed');
    expect(stored.error?.message).toContain('524288 characters');
    expect(JSON.stringify(stored).length).toBeLessThan(3 * 524_288);
  });

  it('that failed says so', async () => {
    const stream = client.responses.stream({ model: 'any', input: 'dev/cut-3 Hi' });
    const failed = await stream.finalResponse();

    const retrieved = await client.responses.retrieve(failed.id);

    expect(retrieved.status).toBe('failed');
    expect(retrieved.output).toMatchObject([{ status: 'incomplete' }]);
  });
});

describe('a run in the background', () => {
  it('answers at once, and is completed later', async () => {
    const queued = await ask('Hello there', { background: true });

    const response = await untilEnded(queued.id);

    expect(shapeOf(queued).status).toBe('queued');
    expect(response).toMatchObject({ status: 'completed', background: true });
    expect(response.output_text).toContain('Hello there');
    expect(response.usage?.total_tokens).toBeGreaterThan(0);
  });

  it('is followed live, and resumed from any event', async () => {
    const stream = await ask('dev/long-60 Hi', { background: true, stream: true });
    const live: ResponseStreamEvent[] = [];
    for await (const event of stream as unknown as AsyncIterable<ResponseStreamEvent>) {
      live.push(event);
      if (event.type === 'response.output_text.delta') break;
    }
    const id = live[0]?.type === 'response.created' ? live[0].response.id : '';
    const last = live.at(-1)?.sequence_number ?? 0;

    const rest_ = await client.responses.retrieve(id, { stream: true, starting_after: last });
    const events = [...live, ...(await Array.fromAsync(rest_))];
    const replayed = checkStream(await (await rest(`${id}?stream=true`)).text());

    expect(events).toEqual(replayed.events);
    expect(events.map(({ type }) => type).slice(0, 3)).toEqual([
      'response.created',
      'response.queued',
      'response.in_progress',
    ]);
    expect(replayed.response.status).toBe('completed');
  });

  it('is cancelled in its middle, and stays cancelled', async () => {
    const queued = await ask('dev/stall-3 Hi', { background: true });
    await expect.poll(async () => messagesOf('dev/stall-3 Hi').length).toBeGreaterThan(0);

    const cancelled = await client.responses.cancel(queued.id);
    const again = await client.responses.cancel(queued.id);

    expect(cancelled.status).toBe('cancelled');
    expect(again.status).toBe('cancelled');
    await expect
      .poll(() => environment.model.calls().find((call) => callsStall(call))?.status, {
        timeout: 10_000,
      })
      .toBe('aborted');
    expect((await client.responses.retrieve(queued.id)).status).toBe('cancelled');
  });

  it('fails with the reason that a stream would have', async () => {
    const queued = await ask('dev/400 Hi', { background: true });

    const response = await untilEnded(queued.id);

    expect(response.status).toBe('failed');
    expect(response.error?.code).toBe('upstream_misconfigured');
  });

  it('is refused where it may not be stored', async () => {
    const asking = ask('Hi', { background: true, store: false });

    await expect(asking).rejects.toMatchObject({ param: 'background' });
  });
});

function callsStall({ body }: { readonly body: unknown }): boolean {
  return JSON.stringify(body).includes('dev/stall-3 Hi');
}

function callsLeaving({ body }: { readonly body: unknown }): boolean {
  return JSON.stringify(body).includes('dev/stall-2 leaving');
}
