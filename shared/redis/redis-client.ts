import { Redis } from '@upstash/redis';

interface RedisClientOptions {
  readonly url: string;
  readonly token: string;
  /** Time limit of one HTTP request, so that an unresponsive Redis does not hold sockets. */
  readonly timeoutMs: number;
}

/** One retry covers a pooled connection that the server closed while it was idle. */
const RETRY = { retries: 1, backoff: () => 10 };

/**
 * Redis over the Upstash REST API. Commands of one event loop turn are sent as one request. Values
 * are returned as stored; callers validate them.
 */
export function createRedisClient({ url, token, timeoutMs }: RedisClientOptions): Redis {
  return new Redis({
    url,
    token,
    retry: RETRY,
    signal: () => AbortSignal.timeout(timeoutMs),
    automaticDeserialization: false,
    enableTelemetry: false,
  });
}
