import { describe, expect, it } from 'vitest';
import type { SharedBuckets } from '../../../shared/rate-limit/create-rate-limiter.ts';
import type { Reservation, RateLimitResult } from '../../../shared/rate-limit/rate-limiter.ts';
import {
  countAllowed,
  createHandClock,
  createLimiter,
  reserveAtOnce,
} from '../../support/limits.ts';

function reservationOf(verdict: RateLimitResult): Reservation {
  if (!verdict.allowed) throw new Error('the reservation was refused');
  return verdict.reservation;
}

function refusalOf(verdict: RateLimitResult) {
  if (verdict.allowed) throw new Error('the reservation was allowed');
  return verdict.error;
}

describe('the limit of requests', () => {
  it('R4 admits exactly 60 of 200 concurrent requests and does not affect other callers', async () => {
    const limiter = createLimiter({ settings: { requestsPerMinute: 60 } });

    const verdicts = await reserveAtOnce(limiter, { times: 200, callerId: 'busy', tokens: 0 });
    const other = await limiter.reserve({ callerId: 'quiet', tokens: 0 });

    expect(countAllowed(verdicts)).toBe(60);
    expect(other.allowed).toBe(true);
  });

  it('R4 returns a Retry-After after which a request is admitted', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings: { requestsPerMinute: 2 }, clock });
    await reserveAtOnce(limiter, { times: 2, callerId: 'a', tokens: 0 });
    clock.advance(20_500);

    const refusal = refusalOf(await limiter.reserve({ callerId: 'a', tokens: 0 }));
    clock.advance((refusal.retryAfterSeconds ?? 0) * 1000 - 1_000);
    const early = await limiter.reserve({ callerId: 'a', tokens: 0 });
    clock.advance(1_000);
    const inTime = await limiter.reserve({ callerId: 'a', tokens: 0 });

    expect(refusal).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 40 });
    expect([early.allowed, inTime.allowed]).toEqual([false, true]);
  });

  it('admits no more than the limit in the first minute of a burst', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings: { requestsPerMinute: 60 }, clock });

    let passed = 0;
    for (let second = 0; second < 60; second += 1) {
      passed += countAllowed(await reserveAtOnce(limiter, { times: 10, callerId: 'a', tokens: 0 }));
      clock.advance(999);
    }

    expect(passed).toBe(60);
  });

  it('is off at 0', async () => {
    const limiter = createLimiter({ settings: {} });

    const verdicts = await reserveAtOnce(limiter, { times: 500, callerId: 'a', tokens: 1_000_000 });

    expect(countAllowed(verdicts)).toBe(500);
    expect(verdicts[0]?.states).toEqual([]);
  });

  it('refills when the clock is set back', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings: { requestsPerMinute: 1 }, clock });
    await limiter.reserve({ callerId: 'a', tokens: 0 });

    clock.advance(-3_600_000);
    const refused = await limiter.reserve({ callerId: 'a', tokens: 0 });
    clock.advance(60_000);
    const allowed = await limiter.reserve({ callerId: 'a', tokens: 0 });

    expect([refused.allowed, allowed.allowed]).toEqual([false, true]);
  });
});

describe('the limit of tokens', () => {
  it('never has more than 20,000 reserved by 100 concurrent requests of 1,000', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 20_000 } });

    const verdicts = await reserveAtOnce(limiter, { times: 100, callerId: 'a', tokens: 1_000 });

    expect(countAllowed(verdicts)).toBe(20);
  });

  it('never has more than 20,000 spent when requests end while others begin', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 20_000 } });
    let spent = 0;

    const run = async (used: number): Promise<void> => {
      const verdict = await limiter.reserve({ callerId: 'a', tokens: 1_000 });
      if (!verdict.allowed) return;
      await Promise.resolve();
      spent += used;
      await verdict.reservation.settle(used);
    };
    for (let wave = 0; wave < 20; wave += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, index) => run(100 * (index + 1))));
    }

    expect(spent).toBeLessThanOrEqual(20_000);
    expect(spent).toBeGreaterThan(18_000);
  });

  it('refunds unused tokens, and all of them if none were used', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 10_000 } });
    const first = reservationOf(await limiter.reserve({ callerId: 'a', tokens: 6_000 }));
    const second = reservationOf(await limiter.reserve({ callerId: 'a', tokens: 4_000 }));

    await first.settle(1_000);
    await second.refund();
    const next = await limiter.reserve({ callerId: 'a', tokens: 0 });

    expect(next.states[0]?.remaining).toBe(9_000);
  });

  it('returns tokens once, however often it is called', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 10_000 } });
    await limiter.reserve({ callerId: 'a', tokens: 5_000 });
    const held = reservationOf(await limiter.reserve({ callerId: 'a', tokens: 4_000 }));

    await Promise.all([held.refund(), held.refund(), held.settle(0)]);
    const next = await limiter.reserve({ callerId: 'a', tokens: 0 });

    expect(next.states[0]?.remaining).toBe(5_000);
  });

  it('charges usage beyond the estimate as a debt', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings: { tokensPerMinute: 1_000 }, clock });
    await reservationOf(await limiter.reserve({ callerId: 'a', tokens: 100 })).settle(2_500);

    const refusal = refusalOf(await limiter.reserve({ callerId: 'a', tokens: 100 }));
    clock.advance(60_000);
    const stillInDebt = await limiter.reserve({ callerId: 'a', tokens: 100 });
    clock.advance(60_000);
    const paid = await limiter.reserve({ callerId: 'a', tokens: 100 });

    expect(refusal.retryAfterSeconds).toBe(120);
    expect([stillInDebt.allowed, paid.allowed]).toEqual([false, true]);
    expect(paid.states[0]?.remaining).toBe(400);
  });

  it('refunds the request when the tokens are refused', async () => {
    const limiter = createLimiter({ settings: { requestsPerMinute: 3, tokensPerMinute: 1_000 } });
    await limiter.reserve({ callerId: 'a', tokens: 900 });

    const refused = await reserveAtOnce(limiter, { times: 10, callerId: 'a', tokens: 500 });
    const small = await reserveAtOnce(limiter, { times: 10, callerId: 'a', tokens: 1 });

    expect(countAllowed(refused)).toBe(0);
    expect(countAllowed(small)).toBe(2);
  });

  it('refuses a request that can never fit as permanent', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 1_000 } });

    const refusal = refusalOf(await limiter.reserve({ callerId: 'a', tokens: 1_001 }));

    expect(refusal).toMatchObject({ code: 'context_too_long', retryAfterSeconds: undefined });
  });

  it('treats an invalid estimate as 0', async () => {
    const limiter = createLimiter({ settings: { tokensPerMinute: 1_000 } });

    const held = await limiter.reserve({ callerId: 'a', tokens: -500 });
    await reservationOf(held).settle(Number.NaN);
    const next = await limiter.reserve({ callerId: 'a', tokens: 0.5 });

    expect(next.states[0]?.remaining).toBe(999);
  });
});

