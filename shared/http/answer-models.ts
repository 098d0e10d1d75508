import type { Exchange, PipelineNeeds } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';

export interface ModelsNeeds extends PipelineNeeds {
  readonly publicModel: string;
}

/** GET /v1/models: the one agent. What stands behind it is nobody's business. */
export async function answerModels(
  _exchange: Exchange,
  { publicModel }: ModelsNeeds,
): Promise<PlainResponse> {
  const model = { id: publicModel, object: 'model', created: 0, owned_by: 'agent' };
  return jsonResponse({ object: 'list', data: [model] });
}
