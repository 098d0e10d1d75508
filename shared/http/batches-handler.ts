import * as z from 'zod';
import { parseRequest } from '../protocols/validation.ts';
import type { BatchView } from '../batch/api/batch-status.ts';
import { toOpenAiBatch } from './openai-batch.ts';
import type { BatchNeeds } from '../batch/queue-trigger.ts';
import type { CallerExchange, PipelineNeeds } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { expectNoBody, routeId } from './route-id.ts';

export interface BatchesNeeds extends PipelineNeeds, BatchNeeds {}

const createSchema = z.strictObject({
  input_file_id: z.string().min(1).max(256),
  endpoint: z.enum(['/v1/chat/completions', '/api/chat']),
  completion_window: z.literal('24h'),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((map) => Object.keys(map).length <= 16, 'must have at most 16 keys')
    .nullish(),
});

const listSchema = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** POST /v1/batches */
export async function answerBatchCreation(
  exchange: CallerExchange,
  needs: BatchesNeeds,
): Promise<PlainResponse> {
  const wanted = parseRequest(createSchema, await exchange.readJson());
  const { desk } = await needs.batch();
  const view = await desk.create({
    owner: exchange.callerId,
    inputFileId: wanted.input_file_id,
    endpoint: wanted.endpoint,
    metadata: wanted.metadata ?? null,
  });
  return batchResponse(view);
}

/** GET /v1/batches */
export async function answerBatchList(
  exchange: CallerExchange,
  needs: BatchesNeeds,
): Promise<PlainResponse> {
  await expectNoBody(exchange);
  const { query } = exchange.request;
  const asked = { after: query.get('after') ?? undefined, limit: query.get('limit') ?? undefined };
  const { after, limit } = parseRequest(listSchema, asked);
  const { desk } = await needs.batch();
  const { batches, hasMore } = await desk.list(exchange.callerId, { after, limit });
  return jsonResponse({
    object: 'list',
    data: batches.map(toOpenAiBatch),
    first_id: batches.at(0)?.record.id ?? null,
    last_id: batches.at(-1)?.record.id ?? null,
    has_more: hasMore,
  });
}

/** GET /v1/batches/{id} */
export async function answerBatch(
  exchange: CallerExchange,
  needs: BatchesNeeds,
): Promise<PlainResponse> {
  const id = await routeId(exchange);
  const { desk } = await needs.batch();
  return batchResponse(await desk.view(id, exchange.callerId));
}

/** POST /v1/batches/{id}/cancel */
export async function answerBatchCancel(
  exchange: CallerExchange,
  needs: BatchesNeeds,
): Promise<PlainResponse> {
  const id = await routeId(exchange);
  const { desk } = await needs.batch();
  return batchResponse(await desk.cancel(id, exchange.callerId));
}

/** POST /v1/batches/{id}/retry-failed */
export async function answerBatchRetry(
  exchange: CallerExchange,
  needs: BatchesNeeds,
): Promise<PlainResponse> {
  const id = await routeId(exchange);
  const { desk } = await needs.batch();
  return batchResponse(await desk.retryFailed(id, exchange.callerId));
}

function batchResponse(view: BatchView): PlainResponse {
  return jsonResponse(toOpenAiBatch(view));
}
