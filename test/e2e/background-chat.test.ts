import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { readEvents } from './support/read-events.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({ tokenDelayMs: 5 });
});
afterAll(() => environment.stop());

const runSchema = z.looseObject({ id: z.string(), status: z.string() });
const sessionRun = runSchema.extend({ sessionId: z.string() });
const messageSchema = z.looseObject({ role: z.string(), runStatus: z.string() });

function post(body: object): Promise<Response> {
  return fetch(`${environment.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

function read(path: string, method = 'GET'): Promise<Response> {
  return fetch(`${environment.url}/api/chat/${path}`, { method });
}

it('a chat in the background is queued at once, and polled until it is completed', async () => {
  const queued = runSchema.parse(
    await (await post({ message: 'Hello there', background: true })).json(),
  );
  const status = async () => runSchema.parse(await (await read(queued.id)).json()).status;

  await expect.poll(status, { timeout: 10_000 }).toBe('completed');

  const completed = await (await read(queued.id)).json();
  expect(queued.status).toBe('queued');
  expect(completed).toMatchObject({
    id: queued.id,
    status: 'completed',
    response: expect.stringContaining('Hello there'),
    finishReason: 'stop',
    usage: { totalTokens: expect.any(Number) },
  });
});

it('a chat in the background is followed, and resumed after any event', async () => {
  const started = await post({ message: 'Hello there', background: true, stream: true });
  const { events: live } = await readEvents(started, (events) => events.length >= 3);
  const { id } = runSchema.pick({ id: true }).loose().parse(live[0]?.data);

  const all = await readEvents(await read(`${id}?stream=true`));
  const rest = await readEvents(await read(`${id}?stream=true&starting_after=1`));

  expect(all.events.slice(0, live.length)).toEqual(live);
  expect(rest.events).toEqual(all.events.slice(2));
  expect(all.events.at(-1)?.event).toBe('done');
});

it('a chat in the background is cancelled, and unknown ones are not found', async () => {
  const queued = runSchema.parse(
    await (await post({ message: 'dev/stall-3 Hello', background: true })).json(),
  );

  const cancelled = await (await read(`${queued.id}/cancel`, 'POST')).json();
  const later = await (await read(queued.id)).json();
  const unknown = await read(`run_${'0'.repeat(48)}`);

  expect(cancelled).toMatchObject({ id: queued.id, status: 'cancelled' });
  expect(later).toEqual(cancelled);
  expect(unknown.status).toBe(404);
});

it('a chat in the background has its session until it ends, and its answer is there afterwards', async () => {
  const first = sessionRun.parse(
    await (await post({ message: 'I am Ada', background: true })).json(),
  );
  const { sessionId } = first;
  const status = async (id: string) => runSchema.parse(await (await read(id)).json()).status;
  await expect.poll(() => status(first.id), { timeout: 10_000 }).toBe('completed');
  const second = sessionRun.parse(
    await (await post({ message: 'dev/stall-3 Who am I?', background: true, sessionId })).json(),
  );

  const meanwhile = await Promise.all([
    post({ message: 'Hi', sessionId }),
    post({ message: 'Hi', sessionId, background: true }),
    fetch(`${environment.url}/api/sessions/${sessionId}`, { method: 'DELETE' }),
  ]);
  await read(`${second.id}/cancel`, 'POST');
  const third = await post({ message: 'Hi', sessionId });

  expect(meanwhile.map((response) => response.status)).toEqual([409, 409, 409]);
  expect(second.sessionId).toBe(sessionId);
  expect(third.status).toBe(200);
  const session = await (await fetch(`${environment.url}/api/sessions/${sessionId}`)).json();
  const messages = z.looseObject({ messages: z.array(messageSchema) }).parse(session).messages;
  expect(messages.map(({ role, runStatus }) => `${role} ${runStatus}`)).toEqual([
    'user completed',
    'assistant completed',
    'user failed',
    'user completed',
    'assistant completed',
  ]);
  const call = environment.model.calls().at(-1)?.body;
  expect(JSON.stringify(call)).toContain('I am Ada');
  expect(JSON.stringify(call)).not.toContain('Who am I?');
});
