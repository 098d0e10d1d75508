import type { Clock } from '../clock.ts';
import type { LimitMode } from '../rate-limit/create-rate-limiter.ts';
import { rateLimitHeaders } from '../rate-limit/headers.ts';
import type { RateLimiter, Reservation } from '../rate-limit/rate-limiter.ts';

/** The limits that all routes keep. */
export interface CallerLimits {
  readonly limiter: RateLimiter;
  readonly mode: LimitMode;
  readonly clock: Clock;
}

/** What one request may take of its caller's limits. */
export interface Allowance {
  /**
   * Takes the request and the tokens, and says in the headers of the answer what is left.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserve(tokens: number): Promise<Reservation>;
  isCounted(): boolean;
}

export function createAllowance(
  { limiter, mode, clock }: CallerLimits,
  {
    callerId,
    addHeaders,
  }: { callerId: string; addHeaders: (headers: Readonly<Record<string, string>>) => void },
): Allowance {
  let counted = false;
  return {
    async reserve(tokens) {
      counted = true;
      const verdict = await limiter.reserve({ callerId, tokens });
      addHeaders(rateLimitHeaders(verdict, { mode, now: clock.now() }));
      if (!verdict.allowed) throw verdict.refusal;
      return verdict.reservation;
    },
    isCounted: () => counted,
  };
}
