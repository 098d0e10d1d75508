import type { LimitMode } from './create-rate-limiter.ts';
import type { PolicyState, RateLimitResult } from './rate-limiter.ts';

export interface RateLimitHeadersOptions {
  readonly mode: LimitMode;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * What a caller may know of its limits, for every answer: the headers of the IETF draft, and those
 * that OpenAI clients read. In observe mode nothing is said, because nothing is held to it.
 */
export function rateLimitHeaders(
  verdict: RateLimitResult,
  { mode, now }: RateLimitHeadersOptions,
): Record<string, string> {
  const { states, source } = verdict;
  if (mode === 'observe' || states.length === 0) return {};
  const headers: Record<string, string> = {
    'ratelimit-policy': states.map(describePolicy).join(', '),
    ratelimit: states.map((state) => describeState(state, now)).join(', '),
  };
  for (const state of states) Object.assign(headers, openAiHeaders(state, now));
  if (source === 'fallback') headers['x-ratelimit-policy'] = 'local';
  if (!verdict.allowed && verdict.refusal.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(verdict.refusal.retryAfterSeconds);
  }
  return headers;
}

function describePolicy({ policy }: PolicyState): string {
  const unit = policy.unit === 'requests' ? '' : `;qu="${policy.unit}"`;
  return `"${policy.name}";q=${policy.capacity}${unit};w=${policy.windowSeconds}`;
}

function describeState({ policy, remaining, resetAt }: PolicyState, now: number): string {
  return `"${policy.name}";r=${Math.floor(remaining)};t=${secondsUntil(resetAt, now)}`;
}

/** OpenAI knows one limit of each unit, the one of a minute. */
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
