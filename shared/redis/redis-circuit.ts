import type { Clock } from '../clock.ts';
import { createFallbackPolicy } from '../resilience/policies.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Circuit breaker and time limit for every command to Redis. */
export interface RedisCircuit {
  /**
   * Runs a command within the time limit.
   * @throws the command's failure, or RedisUnavailableError on a timeout or while Redis is unavailable
   */
  execute<T>(command: () => Promise<T>): Promise<T>;
  /** unavailable: from a failure until Redis answers and no command has failed for a while. */
  state(): 'ready' | 'unavailable';
}

interface RedisCircuitOptions {
  /** Checks whether Redis answers. */
  readonly ping: () => Promise<unknown>;
  /** Time limit of one command. */
  readonly timeoutMs: number;
  /** Time between a failure and the next ping. */
  readonly retryAfterMs: number;
  /** Minimum time between two log lines about failures. */
  readonly logIntervalMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** A chat can lose 150 ms unnoticed; the other values keep the log and the load low. */
export const REDIS_CIRCUIT_DEFAULTS = {
  timeoutMs: 150,
  retryAfterMs: 2_000,
  logIntervalMs: 60_000,
} as const;

/** The command was skipped or did not end within its time limit. */
class RedisUnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RedisUnavailableError';
  }
}

/** One key holds a value of another type: a fault of that key, not of Redis. */
const WRONG_TYPE = /^(?:Command failed: )?WRONGTYPE\b/;

/**
 * The circuit opens on the first failure because every caller has a local fallback. A ping in the
 * background closes it, so no request waits for a probe.
 */
export function createRedisCircuit(options: RedisCircuitOptions): RedisCircuit {
  const { ping, clock, telemetry } = options;
  const mayLog = createThrottle(options);
  const policy = createFallbackPolicy({
    timeoutMs: options.timeoutMs,
    halfOpenAfterMs: options.retryAfterMs,
    clock,
    isOutage: (error) => !isKeyError(error),
    timeoutError: () => new RedisUnavailableError('Redis did not answer within the time limit'),
  });
  let failedAt: number | undefined;

  function probe(): void {
    if (policy.state() === 'half-open') policy.execute(ping).catch(() => undefined);
  }

  function recordSuccess(): void {
    if (failedAt === undefined) return;
    failedAt = undefined;
    telemetry.info('redis recovered');
  }

  return {
    async execute(command) {
      if (policy.state() !== 'closed') {
        probe();
        throw new RedisUnavailableError('The command was skipped after an earlier failure');
      }
      try {
        const result = await policy.execute(command);
        recordSuccess();
        return result;
      } catch (error) {
        if (mayLog()) telemetry.warn('redis failed', { cause: describeError(error) });
        if (!isKeyError(error)) failedAt = clock.now();
        throw error;
      }
    },
    state() {
      if (policy.state() !== 'closed') {
        // Without traffic nothing else would probe.
        probe();
        return 'unavailable';
      }
      // Redis may answer pings and still refuse commands.
      return failedAt !== undefined && Math.abs(clock.now() - failedAt) < 2 * options.retryAfterMs
        ? 'unavailable'
        : 'ready';
    },
  };
}

function isKeyError(error: unknown): boolean {
  return error instanceof Error && WRONG_TYPE.test(error.message);
}

function createThrottle({ clock, logIntervalMs }: RedisCircuitOptions): () => boolean {
  let last = -Infinity;
  return () => {
    const now = clock.now();
    // The distance in both directions, so that a clock that was set back does not stop the log.
    if (Math.abs(now - last) < logIntervalMs) return false;
    last = now;
    return true;
  };
}
