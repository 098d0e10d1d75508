import { ServiceError } from '../errors.ts';
import type { RefusedClaim } from './reservation.ts';

/** The failure that a caller sees for what was refused: of several, the one that lasts longest. */
export function refusalOf(refused: readonly RefusedClaim[], now: number): ServiceError {
  const tooLarge = refused.find(({ claim }) => claim.amount > claim.policy.capacity);
  if (tooLarge !== undefined) return neverFits(tooLarge);
  const last = refused.reduce((a, b) => (b.resetAt > a.resetAt ? b : a));
  const { code, unit, capacity } = last.claim.policy;
  const retryAfterSeconds = Math.max(1, Math.ceil((last.resetAt - now) / 1000));
  const message =
    code === 'budget_exhausted'
      ? `The budget of ${capacity} tokens for this day is used up`
      : `The limit of ${capacity} ${unit} per minute is reached`;
  return new ServiceError(code, message, { retryAfterSeconds });
}

/** Waiting would not help, so this one must not invite a retry. */
function neverFits({ claim }: RefusedClaim): ServiceError {
  const { capacity, windowSeconds } = claim.policy;
  const window = windowSeconds === 60 ? 'minute' : 'day';
  return new ServiceError(
    'context_too_long',
    `Cannot take a request of about ${claim.amount} tokens: the limit is ${capacity} per ${window}, ` +
      'the answer included',
  );
}
