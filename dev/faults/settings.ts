/** Disables the functions with a queue, so that the app needs no storage. */
export const WITHOUT_QUEUES: Readonly<Record<string, string>> = Object.fromEntries(
  ['batch', 'batchPoison', 'runs', 'runsPoison'].map((name) => [
    `AzureWebJobs.${name}.Disabled`,
    'true',
  ]),
);

/** Polls an empty queue more often than host.json says, so that no case waits for it. */
export const FAST_POLLING: Readonly<Record<string, string>> = {
  AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.2',
};

/** Disables everything besides the fault that could decide how a request ends: limits and cache. */
export const UNLIMITED: Readonly<Record<string, string>> = {
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
  AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS: '10000',
  AGENT__CACHE__TTL_SECONDS: '0',
};

/**
 * Retries after milliseconds, and a circuit that never opens: each case tests one fault, and the
 * faults before it must not affect it. Every time limit is far above what a busy machine needs.
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

/** For cases in which an attempt times out: short, so that all of them together take seconds. */
export const SHORT_TIMEOUTS: Readonly<Record<string, string>> = {
  ...FAST_RETRIES,
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '1500',
  AGENT__MODEL__FIRST_TOKEN_TIMEOUT_MS: '1200',
  AGENT__MODEL__IDLE_TIMEOUT_MS: '1200',
};
