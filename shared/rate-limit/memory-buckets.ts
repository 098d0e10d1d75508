import { Ratelimit, type RatelimitConfig } from '@upstash/ratelimit';
import type { Clock } from '../clock.ts';
import type { BucketShape, BucketStore } from './bucket-store.ts';
import { memoryTokenBucket } from './memory-token-bucket.ts';
import { createTokenBuckets } from './memory-bucket-store.ts';

export interface MemoryBucketsOptions extends BucketShape {
  readonly maxKeys: number;
  readonly clock: Clock;
}

/** The library puts it before each key. */
const PREFIX = 'local';

/** The buckets of one policy in this process: exact, gone with the process, bounded in number. */
export function createMemoryBuckets(options: MemoryBucketsOptions): BucketStore {
  const buckets = createTokenBuckets(options);
  const ratelimit = new Ratelimit({
    redis: unusedRedis(),
    limiter: memoryTokenBucket(buckets, options.capacity),
    prefix: PREFIX,
    ephemeralCache: false,
    timeout: 0,
    enableTelemetry: false,
  });
  return {
    async take(key, amount) {
      const { success, remaining, reset } = await ratelimit.limit(key, { rate: amount });
      return { taken: success, remaining, resetAt: reset };
    },
    async correct(key, amount) {
      if (amount > 0) buckets.charge(`${PREFIX}:${key}`, amount);
      else await ratelimit.limit(key, { rate: amount });
    },
  };
}

/** The algorithm above never looks at it, but the class insists on one. */
function unusedRedis(): RatelimitConfig['redis'] {
  return {} as RatelimitConfig['redis'];
}
