import type { Batch } from '../batch/queue-trigger.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { wantedSecrets } from '../config/read-variables.ts';
import { chatStatus } from '../health/chat-status.ts';
import { createReadiness, type PartStatus, type Readiness } from '../health/readiness.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { secretsStatus } from './secrets-status.ts';
import type { WiredModel } from './model.ts';
import type { WiredRedis } from './redis-and-cache.ts';

export interface ReadinessParts {
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly wired: WiredModel;
  readonly callers: { requireConfigured(): void };
  readonly redis: WiredRedis | undefined;
  readonly batch: () => Promise<Batch>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How long a readiness report is given out again, and how long a check may take. */
const READINESS = { cacheMs: 5_000, timeoutMs: 2_000 } as const;

/** What readiness looks at. None of it makes a paid call. */
export function wireReadiness(parts: ReadinessParts): Readiness {
  const { settings, secrets, wired, callers, redis, batch, clock, telemetry } = parts;
  const checks = {
    async chat() {
      wired.requireConfigured();
      callers.requireConfigured();
      return chatStatus(wired.model.endpoints(), clock.now());
    },
    batch: async (signal: AbortSignal) => batchStatus(await batch(), signal),
    secrets: async () => secretsStatus(secrets, wantedSecrets(settings.modelFallbacks)),
    redis: redis && (async () => redisStatus(redis)),
  };
  return createReadiness({ ...READINESS, checks, clock, telemetry });
}

async function batchStatus(batch: Batch, signal: AbortSignal): Promise<PartStatus> {
  await batch.store.ping(signal);
  return { status: 'ready' };
}

function redisStatus(redis: WiredRedis): PartStatus {
  if (redis.state() === 'ready') return { status: 'ready' };
  const reason = 'Redis is away; this instance keeps limits and answers for itself';
  return { status: 'degraded', reason };
}
