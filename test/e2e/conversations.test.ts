import OpenAI, { BadRequestError, NotFoundError } from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { itemShape } from '../support/responses/shapes.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let client: OpenAI;
beforeAll(async () => {
  environment = await startEnvironment({ tokenDelayMs: 5 });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => environment.stop());

it('a conversation is created, read, changed and deleted', async () => {
  const created = await client.conversations.create({
    metadata: { topic: 'sea' },
    items: [{ type: 'message', role: 'user', content: 'Hello' }],
  });

  const changed = await client.conversations.update(created.id, { metadata: { topic: 'land' } });
  const read = await client.conversations.retrieve(created.id);
  const deleted = await client.conversations.delete(created.id);

  expect(created).toMatchObject({ object: 'conversation', metadata: { topic: 'sea' } });
  expect(created.id).toMatch(/^conv_/);
  expect(read).toEqual(changed);
  expect(read.metadata).toEqual({ topic: 'land' });
  expect(deleted).toEqual({ id: created.id, object: 'conversation.deleted', deleted: true });
  await expect(client.conversations.retrieve(created.id)).rejects.toThrow(NotFoundError);
});

it('its items are added, listed by pages, read and deleted', async () => {
  const { id } = await client.conversations.create();
  const texts = Array.from({ length: 5 }, (_, index) => `Message ${index}`);
  const added = await client.conversations.items.create(id, {
    items: texts.map((content) => ({ type: 'message' as const, role: 'user' as const, content })),
  });
  const first = added.data[0]?.id ?? '';

  const listed = await Array.fromAsync(
    client.conversations.items.list(id, { limit: 2, order: 'asc' }),
  );
  const one = await client.conversations.items.retrieve(first, { conversation_id: id });
  await client.conversations.items.delete(first, { conversation_id: id });
  const left = await client.conversations.items.list(id);

  expect(listed.map((item) => itemShape.parse(item))).toEqual(added.data);
  expect(one).toEqual(added.data[0]);
  expect(left.data).toEqual(added.data.slice(1).toReversed());
  await expect(client.conversations.items.retrieve(first, { conversation_id: id })).rejects.toThrow(
    NotFoundError,
  );
});

it('a response continues its conversation, and one that fails leaves it as it was', async () => {
  const { id: conversation } = await client.conversations.create();

  const first = await client.responses.create({ model: 'any', input: 'I am Ada', conversation });
  const failing = client.responses.stream({ model: 'any', input: 'dev/cut-3 x', conversation });
  await failing.finalResponse();
  const second = await client.responses.create({ model: 'any', input: 'Who?', conversation });
  const items = await client.conversations.items.list(conversation, { order: 'asc' });

  expect(second.conversation).toEqual({ id: conversation });
  expect(items.data).toMatchObject([
    { role: 'user', content: [{ text: 'I am Ada' }] },
    { role: 'assistant', content: [{ text: first.output_text }] },
    { role: 'user', content: [{ text: 'Who?' }] },
    { role: 'assistant', content: [{ text: second.output_text }] },
  ]);
});

it('a conversation has one active run, and an unknown one is not found', async () => {
  const { id: conversation } = await client.conversations.create();
  const body = { model: 'any', input: 'dev/long-200 Hi', conversation, stream: true };
  const running = await fetch(`${environment.url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  const busy = client.responses.create({ model: 'any', input: 'Hi', conversation });
  await expect(busy).rejects.toMatchObject({ status: 409, code: 'session_busy' });
  await running.text();
  const later = await client.responses.create({ model: 'any', input: 'Hi', conversation });
  const unknown = () =>
    client.responses.create({ model: 'any', input: 'Hi', conversation: `${conversation}0` });
  const both = () =>
    client.responses.create({
      model: 'any',
      input: 'Hi',
      conversation,
      previous_response_id: later.id,
    });

  expect(later.status).toBe('completed');
  await expect(unknown()).rejects.toMatchObject({ status: 404, param: 'conversation' });
  await expect(both()).rejects.toThrow(BadRequestError);
});

it('a response in the background has its conversation until its end, and adds its items once', async () => {
  const { id: conversation } = await client.conversations.create();
  const params = { model: 'any', conversation, background: true } as const;
  const first = await client.responses.create({ ...params, input: 'I am Ada' });
  const statusOf = async (id: string) => (await client.responses.retrieve(id)).status;
  await expect.poll(() => statusOf(first.id), { timeout: 10_000 }).toBe('completed');
  const slow = await client.responses.create({ ...params, input: 'dev/stall-3 Hi' });

  const busy = client.responses.create({ model: 'any', input: 'Hi', conversation });
  const adding = () =>
    client.conversations.items.create(conversation, { items: [{ role: 'user', content: 'x' }] });
  await expect(busy).rejects.toMatchObject({ status: 409, code: 'session_busy' });
  await expect(adding()).rejects.toMatchObject({ status: 409, code: 'session_busy' });
  await client.responses.cancel(slow.id);
  const second = await client.responses.create({ model: 'any', input: 'Who?', conversation });

  const items = await client.conversations.items.list(conversation, { order: 'asc' });
  expect(items.data).toMatchObject([
    { role: 'user', content: [{ text: 'I am Ada' }] },
    { role: 'assistant' },
    { role: 'user', content: [{ text: 'Who?' }] },
    { role: 'assistant', content: [{ text: second.output_text }] },
  ]);
  expect(first).toMatchObject({ status: 'queued', conversation: { id: conversation } });
});

it('counts the input of a request with what it continues, and compacts nothing', async () => {
  const { id: conversation } = await client.conversations.create({
    items: [{ type: 'message', role: 'user', content: 'A long message '.repeat(50) }],
  });
  const input = 'How many tokens?';

  const alone = await client.responses.inputTokens.count({ model: 'any', input });
  const within = await client.responses.inputTokens.count({ model: 'any', input, conversation });
  const unknown = client.responses.inputTokens.count({
    model: 'any',
    input,
    conversation: `${conversation.slice(0, -4)}0000`,
  });

  await expect(unknown).rejects.toMatchObject({ status: 404, param: 'conversation' });
  await expect(client.responses.compact({ model: 'any', input })).rejects.toThrow(NotFoundError);
  expect(alone).toEqual({ object: 'response.input_tokens', input_tokens: expect.any(Number) });
  expect(within.input_tokens).toBeGreaterThan(alone.input_tokens + 100);
  expect(
    environment.model.calls().filter(({ body }) => JSON.stringify(body).includes(input)),
  ).toEqual([]);
});
