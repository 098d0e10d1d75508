import { afterEach, describe, expect, it } from 'vitest';
import { shareStorage } from '../support/batch/storage-environment.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';
import { say, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  chatAtOnce,
  countStatuses,
  from,
  readChat,
  remainingOf,
  type ReadChat,
} from './support/callers.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import {
  startEnvironment,
  type TestEnvironment,
  type WorldOptions,
} from './support/start-environment.ts';

const RPM = 60;
const LIMITED = { AGENT__LIMITS__REQUESTS_PER_MINUTE: String(RPM) };
/** One token and four for each of two messages, and the rest for the answer: 1,000 in all. */
const THOUSAND = {
  settings: { AGENT__AGENT__INSTRUCTIONS: 'four', AGENT__LIMITS__TOKENS_PER_MINUTE: '20000' },
  body: { message: 'four', maxOutputTokens: 990 },
} as const;

const storage = shareStorage();
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function start(options: WorldOptions): Promise<TestEnvironment> {
  const settings = { ...storage(), ...options.settings };
  const environment = await startEnvironment({ ...options, settings });
  stops.push(() => environment.stop());
  return environment;
}

describe('limits of a caller', () => {
  it('admit exactly the limit of 200 concurrent requests, and no other caller is affected (R4)', async () => {
    const environment = await start({ settings: LIMITED });

    const [greedy, modest] = await Promise.all([
      chatAtOnce({ url: environment.url, times: 200, headers: from('192.0.2.1') }),
      chatAtOnce({ url: environment.url, times: 20, headers: from('192.0.2.2') }),
    ]);

    expect(countStatuses(greedy)).toEqual({ 200: RPM, 429: 200 - RPM });
    expect(countStatuses(modest)).toEqual({ 200: 20 });
    expect(environment.model.calls()).toHaveLength(RPM + 20);
    const refused = greedy.find(({ status }) => status === 429);
    expect(refused?.headers.get('content-type')).toBe('application/problem+json');
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(refused?.headers.get('ratelimit-policy')).toBe('"rpm";q=60;w=60');
    expect(JSON.parse(refused?.text ?? '')).toMatchObject({
      retryable: true,
      error: { code: 'rate_limited' },
    });
  });

  it('never let more tokens be in flight or spent than the budget (100 x 1,000 of 20,000)', async () => {
    // A chat that ends gives back what it did not use: none ends before all are admitted or refused.
    const allRefused = Promise.withResolvers<void>();
    await using upstream = await startScriptedUpstream(async (turn) => {
      await allRefused.promise;
      await say('Hello')(turn);
    });
    const environment = await start({
      settings: { ...THOUSAND.settings, OPENAI_BASE_URL: upstream.baseUrl },
    });
    let refused = 0;
    const chat = async (): Promise<ReadChat> => {
      const read = await readChat(await postChat(environment.url, THOUSAND.body));
      if (read.status === 429) refused += 1;
      if (refused === 80) allRefused.resolve();
      return read;
    };

    const chats = await Promise.all(Array.from({ length: 100 }, chat));

    expect(countStatuses(chats)).toEqual({ 200: 20, 429: 80 });
    expect(upstream.requests).toHaveLength(20);
    const used = chats
      .filter(({ status }) => status === 200)
      .map(({ text }) => (JSON.parse(text) as { usage: { totalTokens: number } }).usage.totalTokens)
      .reduce((sum, tokens) => sum + tokens, 0);
    const next = await readChat(await postChat(environment.url, THOUSAND.body));
    expect(remainingOf(next, 'tpm')).toBe(20_000 - used - 1_000);
  });

  it('get the tokens of a failed call back, but not the request', async () => {
    const settings = { ...LIMITED, ...THOUSAND.settings, AGENT__MODEL__MAX_ATTEMPTS: '1' };
    const environment = await start({ model: 'dev/503-then-ok', settings });

    const failed = await readChat(await postChat(environment.url, THOUSAND.body));
    const next = await readChat(await postChat(environment.url, THOUSAND.body));

    expect([failed.status, next.status]).toEqual([503, 200]);
    expect([remainingOf(failed, 'tpm'), remainingOf(next, 'tpm')]).toEqual([19_000, 19_000]);
    expect([remainingOf(failed, 'rpm'), remainingOf(next, 'rpm')]).toEqual([59, 58]);
  });

  it('hold for streams, which say so before their first event', async () => {
    const environment = await start({ settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '1' } });
    const ask = { message: 'Hi', stream: true };

    const first = await postChat(environment.url, ask);
    const { events } = await readEvents(first);
    const second = await postChat(environment.url, ask);

    expect(events.at(-1)?.event).toBe('done');
    expect(first.headers.get('ratelimit')).toMatch(/^"rpm";r=0;t=\d+$/);
    expect(second.status).toBe(429);
    expect(second.headers.get('content-type')).toBe('application/problem+json');
  });

  it('count every route but the open ones, and requests that are refused as invalid', async () => {
    const environment = await start({ settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '3' } });
    const completions = { messages: [{ role: 'user', content: 'Hi' }] };

    const counted = [
      await fetch(`${environment.url}/v1/models`),
      await postChat(environment.url, { message: '' }),
      await postTo(`${environment.url}/v1/chat/completions`, completions),
      await postTo(`${environment.url}/v1/chat/completions`, completions),
      await fetch(`${environment.url}/v1/models`),
      await postChat(environment.url, '{'),
    ];
    const open = await Promise.all(
      ['/health', '/ready'].map((path) => fetch(environment.url + path)),
    );

    expect(counted.map(({ status }) => status)).toEqual([200, 400, 200, 429, 429, 400]);
    expect(open.map(({ status }) => status)).toEqual([200, 200]);
    expect(open[0]?.headers.has('ratelimit')).toBe(false);
  });

  it('are not used up by a client that claims the address of another in the body (R5)', async () => {
    const environment = await start({ settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '3' } });
    const forged = { message: 'Hi', headers: from('192.0.2.1') };

    const attacks = await chatAtOnce({ url: environment.url, times: 20, body: () => forged });
    const claims = await chatAtOnce({
      url: environment.url,
      times: 20,
      headers: from('192.0.2.1, 198.51.100.7'),
    });
    const victim = await chatAtOnce({ url: environment.url, times: 3, headers: from('192.0.2.1') });

    expect(countStatuses(attacks)).toEqual({ 400: 20 });
    expect(countStatuses(claims)).toEqual({ 200: 3, 429: 17 });
    expect(countStatuses(victim)).toEqual({ 200: 3 });
  });

  it('refuse no request and send no header in observe mode', async () => {
    const settings = { AGENT__LIMITS__REQUESTS_PER_MINUTE: '1', AGENT__LIMITS__MODE: 'observe' };
    const environment = await start({ settings });

    const chats = await chatAtOnce({ url: environment.url, times: 3 });

    expect(countStatuses(chats)).toEqual({ 200: 3 });
    expect(chats[0]?.headers.has('ratelimit')).toBe(false);
    await eventually('it is logged', () =>
      environment.log.some((line) => line.includes('rate limit would refuse')),
    );
  });
});

