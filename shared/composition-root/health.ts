import type { Batch } from '../batch/queue-trigger.ts';
import type { Runs } from '../runs/create-runs.ts';
import type { ResponseCache } from '../cache/response-cache.ts';
import type { Clock } from '../clock.ts';
import type { GuardrailHealth } from '../guardrails/decisions.ts';
import type { ConfiguredGuardrails } from './guardrails.ts';
import type { ConfiguredModel } from './model.ts';
import type { SharedRedis } from './redis-and-cache.ts';
import { type Settings, toolSecrets } from '../config/read-config.ts';
import { requiredSecrets } from '../config/read-variables.ts';
import {
  chatStatus,
  createReadiness,
  type PartStatus,
  type Readiness,
} from '../health/readiness.ts';
import type { ResilientModel } from '../model/resilient-model.ts';
import type { RequiredSecret, Secrets } from '../secrets/secrets.ts';
import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface ReadinessDependencies {
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly model: ConfiguredModel;
  readonly callers: { requireConfigured(): void };
  readonly redis: SharedRedis | undefined;
  readonly batch: () => Promise<Batch>;
  readonly guardrails: ConfiguredGuardrails | undefined;
  /** The state of the MCP servers, if there are any. */
  readonly tools: (() => Promise<PartStatus>) | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How long a report is reused, and the time limit of one check. */
const READINESS = { cacheMs: 5_000, timeoutMs: 2_000 } as const;

/** The checks of readiness. None of them makes a paid call. */
export function createReadinessFromSettings(dependencies: ReadinessDependencies): Readiness {
  const { settings, secrets, model, callers, redis, batch, tools, clock, telemetry } = dependencies;
  const { guardrails } = dependencies;
  const checks = {
    async chat() {
      model.requireConfigured();
      callers.requireConfigured();
      return chatStatus(model.model.endpoints(), clock.now());
    },
    batch: async (signal: AbortSignal) => batchStatus(await batch(), signal),
    secrets: async () =>
      secretsStatus(secrets, requiredSecrets(settings.modelFallbacks, toolSecrets(settings))),
    redis: redis && (async () => redisStatus(redis)),
    guardrails: guardrails && (async () => guardrailStatus(guardrails.health, clock.now())),
    tools,
  };
  return createReadiness({ ...READINESS, checks, clock, telemetry });
}

async function batchStatus(batch: Batch, signal: AbortSignal): Promise<PartStatus> {
  await batch.store.ping(signal);
  return { status: 'ready' };
}

function redisStatus(redis: SharedRedis): PartStatus {
  if (redis.state() === 'ready') return { status: 'ready' };
  const reason = 'Redis is unavailable; this instance enforces limits and caches alone';
  return { status: 'degraded', reason };
}

/** How long a failure of a guardrail is reported, unless it works again. */
const GUARDRAIL_FAILURE_MS = 300_000;

function guardrailStatus({ failedAt }: GuardrailHealth, now: number): PartStatus {
  const failed = [...failedAt].filter(([, at]) => Math.abs(now - at) < GUARDRAIL_FAILURE_MS);
  if (failed.length === 0) return { status: 'ready' };
  const names = failed.map(([guardrail]) => guardrail).join(', ');
  return { status: 'degraded', reason: `guardrails failed: ${names}` };
}

/** Whether the secrets are current, and the source of each of them. */
function secretsStatus(secrets: Secrets, required: readonly RequiredSecret[]): PartStatus {
  const sources = Object.fromEntries(
    required.map(({ name, variable }) => [variable ?? name, secrets.sourceOf(name)]),
  );
  const { isFailing, lastError } = secrets.state();
  if (!isFailing) return { status: 'ready', sources };
  const reason = `Key Vault: ${lastError ?? 'server error'}; the last known values are used`;
  return { status: 'degraded', reason, sources };
}

interface GaugeSources {
  readonly model: ResilientModel;
  readonly cache: { readonly responseCache: ResponseCache } | undefined;
}

/** Registers the gauges of batch, once the first job has created it. */
export function registerBatchGauges(metrics: MetricsRegistry, batch: Pick<Batch, 'load'>): void {
  metrics.registerCallback('batchActiveItems', () => [{ value: batch.load().active }]);
  metrics.registerCallback('batchConcurrencyLimit', () => [{ value: batch.load().limit }]);
}

/** Registers the gauge of background runs, once the first of them has created their store. */
export function registerRunGauges(metrics: MetricsRegistry, runs: Pick<Runs, 'running'>): void {
  metrics.registerCallback('backgroundActiveRuns', () => [{ value: runs.running() }]);
}

const CIRCUIT = { closed: 0, 'half-open': 0.5, open: 1 } as const;

/** Registers the gauges of model endpoints and cache. */
export function registerServiceGauges(
  metrics: MetricsRegistry,
  { model, cache }: GaugeSources,
): void {
  metrics.registerCallback('circuitState', () =>
    model.endpoints().map(({ name, circuit }) => ({
      value: CIRCUIT[circuit],
      attributes: { 'agent.endpoint': name },
    })),
  );
  if (cache === undefined) return;
  metrics.registerCallback('cacheRequests', () => {
    const { hits, collapsed, misses, bypassed } = cache.responseCache.counts();
    return Object.entries({ hit: hits, collapsed, miss: misses, bypass: bypassed }).map(
      ([outcome, value]) => ({ value, attributes: { outcome } }),
    );
  });
  metrics.registerCallback('cacheSavedTokens', () => {
    const { savedInputTokens, savedOutputTokens } = cache.responseCache.counts();
    return Object.entries({ input: savedInputTokens, output: savedOutputTokens }).map(
      ([type, value]) => ({ value, attributes: { 'gen_ai.token.type': type } }),
    );
  });
}