describe('the daily budget', () => {
  it('is used up until midnight, UTC', async () => {
    const clock = createHandClock(Date.UTC(2026, 0, 15, 23, 0, 0));
    const limiter = createLimiter({ settings: { tokensPerDay: 5_000 }, clock });
    await limiter.reserve({ callerId: 'a', tokens: 5_000 });

    const refusal = refusalOf(await limiter.reserve({ callerId: 'a', tokens: 1 }));
    clock.advance(3_599_000);
    const before = await limiter.reserve({ callerId: 'a', tokens: 1 });
    clock.advance(1_000);
    const after = await limiter.reserve({ callerId: 'a', tokens: 5_000 });

    expect(refusal).toMatchObject({ code: 'budget_exhausted', retryAfterSeconds: 3_600 });
    expect([before.allowed, after.allowed]).toEqual([false, true]);
  });

  it('refunds the day that was charged', async () => {
    const clock = createHandClock(Date.UTC(2026, 0, 15, 23, 59, 59));
    const limiter = createLimiter({ settings: { tokensPerDay: 5_000 }, clock });
    const late = reservationOf(await limiter.reserve({ callerId: 'a', tokens: 4_000 }));
    clock.advance(2_000);
    await limiter.reserve({ callerId: 'a', tokens: 1_000 });

    await late.refund();
    const next = await limiter.reserve({ callerId: 'a', tokens: 0 });

    expect(next.states[0]?.remaining).toBe(4_000);
  });

  it('is the reported limit when it resets later than the limit of a minute', async () => {
    const limiter = createLimiter({ settings: { requestsPerMinute: 1, tokensPerDay: 10 } });
    await limiter.reserve({ callerId: 'a', tokens: 10 });

    const refusal = refusalOf(await limiter.reserve({ callerId: 'a', tokens: 10 }));

    expect(refusal.code).toBe('budget_exhausted');
  });
});

describe('limits in observe mode', () => {
  it('admit everything and log what they would have refused', async () => {
    const limiter = createLimiter({ settings: { requestsPerMinute: 2 }, mode: 'observe' });

    const verdicts = await reserveAtOnce(limiter, { times: 5, callerId: 'secret-name', tokens: 0 });

    expect(countAllowed(verdicts)).toBe(5);
    expect(limiter.telemetry.lines).toHaveLength(3);
    expect(limiter.telemetry.lines[0]).toMatchObject({
      level: 'info',
      message: 'rate limit would refuse',
      fields: { policy: 'rpm' },
    });
    expect(JSON.stringify(limiter.telemetry.lines)).not.toContain('secret-name');
  });
});

describe('limits with a shared store that fails', () => {
  it.each(['reject', 'throw'])('R1 stay exact when every command %ss', async (how) => {
    const shared: SharedBuckets = {
      bucketsOf: () => ({
        take: async () => ({ taken: true, remaining: 1, resetAt: 1 }),
        adjust: async () => undefined,
      }),
      execute() {
        if (how === 'throw') throw new Error('unavailable');
        return Promise.reject(new Error('unavailable'));
      },
      state: () => 'unavailable',
    };
    const limiter = createLimiter({ settings: { requestsPerMinute: 60 }, shared });

    const verdicts = await reserveAtOnce(limiter, { times: 200, callerId: 'a', tokens: 0 });

    expect(countAllowed(verdicts)).toBe(60);
    expect(limiter.state()).toBe('unavailable');
  });

  it('R1 stay exact when it admits everything', async () => {
    const shared: SharedBuckets = {
      bucketsOf: () => ({
        take: async () => ({ taken: true, remaining: 1_000, resetAt: 1 }),
        adjust: async () => undefined,
      }),
      execute: (work) => work(),
      state: () => 'ready',
    };
    const limiter = createLimiter({ settings: { requestsPerMinute: 60 }, shared });

    const verdicts = await reserveAtOnce(limiter, { times: 200, callerId: 'a', tokens: 0 });

    expect(countAllowed(verdicts)).toBe(60);
  });
});
