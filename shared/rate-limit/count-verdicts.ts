import type { Telemetry } from '../telemetry/telemetry.ts';
import type { RateLimiter } from './rate-limiter.ts';

/** The same limiter, whose verdicts are counted. Never by caller: there is no end of those. */
export function countVerdicts(limiter: RateLimiter, telemetry: Telemetry): RateLimiter {
  return {
    ...limiter,
    async reserve(need) {
      const verdict = await limiter.reserve(need);
      const outcome = verdict.allowed ? 'allowed' : verdict.refusal.code;
      telemetry.count('limiterVerdicts', 1, { outcome });
      return verdict;
    },
  };
}
