import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { shareStorage } from '../support/batch/storage-environment.ts';
import { startRedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';
import {
  hang,
  say,
  startScriptedUpstream,
  type UpstreamRequest,
} from '../support/scripted-upstream.ts';
import { chatAtOnce, countStatuses, from, readChat, type ReadChat } from './support/callers.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import {
  startEnvironment,
  type TestEnvironment,
  type WorldOptions,
} from './support/start-environment.ts';

const CACHED = { AGENT__CACHE__TTL_SECONDS: '300' };
const STORED = 'serverless-agent; fwd=miss; stored';
const COLLAPSED = 'serverless-agent; fwd=miss; collapsed';
const SAME = { message: 'The same question' };

const replySchema = z.object({ response: z.string(), cached: z.boolean() });

const storage = shareStorage();
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function start(options: WorldOptions = {}): Promise<TestEnvironment> {
  const environment = await startEnvironment({
    ...options,
    settings: { ...storage(), ...CACHED, ...options.settings },
  });
  stops.push(() => environment.stop());
  return environment;
}

function replyOf({ text }: ReadChat): z.infer<typeof replySchema> {
  return replySchema.parse(JSON.parse(text));
}

function statusOf({ headers }: { readonly headers: Headers }): string | null {
  return headers.get('cache-status');
}

describe('an answer that was made before', () => {
  it('is found again, and says so', async () => {
    const { url, model } = await start();

    const first = await readChat(await postChat(url, SAME));
    const second = await readChat(await postChat(url, SAME));

    expect([statusOf(first), replyOf(first).cached]).toEqual([STORED, false]);
    expect(statusOf(second)).toMatch(/^serverless-agent; hit; ttl=(?:299|300)$/);
    expect(replyOf(second)).toEqual({ ...replyOf(first), cached: true });
    expect(model.calls()).toHaveLength(1);
  });

  it('is streamed if the request wants a stream, and served to others when it was one', async () => {
    const { url, model } = await start({ tokenDelayMs: 0 });
    const ask = { message: 'word '.repeat(100), stream: true };

    const made = await postChat(url, ask);
    const first = await readEvents(made);
    const found = await postChat(url, ask);
    const second = await readEvents(found);
    const whole = await readChat(await postChat(url, { message: ask.message }));

    expect(statusOf(made)).toBe('serverless-agent; fwd=miss');
    expect(statusOf(found)).toMatch(/^serverless-agent; hit/);
    expect(textOf(second.events)).toBe(textOf(first.events));
    expect(replyOf(whole).response).toBe(textOf(first.events));
    expect(second.events.filter(({ event }) => event === 'delta').length).toBeGreaterThan(2);
    expect(second.events.at(-1)).toMatchObject({ event: 'done', data: { cached: true } });
    expect(model.calls()).toHaveLength(1);
  });

  it('is found by OpenAI clients too, and costs no tokens', async () => {
    const { url, model } = await start({ settings: { AGENT__LIMITS__TOKENS_PER_MINUTE: '5000' } });

    const body = { messages: [{ role: 'user', content: 'The same question' }] };
    const first = await post(`${url}/v1/chat/completions`, body);
    const second = await post(`${url}/v1/chat/completions`, body);
    const third = await post(`${url}/v1/chat/completions`, body);

    expect(statusOf(first)).toBe(STORED);
    expect([statusOf(second), statusOf(third)]).toEqual([
      expect.stringContaining('; hit'),
      expect.stringContaining('; hit'),
    ]);
    expect(second.headers.get('ratelimit')?.split(';t=')[0]).toBe(
      third.headers.get('ratelimit')?.split(';t=')[0],
    );
    expect(model.calls()).toHaveLength(1);
  });

  it('is never given to another caller (R6)', async () => {
    const { url, model } = await start();
    const body = (index: number) => ({ message: `Question ${index % 50}` });

    const alice = await chatAtOnce({ url, times: 50, headers: from('192.0.2.1'), body });
    const bob = await chatAtOnce({ url, times: 50, headers: from('192.0.2.2'), body });

    expect(alice.concat(bob).map(statusOf)).toEqual(Array.from({ length: 100 }, () => STORED));
    expect(model.calls()).toHaveLength(100);
  });

  it('is not used by a request that refuses it (R7)', async () => {
    const { url, model } = await start();
    const ask = async (control: string, body: object = SAME) =>
      statusOf(
        await readChat(await postChat(url, body, { headers: { 'cache-control': control } })),
      );

    const statuses = [
      await ask('no-store'),
      await ask(''),
      await ask('no-cache'),
      await ask('max-age=60'),
      await ask('', { ...SAME, maxOutputTokens: 50 }),
    ];
    const warm = { messages: [{ role: 'user', content: 'Hi' }], temperature: 0.5 };
    const varied = await post(`${url}/v1/chat/completions`, warm);

    expect(statuses).toEqual([
      'serverless-agent; fwd=request',
      STORED,
      'serverless-agent; fwd=request; stored',
      expect.stringContaining('; hit'),
      STORED,
    ]);
    expect(statusOf(varied)).toBe('serverless-agent; fwd=bypass');
    expect(model.calls()).toHaveLength(5);
  });
});

