import { ServiceError } from '../errors.ts';
import type { Readiness } from '../health/readiness.ts';
import type { RequestContext, HandlerDependencies } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { noopTelemetry } from '../telemetry/create-telemetry.ts';
import {
  type MetricsRegistry,
  PROMETHEUS_TYPE,
  toPrometheusText,
} from '../telemetry/metrics-registry.ts';

/** Liveness needs no service: it must answer while settings, secrets and every dependency fail. */
export async function withoutService(): Promise<HandlerDependencies> {
  return { telemetry: noopTelemetry, maxRequestBytes: 0 };
}

/** GET /health: this process serves. */
export async function handleHealth(): Promise<PlainResponse> {
  return jsonResponse({ status: 'healthy' });
}

export interface ReadyDependencies extends HandlerDependencies {
  readonly readiness: Readiness;
}

/** GET /ready: what the service can do right now. 503 while chat is impossible. */
export async function handleReady(
  _exchange: RequestContext,
  needs: ReadyDependencies,
): Promise<PlainResponse> {
  const report = await needs.readiness.report();
  const { code, reason = '' } = report.chat;
  // The same answer whether settings went missing at the start or later.
  if (code === 'config_unavailable') throw new ServiceError(code, reason);
  return jsonResponse(report, report.status === 'unready' ? 503 : 200);
}

export interface MetricsDependencies extends HandlerDependencies {
  readonly metrics: MetricsRegistry;
}

/** GET /metrics: what this process has measured. Each instance answers for itself. */
export async function handleMetrics(
  _exchange: RequestContext,
  { metrics }: MetricsDependencies,
): Promise<PlainResponse> {
  return {
    status: 200,
    headers: { 'content-type': PROMETHEUS_TYPE, 'cache-control': 'no-store' },
    body: toPrometheusText(metrics.families()),
  };
}

export interface ModelsDependencies extends HandlerDependencies {
  readonly publicModel: string;
}

/** GET /v1/models: the one agent. What stands behind it is nobody's business. */
export async function handleListModels(
  _exchange: RequestContext,
  { publicModel }: ModelsDependencies,
): Promise<PlainResponse> {
  const model = { id: publicModel, object: 'model', created: 0, owned_by: 'agent' };
  return jsonResponse({ object: 'list', data: [model] });
}
