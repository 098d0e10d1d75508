import { buildInfo } from '../telemetry/build-info.ts';
import type { Caller, CallerEvidence } from '../callers/caller.ts';
import { ServiceError } from '../errors.ts';
import type { Readiness } from '../health/readiness.ts';
import { type HandlerDependencies, type RequestContext, routeId } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { noopTelemetry } from '../telemetry/create-telemetry.ts';
import {
  type MetricsRegistry,
  PROMETHEUS_TYPE,
  toPrometheusText,
} from '../telemetry/metrics-registry.ts';

const NO_BODY = { maxBytes: 0, deadlineMs: 0, stallMs: 0, minBytesPerSecond: 1 } as const;

/** Liveness needs no service: it responds while settings, secrets and every dependency fail. */
export async function withoutService(): Promise<HandlerDependencies> {
  return { telemetry: noopTelemetry, requestBody: NO_BODY };
}

/** GET /health: this process responds, and names its build. */
export async function handleHealth(): Promise<PlainResponse> {
  return jsonResponse({ status: 'healthy', version: buildInfo.version });
}

/**
 * The service with requests that write no log line, span or metric. Anonymous probes would
 * otherwise let anyone fill the log; readiness itself logs its failures at most every 5 s.
 */
export function withoutTelemetry<Dependencies extends HandlerDependencies>(
  getService: () => Promise<Dependencies>,
): () => Promise<Dependencies> {
  return async () => ({ ...(await getService()), telemetry: noopTelemetry });
}

export interface ReadyDependencies extends HandlerDependencies {
  readonly readiness: Readiness;
}

/** GET /ready: what the service can do at this moment. 503 while no chat can succeed. */
export async function handleReady(
  _context: RequestContext,
  { readiness }: ReadyDependencies,
): Promise<PlainResponse> {
  const report = await readiness.report();
  const { code, reason = '' } = report.chat;
  // The same response whether a setting is missing at the start or later.
  if (code === 'config_unavailable') throw new ServiceError(code, reason);
  return jsonResponse(report, report.status === 'unready' ? 503 : 200);
}

export interface MetricsDependencies extends HandlerDependencies {
  readonly metrics: MetricsRegistry;
  /** @throws ServiceError unauthorized, or config_unavailable while the keys cannot be read */
  readonly identify: (evidence: CallerEvidence) => Caller;
}

/**
 * GET /metrics: the measurements of this process. Each instance has its own. Needs the credentials
 * of a caller and takes nothing of its limits, so that a scraper works while a limit is reached.
 */
export async function handleMetrics(
  { request, header }: RequestContext,
  { metrics, identify }: MetricsDependencies,
): Promise<PlainResponse> {
  identify({ header, forwardedFor: request.headers.get('x-forwarded-for') ?? undefined });
  return {
    status: 200,
    headers: { 'content-type': PROMETHEUS_TYPE, 'cache-control': 'no-store' },
    body: toPrometheusText(metrics.families()),
  };
}

/** Any request without a route, such as a wrong method: the platform's own 404 has no body. */
export async function handleUnknownRoute(): Promise<PlainResponse> {
  throw new ServiceError('not_found', 'There is no such route, or it does not take this method');
}

export interface ModelsDependencies extends HandlerDependencies {
  readonly publicModel: string;
}

/** GET /v1/models: the agent as the only model. The models behind it are not disclosed. */
export async function handleListModels(
  _context: RequestContext,
  { publicModel }: ModelsDependencies,
): Promise<PlainResponse> {
  return jsonResponse({ object: 'list', data: [toModelObject(publicModel)] });
}

/** GET /v1/models/{id} */
export async function handleGetModel(
  context: RequestContext,
  { publicModel }: ModelsDependencies,
): Promise<PlainResponse> {
  if ((await routeId(context)) !== publicModel) {
    throw new ServiceError('not_found', 'There is no such model', { param: 'model' });
  }
  return jsonResponse(toModelObject(publicModel));
}

function toModelObject(id: string) {
  return { id, object: 'model', created: 0, owned_by: 'agent' };
}
