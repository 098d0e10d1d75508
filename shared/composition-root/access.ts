import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import type { CallerLimits } from '../http/allowance.ts';
import { countVerdicts } from '../rate-limit/count-verdicts.ts';
import { createRateLimiter, type SharedBuckets } from '../rate-limit/create-rate-limiter.ts';
import { policiesOf } from '../rate-limit/policies.ts';
import { createMemoryBuckets } from '../rate-limit/memory-buckets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface LimitsParts {
  readonly settings: Settings;
  /** Undefined where each instance keeps its own limits. */
  readonly shared: SharedBuckets | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Callers of one instance whose limits are remembered; some 10 MB when all of them are there. */
const MAX_CALLERS = 50_000;

/** The limits that all routes keep, as the settings say. */
export function wireLimits({ settings, shared, clock, telemetry }: LimitsParts): CallerLimits {
  const { mode, ...limits } = settings.limits;
  const limiter = createRateLimiter({
    policies: policiesOf(limits),
    mode,
    localBucketsOf: (policy) => createMemoryBuckets({ ...policy, maxKeys: MAX_CALLERS, clock }),
    shared,
    clock,
    telemetry,
  });
  return { limiter: countVerdicts(limiter, telemetry), mode, clock };
}
