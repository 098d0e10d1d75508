import { describe, expect, it } from 'vitest';
import { rateLimitHeaders } from '../../../shared/rate-limit/rate-limiter.ts';
import { createHandClock, createLimiter } from '../../support/limits.ts';

const settings = { requestsPerMinute: 60, tokensPerMinute: 100_000, tokensPerDay: 2_000_000 };

describe('rate limit headers', () => {
  it('report the remaining amount and the reset time for every kind of client', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings, clock });
    await limiter.reserve({ callerId: 'a', tokens: 289 });
    clock.advance(47_500);

    const verdict = await limiter.reserve({ callerId: 'a', tokens: 1_500 });
    const headers = rateLimitHeaders(verdict, { mode: 'enforce', now: clock.now() });

    expect(headers).toEqual({
      'ratelimit-policy':
        '"rpm";q=60;w=60, "tpm";q=100000;qu="tokens";w=60, "tpd";q=2000000;qu="tokens";w=86400',
      ratelimit: '"rpm";r=58;t=13, "tpm";r=98211;t=13, "tpd";r=1998211;t=43153',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '58',
      'x-ratelimit-reset-requests': '13s',
      'x-ratelimit-limit-tokens': '100000',
      'x-ratelimit-remaining-tokens': '98211',
      'x-ratelimit-reset-tokens': '13s',
    });
  });

  it('R4 have a Retry-After for a refused caller', async () => {
    const clock = createHandClock();
    const limiter = createLimiter({ settings: { requestsPerMinute: 1 }, clock });
    await limiter.reserve({ callerId: 'a', tokens: 0 });
    clock.advance(59_900);

    const verdict = await limiter.reserve({ callerId: 'a', tokens: 0 });
    const headers = rateLimitHeaders(verdict, { mode: 'enforce', now: clock.now() });

    expect(headers).toMatchObject({ 'retry-after': '1', ratelimit: '"rpm";r=0;t=1' });
  });

  it('are absent where nothing is limited or enforced', async () => {
    const now = createHandClock().now();
    const unlimited = await createLimiter({ settings: {} }).reserve({ callerId: 'a', tokens: 1 });
    const limiter = createLimiter({ settings, mode: 'observe' });
    const observed = await limiter.reserve({ callerId: 'a', tokens: 1 });

    expect(rateLimitHeaders(unlimited, { mode: 'enforce', now })).toEqual({});
    expect(rateLimitHeaders(observed, { mode: 'observe', now })).toEqual({});
  });
});
