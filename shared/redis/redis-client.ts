import { Redis } from '@upstash/redis';

export interface RedisClientOptions {
  readonly url: string;
  readonly token: string;
  /** When a request is given up, so that a Redis that hangs holds no sockets. */
  readonly timeoutMs: number;
}

/** One retry heals a pooled connection that the other side closed while it was idle. */
const RETRY = { retries: 1, backoff: () => 10 };

/**
 * Redis behind the Upstash REST API. Commands of one turn of the event loop go out as one request.
 * Values come back as they were stored: whoever reads one checks it.
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