describe('equal questions at once', () => {
  const body = () => SAME;

  it('cost one call for 500 of them (R8)', async () => {
    const { url, model } = await start({ model: 'dev/slow-50000' });

    const chats = await chatAtOnce({ url, times: 500, body });

    expect(countStatuses(chats)).toEqual({ 200: 500 });
    expect(new Set(chats.map((chat) => replyOf(chat).response)).size).toBe(1);
    expect(chats.filter((chat) => !replyOf(chat).cached)).toHaveLength(1);
    expect(chats.filter((chat) => statusOf(chat) === STORED)).toHaveLength(1);
    expect(chats.some((chat) => statusOf(chat) === COLLAPSED)).toBe(true);
    expect(model.calls()).toHaveLength(1);
  });

  it('fail once when the first call fails: no other of 500 gets that error (R8)', async () => {
    const settings = { AGENT__MODEL__MAX_ATTEMPTS: '1' };
    const { url, model } = await start({ model: 'dev/503-then-ok', settings });

    const chats = await chatAtOnce({ url, times: 500, body });

    expect(countStatuses(chats)).toEqual({ 200: 499, 503: 1 });
    expect(model.calls()).toHaveLength(2);
  });

  it('go on when the one who makes the call leaves (R8)', async () => {
    const same = (request: UpstreamRequest): boolean =>
      JSON.stringify(request.body).includes(SAME.message);
    await using upstream = await startScriptedUpstream((turn) =>
      (turn.number === 1 ? hang : say('because'))(turn),
    );
    const { url } = await start({ settings: { OPENAI_BASE_URL: upstream.baseUrl } });
    const leader = new AbortController();
    const left = postChat(url, SAME, { signal: leader.signal }).catch(() => 'left');
    await eventually('the call is made', () => upstream.requests.length === 1);
    const others = chatAtOnce({ url, times: 20, body });
    // A request that has not arrived by then finds the call that the others make.
    await postChat(url, { message: 'Another question' });

    leader.abort();

    expect(countStatuses(await others)).toEqual({ 200: 20 });
    expect(await left).toBe('left');
    const calls = upstream.requests.filter(same);
    const aborted = await Promise.all(calls.map(({ leftEarly }) => leftEarly));
    expect(aborted).toEqual([true, false]);
  });
});

describe('an answer made by another instance', requireTool('redis-server'), () => {
  it('is found in Redis', async () => {
    const redis = await startRedisEnvironment();
    stops.push(() => redis.close());
    const settings = {
      UPSTASH_REDIS_REST_URL: redis.bridge.url,
      UPSTASH_REDIS_REST_TOKEN: redis.bridge.token,
      AGENT__REDIS__TIMEOUT_MS: '10000',
    };
    const one = await start({ settings });
    const two = await start({ settings: { ...settings, OPENAI_BASE_URL: one.model.url } });

    const made = await readChat(await postChat(one.url, SAME));
    await eventually('it is written', () => redis.bridge.commands().includes('SET'));
    const found = await readChat(await postChat(two.url, SAME));

    expect([statusOf(made), statusOf(found)]).toEqual([STORED, expect.stringContaining('; hit')]);
    expect(replyOf(found)).toEqual({ ...replyOf(made), cached: true });
    expect(one.model.calls()).toHaveLength(1);
  });
});

function textOf(events: readonly { readonly event: string; readonly data: unknown }[]): string {
  return events
    .filter(({ event }) => event === 'delta')
    .map(({ data }) => z.object({ text: z.string() }).parse(data).text)
    .join('');
}

async function post(url: string, body: unknown): Promise<ReadChat> {
  const headers = { 'content-type': 'application/json' };
  return readChat(await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) }));
}
