import type { LimitMode } from './create-rate-limiter.ts';
import type { PolicyState, RateLimitResult } from './rate-limiter.ts';

interface RateLimitHeadersOptions {
  readonly mode: LimitMode;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The rate limit headers of a response: those of the IETF draft and those that OpenAI clients read.
 * None in observe mode, because the limits are not enforced.
 */
export function rateLimitHeaders(
  result: RateLimitResult,
  { mode, now }: RateLimitHeadersOptions,
): Record<string, string> {
  const { states, source } = result;
  if (mode === 'observe' || states.length === 0) return {};
  const headers: Record<string, string> = {
    'ratelimit-policy': states.map(formatPolicy).join(', '),
    ratelimit: states.map((state) => formatState(state, now)).join(', '),
  };
  for (const state of states) Object.assign(headers, openAiHeaders(state, now));
  if (source === 'fallback') headers['x-ratelimit-policy'] = 'local';
  if (!result.allowed && result.error.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(result.error.retryAfterSeconds);
  }
  return headers;
}

function formatPolicy({ policy }: PolicyState): string {
  const unit = policy.unit === 'requests' ? '' : `;qu="${policy.unit}"`;
  return `"${policy.name}";q=${policy.capacity}${unit};w=${policy.windowSeconds}`;
}

function formatState({ policy, remaining, resetAt }: PolicyState, now: number): string {
  return `"${policy.name}";r=${Math.floor(remaining)};t=${secondsUntil(resetAt, now)}`;
}

/** OpenAI's headers hold one limit of each unit: the one per minute. */
function openAiHeaders({ policy, remaining, resetAt }: PolicyState, now: number): object {
  if (policy.name === 'tpd') return {};
  return {
    [`x-ratelimit-limit-${policy.unit}`]: String(policy.capacity),
    [`x-ratelimit-remaining-${policy.unit}`]: String(Math.floor(remaining)),
    [`x-ratelimit-reset-${policy.unit}`]: `${secondsUntil(resetAt, now)}s`,
  };
}

function secondsUntil(resetAt: number, now: number): number {
  return Math.max(0, Math.ceil((resetAt - now) / 1000));
}
