import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';
import { PROMETHEUS_TYPE, toPrometheusText } from '../telemetry/prometheus-text.ts';
import type { Exchange, PipelineNeeds } from './request-context.ts';
import type { PlainResponse } from './responses.ts';

export interface MetricsNeeds extends PipelineNeeds {
  readonly metrics: MetricsRegistry;
}

/** GET /metrics: what this process has measured. Each instance answers for itself. */
export async function answerMetrics(
  _exchange: Exchange,
  { metrics }: MetricsNeeds,
): Promise<PlainResponse> {
  return {
    status: 200,
    headers: { 'content-type': PROMETHEUS_TYPE, 'cache-control': 'no-store' },
    body: toPrometheusText(metrics.families()),
  };
}
