import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../shared/clock.ts';
import { hashIdentifier } from '../../shared/callers/caller.ts';
import type {
  LimitSettings,
  RateLimiter,
  RateLimitResult,
} from '../../shared/rate-limit/rate-limiter.ts';
import { countAllowed, createLimiter, createRedisParts, reserveAtOnce } from '../support/limits.ts';
import { openRespConnection } from '../../dev/redis/resp-connection.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

describe('two instances that share Redis', requireTool('redis-server'), () => {
  let environment: RedisEnvironment;
  beforeAll(async () => {
    environment = await startRedisEnvironment();
  });
  afterAll(() => environment.close());

  function createInstance(settings: Partial<LimitSettings>, clock = systemClock): RateLimiter {
    const { shared } = createRedisParts({ ...environment.bridge, clock });
    return createLimiter({ settings, shared, clock });
  }

  it('R4 admit exactly 60 of 200 concurrent requests and do not affect other callers', async () => {
    const [one, two] = [createInstance(RPM), createInstance(RPM)];

    const verdicts = await Promise.all([
      reserveAtOnce(one, { times: 100, callerId: 'busy', tokens: 0 }),
      reserveAtOnce(two, { times: 100, callerId: 'busy', tokens: 0 }),
    ]);
    const other = await two.reserve({ callerId: 'quiet', tokens: 0 });

    expect(countAllowed(verdicts.flat())).toBe(60);
    expect(verdicts.flat().filter(({ source }) => source === 'fallback')).toEqual([]);
    expect(other.allowed && other.states[0]?.remaining).toBe(59);
  });

  it('never grant more than the tokens of a minute', async () => {
    const settings = { tokensPerMinute: 20_000 };
    const [one, two] = [createInstance(settings), createInstance(settings)];

    const verdicts = await Promise.all([
      reserveAtOnce(one, { times: 50, callerId: 'eager', tokens: 1_000 }),
      reserveAtOnce(two, { times: 50, callerId: 'eager', tokens: 1_000 }),
    ]);

    expect(countAllowed(verdicts.flat())).toBe(20);
  });

  it('share what was settled', async () => {
    const settings = { tokensPerMinute: 10_000 };
    const [one, two] = [createInstance(settings), createInstance(settings)];
    const held = await one.reserve({ callerId: 'settling', tokens: 9_000 });
    const refused = await two.reserve({ callerId: 'settling', tokens: 2_000 });

    await reservationOf(held).settle(1_000);
    const allowed = await two.reserve({ callerId: 'settling', tokens: 9_000 });

    expect(refused.allowed).toBe(false);
    expect(allowed).toMatchObject({ allowed: true, states: [{ remaining: 0 }] });
  });

  it('refund the request when its tokens are refused', async () => {
    const settings = { requestsPerMinute: 5, tokensPerMinute: 1_000 };
    const [one, two] = [createInstance(settings), createInstance(settings)];
    await one.reserve({ callerId: 'big', tokens: 800 });

    for (let attempt = 0; attempt < 10; attempt += 1) {
      const refused = await two.reserve({ callerId: 'big', tokens: 500 });
      expect(refused.allowed).toBe(false);
    }
    let allowed = 0;
    // What was given back arrives behind the refusal.
    await expect
      .poll(async () => {
        allowed += countAllowed([await one.reserve({ callerId: 'big', tokens: 0 })]);
        return allowed;
      })
      .toBe(4);
    const last = await two.reserve({ callerId: 'big', tokens: 0 });

    expect(last.allowed).toBe(false);
  });

  it('T13 refill by the clock of Redis when the clock of one instance is ten minutes ahead', async () => {
    const aheadMs = 600_000;
    const settings = { requestsPerMinute: 1 };
    const ahead = createInstance(settings, { now: () => Date.now() + aheadMs });
    const right = createInstance(settings);
    // The client library may read the clock of the process itself.
    const systemNow = Date.now;
    Date.now = () => systemNow() + aheadMs;
    await ahead.reserve({ callerId: 'skewed', tokens: 0 });
    Date.now = systemNow;

    const refused = await right.reserve({ callerId: 'skewed', tokens: 0 });

    const seconds = refused.allowed ? undefined : refused.error.retryAfterSeconds;
    expect(seconds).toBeGreaterThan(0);
    // A minute, and as long as the request takes on a busy machine.
    expect(seconds).toBeLessThan(90);
  });

  it('share a daily budget', async () => {
    const settings = { tokensPerDay: 5_000 };
    const [one, two] = [createInstance(settings), createInstance(settings)];
    await one.reserve({ callerId: 'daily', tokens: 4_000 });

    const refused = await two.reserve({ callerId: 'daily', tokens: 2_000 });

    expect(refused.allowed ? undefined : refused.error.code).toBe('budget_exhausted');
  });

  it('never send Redis the caller', async () => {
    const instance = createInstance(RPM);
    await instance.reserve({ callerId: 'address:203.0.113.7', tokens: 0 });

    const connection = await openRespConnection(environment.socketPath);
    const keys = await connection.send(['KEYS', '*']);
    connection.close();

    expect(keys).toContain(`limits:rpm:${hashIdentifier('address:203.0.113.7')}`);
    expect(JSON.stringify(keys)).not.toContain('203.0.113.7');
  });
});

const RPM = { requestsPerMinute: 60 };

function reservationOf(
  verdict: RateLimitResult,
): Extract<RateLimitResult, { allowed: true }>['reservation'] {
  if (!verdict.allowed) throw new Error('the reservation was refused');
  return verdict.reservation;
}
