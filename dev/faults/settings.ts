/** Nothing but the fault itself is to decide how a question ends: no limit, no remembered answer. */
export const UNLIMITED: Readonly<Record<string, string>> = {
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
  AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS: '10000',
  AGENT__CACHE__TTL_SECONDS: '0',
};

/**
 * Retries that wait for milliseconds, and a circuit that never opens: each case is to show one fault,
 * not the memory of the faults before it. No time limit is near what a busy machine takes.
 */
export const FAST_RETRIES: Readonly<Record<string, string>> = {
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '8000',
  AGENT__MODEL__FIRST_TOKEN_TIMEOUT_MS: '8000',
  AGENT__MODEL__IDLE_TIMEOUT_MS: '8000',
  AGENT__MODEL__BACKOFF_INITIAL_MS: '20',
  AGENT__MODEL__BACKOFF_MAX_MS: '100',
  AGENT__MODEL__RETRY_BUDGET_RATIO: '1',
  AGENT__MODEL__BREAKER_FAILURES: '1000',
  AGENT__MODEL__BREAKER_WINDOW_SIZE: '1000',
  AGENT__LIMITS__ANSWER_DEADLINE_MS: '8000',
  AGENT__LIMITS__STREAM_DEADLINE_MS: '8000',
};

/** For cases in which an attempt runs out of time: short enough that all of them take seconds. */
export const SHORT_TIMEOUTS: Readonly<Record<string, string>> = {
  ...FAST_RETRIES,
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '1500',
  AGENT__MODEL__FIRST_TOKEN_TIMEOUT_MS: '1200',
  AGENT__MODEL__IDLE_TIMEOUT_MS: '1200',
};
