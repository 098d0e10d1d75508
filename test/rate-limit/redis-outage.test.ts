import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashIdentifier } from '../../shared/callers/caller.ts';
import { rateLimitHeaders } from '../../shared/rate-limit/rate-limiter.ts';
import {
  countAllowed,
  createHandClock,
  createLimiter,
  createRedisParts,
  reserveAtOnce,
  type HandClock,
  type LimiterUnderTest,
  type RedisParts,
} from '../support/limits.ts';
import { openRespConnection } from '../../dev/redis/resp-connection.ts';
import type { BridgeFault } from '../../dev/redis/upstash-bridge.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

/** As in production; what must not take as long is compared with it. */
/** Long enough for a busy machine; only a Redis that never answers is waited for as long. */
const TIMEOUT_MS = 10_000;
/** For tests that wait for it. */
const SHORT_TIMEOUT_MS = 1_000;
const RPM = 60;

describe('limits during an outage of Redis', requireTool('redis-server'), () => {
  let environment: RedisEnvironment;
  let clock: HandClock;
  let parts: RedisParts;
  let limiter: LimiterUnderTest;

  beforeEach(async () => {
    environment = await startRedisEnvironment();
    clock = createHandClock(Date.now());
    open({});
  });
  afterEach(() => environment.close());

  function open({ token = environment.bridge.token, timeoutMs = TIMEOUT_MS }): void {
    parts = createRedisParts({ url: environment.bridge.url, token, clock, timeoutMs });
    limiter = createLimiter({
      settings: { requestsPerMinute: RPM },
      shared: parts.shared,
      clock,
    });
  }

  async function spend(times: number): Promise<number> {
    return countAllowed(await reserveAtOnce(limiter, { times, callerId: 'caller', tokens: 0 }));
  }

  describe.each<readonly [string, BridgeFault]>([
    ['R2 answers after 5 s', { kind: 'slow', delayMs: 5_000 }],
    ['R2 hangs', { kind: 'hang' }],
    ['R3 fails', { kind: 'status', status: 500 }],
    ['R3 answers with a web page', { kind: 'body', body: '<html>gateway</html>' }],
    ['R3 answers with nothing', { kind: 'body', body: '' }],
    ['R3 answers with another shape', { kind: 'body', body: '{"result":"yes"}' }],
    ['R3 lets all pass in a shape of its own', { kind: 'body', body: '[{"result":[59,"x",60]}]' }],
    ['R3 tells of another limit', { kind: 'body', body: '[{"result":[6,4102444800000,7]}]' }],
    ['R3 refuses all without saying why', { kind: 'body', body: '[{"result":[]}]' }],
    ['R3 has moved', { kind: 'reply-error', message: 'MOVED 3999 127.0.0.1:6381' }],
    ['R3 holds another type', { kind: 'reply-error', message: 'WRONGTYPE Operation against' }],
  ])('%s', (_name, fault) => {
    beforeEach(() => {
      if (fault.kind === 'slow' || fault.kind === 'hang') open({ timeoutMs: SHORT_TIMEOUT_MS });
    });

    it('admits exactly the local limit and reports its source', async () => {
      environment.bridge.inject(fault);

      const verdicts = await reserveAtOnce(limiter, { times: 200, callerId: 'caller', tokens: 0 });

      expect(countAllowed(verdicts)).toBe(RPM);
      const passed = verdicts.filter(({ allowed }) => allowed);
      expect(new Set(passed.map(({ source }) => source))).toEqual(new Set(['fallback']));
    });

    it('continues from the count in Redis', async () => {
      const before = await spend(25);
      environment.bridge.inject(fault);

      const during = await spend(200);

      expect([before, during]).toEqual([25, RPM - 25]);
    });
  });

  it('R1 keeps the limit when Redis is killed under load', async () => {
    const before = spend(20);
    await before;
    const during = Promise.all([spend(40), environment.killRedis(), spend(100)]);

    const [first, , second] = await during;
    const after = await spend(100);

    expect((await before) + first + second + after).toBe(RPM);
  });

  it('R1 keeps the limit when nothing listens, from the start', async () => {
    await environment.bridge.close();

    const allowed = await spend(200);

    expect(allowed).toBe(RPM);
    expect(limiter.state()).toBe('unavailable');
  });

  it('R3 keeps the limit when the token is wrong', async () => {
    open({ token: 'of-somebody-else' });

    const allowed = await spend(200);

    expect(allowed).toBe(RPM);
    expect(limiter.state()).toBe('unavailable');
  });

  it('R4 sends Redis no command for a request that this instance refuses', async () => {
    await spend(RPM);
    const before = environment.bridge.commands().length;

    const allowed = await spend(100);

    expect(allowed).toBe(0);
    expect(environment.bridge.commands()).toHaveLength(before);
  });

  it('R1 reports a local limit to callers and an unavailable Redis to readiness', async () => {
    const whileWell = await limiter.reserve({ callerId: 'caller', tokens: 0 });
    const stateWhileWell = limiter.state();
    environment.bridge.inject({ kind: 'status', status: 500 });

    const verdict = await limiter.reserve({ callerId: 'caller', tokens: 0 });

    const at = { mode: 'enforce', now: clock.now() } as const;
    expect(stateWhileWell).toBe('ready');
    expect(rateLimitHeaders(whileWell, at)).not.toHaveProperty('x-ratelimit-policy');
    expect(rateLimitHeaders(verdict, at)).toHaveProperty('x-ratelimit-policy', 'local');
    expect(limiter.state()).toBe('unavailable');
  });

  it('R2 waits once for a Redis that does not answer, then skips it', async () => {
    open({ timeoutMs: SHORT_TIMEOUT_MS });
    environment.bridge.inject({ kind: 'hang' });
    const first = await timed(() => spend(1));
    const requests = environment.bridge.requests();

    const rest = await timed(async () => {
      for (let count = 0; count < 50; count += 1) await spend(1);
    });

    expect(first).toBeGreaterThan(SHORT_TIMEOUT_MS * 0.9);
    // Fifty later calls together cost less than one wait, so none of them waited.
    expect(rest).toBeLessThan(first);
    expect(environment.bridge.requests()).toBe(requests);
  });

  it('R3 logs the outage once a minute, however many calls fail', async () => {
    environment.bridge.inject({ kind: 'status', status: 500 });
    const untilFailed = async (): Promise<void> => {
      // A failure, then enough time for the next call to try again.
      for (let count = 0; count < 10; count += 1) {
        await spend(3);
        clock.advance(2_500);
        await spend(1);
      }
    };

    await untilFailed();
    const inFirstMinute = parts.telemetry.at('warn').length;
    clock.advance(60_000);
    environment.bridge.inject(undefined);
    await expect.poll(backInService).toBe(true);
    environment.bridge.inject({ kind: 'status', status: 500 });
    await spend(1);

    expect(inFirstMinute).toBe(1);
    expect(parts.telemetry.at('warn')).toHaveLength(2);
    expect(parts.telemetry.at('warn')[0]?.message).toBe('redis failed');
  });

  it('uses Redis again soon after it recovers, and no request waits for the probe', async () => {
    open({ timeoutMs: SHORT_TIMEOUT_MS });
    environment.bridge.inject({ kind: 'hang' });
    await spend(1);
    environment.bridge.inject(undefined);
    clock.advance(2_500);

    const probing = await limiter.reserve({ callerId: 'other', tokens: 0 });
    await expect.poll(backInService).toBe(true);

    expect(probing.source).toBe('fallback');
    expect(environment.bridge.commands()).toContain('PING');
    expect(limiter.state()).toBe('ready');
    expect(parts.telemetry.at('info').map(({ message }) => message)).toEqual(['redis recovered']);
  });

  it('R3 keeps using Redis for the others when the key of one caller holds another type', async () => {
    const connection = await openRespConnection(environment.socketPath);
    await connection.send(['SET', `limits:rpm:${hashIdentifier('broken')}`, 'not a bucket']);
    connection.close();

    const broken = await reserveAtOnce(limiter, { times: 100, callerId: 'broken', tokens: 0 });
    const other = await limiter.reserve({ callerId: 'sound', tokens: 0 });

    expect(countAllowed(broken)).toBe(RPM);
    expect(other.source).toBe('shared');
  });

  async function backInService(): Promise<boolean> {
    const verdict = await limiter.reserve({ callerId: `probe-${Math.random()}`, tokens: 0 });
    return verdict.source === 'shared';
  }
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
