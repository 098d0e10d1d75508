import { systemClock } from '../../shared/clock.ts';
import type { AdmissionDependencies } from '../../shared/http/admission.ts';
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

/** Lets everybody in as the same caller, without limits: for tests that are about something else. */
export const openAdmission: Pick<AdmissionDependencies, 'identify' | 'limits'> = {
  identify: () => ({ id: 'address:unknown', kind: 'address' }),
  limits: { limiter: unlimited, mode: 'enforce', clock: systemClock },
};
