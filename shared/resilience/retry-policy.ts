/** How patient and how stubborn model calls are. All times in milliseconds. */
export interface ResilienceSettings {
  /** Calls that one request may cost over all endpoints together. */
  readonly maxAttempts: number;
  /** From sending a request to its whole answer, where the answer is not streamed. */
  readonly attemptTimeoutMs: number;
  /** From sending a request to the first token, where the answer is streamed. */
  readonly firstTokenTimeoutMs: number;
  /** Longest wait between two tokens; comments and keep-alives are no tokens. */
  readonly idleTimeoutMs: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
  /** Extra calls per call, over time. */
  readonly retryBudgetRatio: number;
  /** Failures in the window below which a circuit never opens. */
  readonly breakerFailures: number;
  /** Calls that a circuit remembers. */
  readonly breakerWindowSize: number;
  readonly halfOpenAfterMs: number;
  readonly maxConcurrentPerEndpoint: number;
  readonly maxQueuedPerEndpoint: number;
  /** Largest whole answer that is read, and most text of a streamed one that is kept. */
  readonly maxBodyBytes: number;
  /** Largest line, and largest event, of an event stream. */
  readonly maxLineBytes: number;
}

export const DEFAULT_RESILIENCE: ResilienceSettings = {
  // Two repeats turn 20 % random faults into 0.8 %; a third one mostly adds load.
  maxAttempts: 3,
  // A whole answer of some thousand tokens takes up to half of this.
  attemptTimeoutMs: 30_000,
  // Long prompts and cold deployments answer within ten seconds; twice that is an outage.
  firstTokenTimeoutMs: 20_000,
  // A model that is alive emits several tokens per second.
  idleTimeoutMs: 10_000,
  // Below a quarter of a second an overloaded upstream has not changed its mind.
  backoffInitialMs: 250,
  backoffMaxMs: 4_000,
  // Retries must not turn an overload into a collapse: at most a fifth on top.
  retryBudgetRatio: 0.2,
  breakerFailures: 5,
  // Long enough that one fault in five does not look like an outage, short enough to forget.
  breakerWindowSize: 12,
  halfOpenAfterMs: 30_000,
  // One worker process streams a few hundred answers without queueing delay.
  maxConcurrentPerEndpoint: 256,
  // A queue of half a second of work; behind it the caller does better elsewhere.
  maxQueuedPerEndpoint: 128,
  // 128,000 tokens of output are about half a megabyte of text.
  maxBodyBytes: 8 * 1024 * 1024,
  maxLineBytes: 1024 * 1024,
};
