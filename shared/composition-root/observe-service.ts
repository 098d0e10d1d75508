import type { Batch } from '../batch/queue-trigger.ts';
import type { AnswerCache } from '../cache/response-cache.ts';
import type { ResilientModel } from '../model/resilient-model.part.ts';
import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';

export interface ObservedParts {
  readonly model: ResilientModel;
  readonly cache: { readonly answers: AnswerCache } | undefined;
}

/** Shows how much batch asks of the model. Until the first job there is nothing to show. */
export function observeBatch(metrics: MetricsRegistry, batch: Pick<Batch, 'load'>): void {
  metrics.observe('batchActiveItems', () => [{ value: batch.load().active }]);
  metrics.observe('batchPaceLimit', () => [{ value: batch.load().limit }]);
}

const CIRCUIT = { closed: 0, 'half-open': 0.5, open: 1 } as const;

/** Shows in metrics what the parts of the service know of themselves. */
export function observeService(metrics: MetricsRegistry, { model, cache }: ObservedParts): void {
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
