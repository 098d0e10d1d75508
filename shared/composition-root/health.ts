import type { Batch } from '../batch/queue-trigger.ts';
import type { ResponseCache } from '../cache/response-cache.ts';
import type { Clock } from '../clock.ts';
import type { ConfiguredModel } from './model.ts';
import type { SharedRedis } from './redis-and-cache.ts';
import type { Settings } from '../config/read-config.ts';
import { requiredSecrets } from '../config/read-variables.ts';
import {
  chatStatus,
  createReadiness,
  type PartStatus,
  type Readiness,
} from '../health/readiness.ts';
import type { ResilientModel } from '../model/resilient-model.ts';
import type { Secrets, RequiredSecret } from '../secrets/secrets.ts';
import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface ReadinessDependencies {
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly wired: ConfiguredModel;
  readonly callers: { requireConfigured(): void };
  readonly redis: SharedRedis | undefined;
  readonly batch: () => Promise<Batch>;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How long a readiness report is given out again, and how long a check may take. */
const READINESS = { cacheMs: 5_000, timeoutMs: 2_000 } as const;

/** What readiness looks at. None of it makes a paid call. */
export function createReadinessFromSettings(parts: ReadinessDependencies): Readiness {
  const { settings, secrets, wired, callers, redis, batch, clock, telemetry } = parts;
  const checks = {
    async chat() {
      wired.requireConfigured();
      callers.requireConfigured();
      return chatStatus(wired.model.endpoints(), clock.now());
    },
    batch: async (signal: AbortSignal) => batchStatus(await batch(), signal),
    secrets: async () => secretsStatus(secrets, requiredSecrets(settings.modelFallbacks)),
    redis: redis && (async () => redisStatus(redis)),
  };
  return createReadiness({ ...READINESS, checks, clock, telemetry });
}

async function batchStatus(batch: Batch, signal: AbortSignal): Promise<PartStatus> {
  await batch.store.ping(signal);
  return { status: 'ready' };
}

function redisStatus(redis: SharedRedis): PartStatus {
  if (redis.state() === 'ready') return { status: 'ready' };
  const reason = 'Redis is away; this instance keeps limits and answers for itself';
  return { status: 'degraded', reason };
}

/** Whether the secrets are as fresh as they should be, and which source each of them came from. */
export function secretsStatus(secrets: Secrets, wanted: readonly RequiredSecret[]): PartStatus {
  const sources = Object.fromEntries(
    wanted.map(({ name, variable }) => [variable ?? name, secrets.sourceOf(name)]),
  );
  const { failing, lastError } = secrets.state();
  if (!failing) return { status: 'ready', sources };
  const reason = `Key Vault: ${lastError ?? 'failing'}; the last known values are used`;
  return { status: 'degraded', reason, sources };
}

export interface GaugeSources {
  readonly model: ResilientModel;
  readonly cache: { readonly answers: ResponseCache } | undefined;
}

/** Shows how much batch asks of the model. Until the first job there is nothing to show. */
export function registerBatchGauges(metrics: MetricsRegistry, batch: Pick<Batch, 'load'>): void {
  metrics.observe('batchActiveItems', () => [{ value: batch.load().active }]);
  metrics.observe('batchPaceLimit', () => [{ value: batch.load().limit }]);
}

const CIRCUIT = { closed: 0, 'half-open': 0.5, open: 1 } as const;

/** Shows in metrics what the parts of the service know of themselves. */
export function registerServiceGauges(
  metrics: MetricsRegistry,
  { model, cache }: GaugeSources,
): void {
  metrics.observe('circuitState', () =>
    model.endpoints().map(({ name, circuit }) => ({
      value: CIRCUIT[circuit],
      attributes: { 'agent.endpoint': name },
    })),
  );
  if (cache === undefined) return;
  metrics.observe('cacheRequests', () => {
    const { hits, collapsed, misses, bypassed } = cache.answers.counts();
    return Object.entries({ hit: hits, collapsed, miss: misses, bypass: bypassed }).map(
      ([outcome, value]) => ({ value, attributes: { outcome } }),
    );
  });
  metrics.observe('cacheSavedTokens', () => {
    const { savedInputTokens, savedOutputTokens } = cache.answers.counts();
    return Object.entries({ input: savedInputTokens, output: savedOutputTokens }).map(
      ([type, value]) => ({ value, attributes: { 'gen_ai.token.type': type } }),
    );
  });
}
