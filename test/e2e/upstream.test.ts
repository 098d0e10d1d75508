import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { shareStorage } from '../support/batch/storage-environment.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import {
  startEnvironment,
  type TestEnvironment,
  type WorldOptions,
} from './support/start-environment.ts';

const storage = shareStorage();
let environment: TestEnvironment | undefined;
afterEach(async () => {
  await environment?.stop();
  environment = undefined;
});

async function start(options: WorldOptions): Promise<TestEnvironment> {
  const settings = { ...storage(), ...options.settings };
  environment = await startEnvironment({ ...options, settings });
  return environment;
}

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('POST /api/chat when the model', () => {
  it('cannot be reached answers 503, in a stream too', async () => {
    const baseUrl = `http://127.0.0.1:${await closedPort()}/v1`;
    const { url } = await start({ settings: { OPENAI_BASE_URL: baseUrl } });

    const whole = await postChat(url, { message: 'Hi' });
    const streamed = await postChat(url, { message: 'Hi', stream: true });

    const text = await whole.text();
    expect([whole.status, streamed.status]).toEqual([503, 503]);
    expect(JSON.parse(text)).toMatchObject({
      retryable: true,
      error: { code: 'upstream_unavailable' },
    });
    expect(text).not.toContain('127.0.0.1');
    expect(await streamed.json()).toMatchObject({ error: { code: 'upstream_unavailable' } });
  });

  it('stops in the middle of its answer ends the stream with an error, never as done', async () => {
    const { url } = await start({ model: 'dev/fin-5' });

    const response = await postChat(url, { message: 'Tell me something long', stream: true });

    const { events } = await readEvents(response);
    expect(response.status).toBe(200);
    expect(events.filter(({ event }) => event === 'delta').length).toBeGreaterThan(0);
    expect(events.at(-1)).toMatchObject({
      event: 'error',
      data: { error: { code: 'upstream_interrupted' }, retryable: true },
    });
    expect(events.some(({ event }) => event === 'done')).toBe(false);
  });

  it('refuses the content answers 422 without another call', async () => {
    const { url, model } = await start({ model: 'dev/content-filter' });

    const response = await postChat(url, { message: 'Hi' });

    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      retryable: false,
      error: { code: 'content_filtered' },
    });
    expect(model.calls()).toHaveLength(1);
  });

  it('is still working when the client disconnects is aborted (H1)', async () => {
    const { url, model } = await start({ model: 'dev/slow-500000' });
    const client = new AbortController();
    const left = expect(
      postChat(url, { message: 'Hi' }, { signal: client.signal }),
    ).rejects.toThrow();
    await eventually('the model is asked', () => model.calls().length === 1);

    client.abort();

    await left;
    await eventually('the call is aborted', () => model.calls()[0]?.status === 'aborted');
  });

  it('is silent is kept company by comments', async () => {
    const { url } = await start({
      model: 'dev/slow-first-token-60000',
      settings: { AGENT__LIMITS__HEARTBEAT_MS: '100' },
    });

    const response = await postChat(url, { message: 'Hi', stream: true });

    const { events, comments } = await readEvents(response);
    expect(comments).toBeGreaterThan(2);
    expect(events.at(-1)?.event).toBe('done');
  });

  it('sends faster than the client reads is slowed down to its pace (H2)', async () => {
    const { url, model, host } = await start({ model: 'dev/bytes-50000000' });
    const response = await postChat(url, { message: 'Hi', stream: true });
    const reader = response.body?.getReader();
    await reader?.read();

    const stalledAt = await settled(() => model.calls()[0]?.tokensSent ?? 0);

    const call = model.calls()[0];
    expect(call?.status).toBe('running');
    expect(stalledAt).toBeGreaterThan(0);
    await reader?.cancel();
    expect(host.workerPid()).toBeTypeOf('number');
  });
});

/** The value once it has stood still for a while. */
async function settled(read: () => number): Promise<number> {
  let previous = -1;
  for (let still = 0; still < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const value = read();
    still = value === previous ? still + 1 : 0;
    previous = value;
  }
  return previous;
}
