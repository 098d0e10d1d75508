import * as z from 'zod';
import type { BatchView } from '../batch/api/batch-status.ts';
import type { BatchDependencies } from '../batch/queue-trigger.ts';
import {
  type CallerContext,
  assertNoBody,
  type HandlerDependencies,
  routeId,
} from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { BATCH_URLS } from '../protocols/registry.ts';
import { parseRequest } from '../protocols/validation.ts';

export interface BatchesDependencies extends HandlerDependencies, BatchDependencies {}

/** From an hour to 30 days, as with OpenAI's API. */
export const EXPIRY_SECONDS = z.int().min(3_600).max(2_592_000);

export const createBatchSchema = z.strictObject({
  input_file_id: z.string().min(1).max(256),
  endpoint: z.enum(BATCH_URLS),
  completion_window: z.literal('24h'),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((map) => Object.keys(map).length <= 16, 'must have at most 16 keys')
    .nullish(),
  output_expires_after: z
    .strictObject({ anchor: z.literal('created_at'), seconds: EXPIRY_SECONDS })
    .nullish(),
});

const listSchema = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** POST /v1/batches */
export async function handleCreateBatch(
  context: CallerContext,
  dependencies: BatchesDependencies,
): Promise<PlainResponse> {
  const body = parseRequest(createBatchSchema, await context.readJson());
  const { batches: service } = await dependencies.batch();
  const view = await service.create({
    owner: context.callerId,
    inputFileId: body.input_file_id,
    endpoint: body.endpoint,
    metadata: body.metadata ?? null,
    outputExpiresAfterSeconds: body.output_expires_after?.seconds,
  });
  return batchResponse(view);
}

/** GET /v1/batches */
export async function handleListBatches(
  context: CallerContext,
  dependencies: BatchesDependencies,
): Promise<PlainResponse> {
  await assertNoBody(context);
  const { query } = context.request;
  const page = { after: query.get('after') ?? undefined, limit: query.get('limit') ?? undefined };
  const { after, limit } = parseRequest(listSchema, page);
  const { batches: service, files } = await dependencies.batch();
  await files.removeExpired();
  const { batches, hasMore } = await service.list(context.callerId, { after, limit });
  return jsonResponse({
    object: 'list',
    data: batches.map(toOpenAiBatch),
    first_id: batches.at(0)?.record.id ?? null,
    last_id: batches.at(-1)?.record.id ?? null,
    has_more: hasMore,
  });
}

/** GET /v1/batches/{id} */
export async function handleGetBatch(
  context: CallerContext,
  dependencies: BatchesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { batches: service } = await dependencies.batch();
  return batchResponse(await service.view(id, context.callerId));
}

/** POST /v1/batches/{id}/cancel */
export async function handleCancelBatch(
  context: CallerContext,
  dependencies: BatchesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { batches: service } = await dependencies.batch();
  return batchResponse(await service.cancel(id, context.callerId));
}

/** POST /v1/batches/{id}/retry-failed */
export async function handleRetryBatch(
  context: CallerContext,
  dependencies: BatchesDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { batches: service } = await dependencies.batch();
  return batchResponse(await service.retryFailed(id, context.callerId));
}

function batchResponse(view: BatchView): PlainResponse {
  return jsonResponse(toOpenAiBatch(view));
}

/** A batch in the shape that OpenAI clients read, with how its parts are beside it. */
export function toOpenAiBatch(view: BatchView) {
  const { record, status, counts, shards, final, errors } = view;
  const { id, generation } = record;
  const files = { output_file_id: view.files.output, error_file_id: view.files.errors };
  const isOver = final !== undefined;
  const endedAs = (outcome: string): number | null =>
    final?.outcome === outcome ? seconds(final.at) : null;
  return {
    id,
    object: 'batch',
    endpoint: record.endpoint,
    errors: errors.length === 0 ? null : { object: 'list', data: errors },
    input_file_id: record.inputFileId,
    completion_window: '24h',
    status,
    // Some clients take the id alone for the sign that the file is whole.
    output_file_id: isOver ? files.output_file_id : null,
    error_file_id: isOver ? files.error_file_id : null,
    created_at: seconds(Date.parse(record.createdAt)),
    in_progress_at: view.plannedAt === undefined ? null : seconds(view.plannedAt),
    expires_at: seconds(Date.parse(record.expiresAt)),
    finalizing_at: final === undefined ? null : seconds(final.at),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: record.cancelledAt === null ? null : seconds(Date.parse(record.cancelledAt)),
    cancelled_at: endedAs('cancelled'),
    request_counts: counts,
    metadata: record.metadata,
    progress: {
      generation,
      shards,
      waiting_for:
        view.budgetReturnsAt === undefined
          ? null
          : { reason: 'budget_exhausted', until: seconds(view.budgetReturnsAt) },
      ...files,
    },
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
