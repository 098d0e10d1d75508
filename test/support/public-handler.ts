import { systemClock } from '../../shared/clock.ts';
import type { AdmissionDependencies } from '../../shared/http/admission.ts';
import type { BodyLimits } from '../../shared/http/read-body.ts';
import type { RateLimiter } from '../../shared/rate-limit/rate-limiter.ts';

const unlimited: RateLimiter = {
  reserve: async () => ({
    allowed: true,
    states: [],
    source: 'local',
    reservation: { settle: async () => undefined, refund: async () => undefined },
  }),
  state: () => 'ready',
};

/** Accepts every request as the same caller, without limits, for tests of other parts. */
export const openAdmission: Pick<AdmissionDependencies, 'identify' | 'limits'> = {
  identify: () => ({ id: 'address:unknown', kind: 'address' }),
  limits: {
    limiter: unlimited,
    openCalls: { acquire: async () => () => undefined },
    mode: 'enforce',
    clock: systemClock,
  },
};

/** Limits of a body that only its size can exceed in a test. */
export function bodyLimits(maxBytes: number): BodyLimits {
  return { maxBytes, deadlineMs: 30_000, stallMs: 20_000, minBytesPerSecond: 1_024 };
}
