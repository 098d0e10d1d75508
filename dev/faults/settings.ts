/** Nothing but the fault itself is to decide how a question ends: no limit, no remembered answer. */
export const UNLIMITED: Readonly<Record<string, string>> = {
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
  AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS: '10000',
  AGENT__CACHE__TTL_SECONDS: '0',
};

/**
 * Time limits short enough that a fault wall takes seconds, and a circuit that never opens: each
 * case is to show one fault, not the memory of the faults before it.
 */
export const QUICK: Readonly<Record<string, string>> = {
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '800',
  AGENT__MODEL__FIRST_TOKEN_TIMEOUT_MS: '600',
  AGENT__MODEL__IDLE_TIMEOUT_MS: '600',
  AGENT__MODEL__BACKOFF_INITIAL_MS: '20',
  AGENT__MODEL__BACKOFF_MAX_MS: '100',
  AGENT__MODEL__RETRY_BUDGET_RATIO: '1',
  AGENT__MODEL__BREAKER_FAILURES: '1000',
  AGENT__MODEL__BREAKER_WINDOW_SIZE: '1000',
  AGENT__LIMITS__ANSWER_DEADLINE_MS: '5000',
  AGENT__LIMITS__STREAM_DEADLINE_MS: '5000',
};
