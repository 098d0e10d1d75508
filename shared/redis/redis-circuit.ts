import type { Clock } from '../clock.ts';
import { createCircuitBreaker } from '../resilience/circuit-breaker.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Stands between the service and a Redis that may be slow, wrong or gone. */
export interface RedisCircuit {
  /**
   * Runs work that uses Redis, within the time that a request can spare.
   * Rejects with the failure of the work, or at once with RedisAwayError while Redis is away.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** away from a failure until Redis answers again and calls have not failed for a while. */
  state(): 'ready' | 'away';
}

export interface RedisCircuitOptions {
  /** Asks Redis for a sign of life. */
  readonly ping: () => Promise<unknown>;
  /** How long one call may keep a request waiting. */
  readonly budgetMs: number;
  /** How long Redis is left alone after a failure. */
  readonly retryAfterMs: number;
  /** Shortest time between two lines about the same trouble. */
  readonly logIntervalMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** 150 ms is what a chat can lose without a person noticing; the rest keeps logs and load low. */
export const REDIS_CIRCUIT_DEFAULTS = {
  budgetMs: 150,
  retryAfterMs: 2_000,
  logIntervalMs: 60_000,
} as const;

/** Redis was not asked, or did not answer within its budget. */
export class RedisUnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RedisAwayError';
  }
}

/** One key holds something else than we store there: a fact about the key, not about Redis. */
const WRONG_TYPE = /^(?:Command failed: )?WRONGTYPE\b/;

/**
 * One failure is enough to leave Redis alone, because everything that asks it has an answer of its
 * own. The call that finds out whether it is back is a ping in the background: no request waits
 * for it.
 */
export function createRedisCircuit(options: RedisCircuitOptions): RedisCircuit {
  const { ping, budgetMs, clock, telemetry } = options;
  const mayLog = createThrottle(options);
  const breaker = createCircuitBreaker({
    failures: 1,
    windowSize: 1,
    halfOpenAfterMs: options.retryAfterMs,
    clock,
    onChange: () => undefined,
  });
  let failedAt: number | undefined;

  function probe(): void {
    const pass = breaker.tryAcquire();
    if (pass === undefined) return;
    void withTimeout(ping, budgetMs).then(
      () => pass.succeed(),
      () => pass.fail(),
    );
  }

  function recover(): void {
    if (failedAt === undefined) return;
    failedAt = undefined;
    telemetry.info('redis is back');
  }

  function report(error: unknown): void {
    if (mayLog()) telemetry.warn('redis failed', { cause: describeError(error) });
  }

  return {
    async run(work) {
      const pass = breaker.state() === 'closed' ? breaker.tryAcquire() : undefined;
      if (pass === undefined) {
        probe();
        throw new RedisUnavailableError('Redis is left alone after a failure');
      }
      try {
        const result = await withTimeout(work, budgetMs);
        pass.succeed();
        recover();
        return result;
      } catch (error) {
        report(error);
        if (isAboutOneKey(error)) pass.release();
        else {
          failedAt = clock.now();
          pass.fail();
        }
        throw error;
      }
    },
    state() {
      if (breaker.state() !== 'closed') {
        // Without traffic nobody else would find out.
        probe();
        return 'away';
      }
      // A Redis that answers a ping and refuses the commands is still away.
      return failedAt !== undefined && Math.abs(clock.now() - failedAt) < 2 * options.retryAfterMs
        ? 'away'
        : 'ready';
    },
  };
}

function isAboutOneKey(error: unknown): boolean {
  return error instanceof Error && WRONG_TYPE.test(error.message);
}

function createThrottle({ clock, logIntervalMs }: RedisCircuitOptions): () => boolean {
  let last = -Infinity;
  return () => {
    const now = clock.now();
    // A clock that was set back must not silence the log.
    if (Math.abs(now - last) < logIntervalMs) return false;
    last = now;
    return true;
  };
}

async function withTimeout<T>(work: () => Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new RedisUnavailableError('Redis did not answer in time')),
    timeoutMs,
  );
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
