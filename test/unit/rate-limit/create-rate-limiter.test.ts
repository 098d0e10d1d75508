import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import { withMetrics } from '../../../shared/rate-limit/create-rate-limiter.ts';
import type { RateLimiter, RateLimitResult } from '../../../shared/rate-limit/rate-limiter.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';

const RESERVATION = { settle: async () => undefined, refund: async () => undefined };

describe('withMetrics', () => {
  it('counts decisions, without the caller', async () => {
    const { telemetry, value } = createMeteredTelemetry();
    const verdicts: RateLimitResult[] = [
      { allowed: true, states: [], source: 'local', reservation: RESERVATION },
      {
        allowed: false,
        states: [],
        source: 'local',
        error: new ServiceError('rate_limited', 'Too many requests'),
      },
    ];
    const [first, second] = verdicts;
    const limiter: RateLimiter = {
      reserve: async () => verdicts.shift() ?? Promise.reject(new Error('asked too often')),
      state: () => 'ready',
    };

    const counted = withMetrics(limiter, telemetry);
    const given = [
      await counted.reserve({ callerId: 'jane', tokens: 1 }),
      await counted.reserve({ callerId: 'jane', tokens: 1 }),
    ];

    expect(given).toEqual([first, second]);
    const counts = ['allowed', 'rate_limited'].map((outcome) =>
      value('agent_rate_limit_decisions_total', { outcome }),
    );
    expect(counts).toEqual([1, 1]);
    expect(value('agent_rate_limit_decisions_total')).toBe(2);
  });
});
