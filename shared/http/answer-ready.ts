import { ServiceError } from '../errors.ts';
import type { Readiness } from '../health/readiness.ts';
import type { Exchange, PipelineNeeds } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';

export interface ReadyNeeds extends PipelineNeeds {
  readonly readiness: Readiness;
}

/** GET /ready: what the service can do right now. 503 while chat is impossible. */
export async function answerReady(_exchange: Exchange, needs: ReadyNeeds): Promise<PlainResponse> {
  const report = await needs.readiness.report();
  const { code, reason = '' } = report.chat;
  // The same answer whether settings went missing at the start or later.
  if (code === 'config_unavailable') throw new ServiceError(code, reason);
  return jsonResponse(report, report.status === 'unready' ? 503 : 200);
}
