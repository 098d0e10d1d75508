import { silentTelemetry } from '../telemetry/silent-telemetry.ts';
import type { PipelineNeeds } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';

/** Liveness needs no service: it must answer while settings, secrets and every dependency fail. */
export async function withoutService(): Promise<PipelineNeeds> {
  return { telemetry: silentTelemetry, maxRequestBytes: 0 };
}

/** GET /health: this process serves. */
export async function answerHealth(): Promise<PlainResponse> {
  return jsonResponse({ status: 'healthy' });
}