describe('limits with Redis', requireTool('redis-server'), () => {
  async function startShared(
    settings: Record<string, string>,
  ): Promise<[RedisEnvironment, TestEnvironment]> {
    const redis = await startRedisEnvironment();
    stops.push(() => redis.close());
    return [redis, await start({ settings: { ...redisSettings(redis), ...settings } })];
  }

  it('let exactly so many of 200 requests pass on two instances together', async () => {
    // A busy machine must not make Redis look slow here.
    const settings = { ...LIMITED, AGENT__REDIS__TIMEOUT_MS: '10000' };
    const [redis, one] = await startShared(settings);
    const two = await start({ settings: { ...redisSettings(redis), ...settings } });

    const [here, there, other] = await Promise.all([
      chatAtOnce({ url: one.url, times: 100, headers: from('192.0.2.1') }),
      chatAtOnce({ url: two.url, times: 100, headers: from('192.0.2.1') }),
      chatAtOnce({ url: two.url, times: 10, headers: from('192.0.2.2') }),
    ]);

    expect(countStatuses([...here, ...there])).toEqual({ 200: RPM, 429: 200 - RPM });
    expect(countStatuses(other)).toEqual({ 200: 10 });
    expect(one.model.calls().length + two.model.calls().length).toBe(RPM + 10);
    const ready = await (await fetch(`${one.url}/ready`)).json();
    expect(ready).toMatchObject({ status: 'ready', redis: { status: 'ready' } });
  });

  it.each<readonly [string, (redis: RedisEnvironment) => void | Promise<void>]>([
    ['is killed (R1)', (redis) => redis.killRedis()],
    ['cannot be reached (R1)', (redis) => redis.bridge.close()],
    ['hangs (R2)', (redis) => redis.bridge.inject({ kind: 'hang' })],
    ['answers nonsense (R3)', (redis) => redis.bridge.inject({ kind: 'body', body: '<html>' })],
  ])('fail no chat when Redis %s under load, and stay exact', async (_what, break_) => {
    const [redis, environment] = await startShared(LIMITED);
    const statuses: number[] = [];
    const load = Array.from({ length: 8 }, async (_, worker) => {
      for (let turn = 0; turn < 40; turn += 1) {
        const headers = from(`10.${worker}.${turn}.1`);
        const chat = await readChat(
          await postChat(environment.url, { message: 'Hi' }, { headers }),
        );
        statuses.push(chat.status);
      }
    });
    await eventually('the load runs', () => statuses.length > 80);

    await break_(redis);
    await Promise.all(load);
    const burst = await chatAtOnce({
      url: environment.url,
      times: 200,
      headers: from('192.0.2.1'),
    });

    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(countStatuses(burst)).toEqual({ 200: RPM, 429: 200 - RPM });
    expect(burst[0]?.headers.get('x-ratelimit-policy')).toBe('local');
    await eventually('ready says degraded', async () => {
      const ready = await fetch(`${environment.url}/ready`);
      const { status } = (await ready.json()) as { status: string };
      return ready.status === 200 && status === 'degraded';
    });
    expect(environment.log.filter((line) => line.includes('redis failed'))).toHaveLength(1);
  });
});

function redisSettings({ bridge }: RedisEnvironment): Record<string, string> {
  return { UPSTASH_REDIS_REST_URL: bridge.url, UPSTASH_REDIS_REST_TOKEN: bridge.token };
}

function postTo(url: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
}
