import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { openAiResponses } from '../protocols/openai-responses.ts';
import {
  parseResponsesRequest,
  type ResponsesRequest,
  responsesRequestFromJson,
  responsesRequestToJson,
} from '../protocols/openai-responses-request.ts';
import { toProtocolError } from '../protocols/protocol.ts';
import { parseRequest } from '../protocols/validation.ts';
import type { RunsDependencies } from '../runs/create-runs.ts';
import type { RunRecord } from '../runs/run-record.ts';
import type { FoundRun, RunService } from '../runs/run-service.ts';
import { estimateTokens } from '../rate-limit/reservation.ts';
import { runChat, type ChatDependencies } from './chat-handler.ts';
import { reportFailure } from './handler.ts';
import type { OpenConversation } from '../sessions/open-conversation.ts';
import {
  type ConversationsDependencies,
  openConversation,
  readConversation,
} from './conversations-handler.ts';
import { assertNoBody, type CallerContext, type MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { createRecorder, findResponse, itemPage, loadItems } from './stored-responses.ts';
import { assertTokensLeft, followRun, snapshotOf, startRunInBackground } from './stored-runs.ts';

export interface ResponsesDependencies
  extends ChatDependencies, RunsDependencies, ConversationsDependencies {
  readonly responseRetention: {
    /** How long a run in the background and its answer are kept. */
    readonly backgroundMs: number;
    /** How long every other response is kept. */
    readonly storedMs: number;
  };
}

/** POST /v1/responses */
export async function handleCreateResponse(
  context: MeteredContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  try {
    return await createResponse(context, dependencies);
  } catch (error) {
    throw toProtocolError(openAiResponses, error);
  }
}

async function createResponse(
  context: MeteredContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const parsed = parseResponsesRequest(await context.readJson());
  const service = await openService(parsed, dependencies);
  const conversation = await openOwnConversation(parsed, { context, dependencies });
  try {
    return await runResponse(context, { parsed, service, conversation, dependencies });
  } catch (error) {
    await conversation?.release();
    throw error;
  }
}

/** The conversation of a request. This request is its only run until it is released. */
async function openOwnConversation(
  { params: { conversation: id } }: ResponsesRequest,
  { context, dependencies }: RecordOptions,
): Promise<OpenConversation | undefined> {
  if (id === undefined) return undefined;
  const store = await dependencies.conversations();
  return openConversation(store, { owner: context.callerId, id, param: 'conversation' });
}

interface OpenedResponse {
  readonly parsed: ResponsesRequest;
  readonly service: RunService | undefined;
  readonly conversation: OpenConversation | undefined;
  readonly dependencies: ResponsesDependencies;
}

async function runResponse(
  context: MeteredContext,
  { parsed, service, conversation, dependencies }: OpenedResponse,
): Promise<PlainResponse> {
  const loaded =
    service === undefined
      ? parsed
      : await loadItems(parsed, {
          context,
          service,
          conversation: conversation?.conversation,
        });
  const isStored = service !== undefined && parsed.params.store !== false;
  const request = { ...loaded, isStored };
  const record = newRecord(request, { context, dependencies });
  const input = openAiResponses.toInput(request);
  if (service !== undefined && record.isBackground) {
    const claim = conversation && (() => conversation.beginRun({ run: record.id, items: [] }));
    const { measure } = dependencies;
    try {
      await assertTokensLeft(context, { input, measure });
      return await startRunInBackground(context, { record, claim, service, dependencies });
    } finally {
      await conversation?.release();
    }
  }
  const { requestId, createdAt: startedAt, publicModel } = record;
  const recorder = createRecorder(record, {
    save: isStored ? (finished) => service.save(finished) : undefined,
    conversation,
    onFailure(error) {
      // The answer is paid, so the client gets it, and reads that it is not stored.
      request.isStored = false;
      reportFailure(context.telemetry, { message: 'response not stored', error });
    },
  });
  // The client reads the same times now as when it retrieves the response.
  const endedAt = () => recorder.endedAt() ?? Date.now();
  const frame = { request, requestId, startedAt, publicModel, endedAt };
  return runChat(context, { protocol: openAiResponses, dependencies, input, frame, recorder });
}

/**
 * The store of runs, where the request needs it. Without a storage account, a response is not
 * stored, and says so, unless the request insists.
 */
async function openService(
  { params, context }: ResponsesRequest,
  dependencies: ResponsesDependencies,
): Promise<RunService | undefined> {
  const isRequired = params.store === true || params.background === true || context === undefined;
  if (!isRequired && params.store === false) return undefined;
  try {
    return (await dependencies.runs()).service;
  } catch (error) {
    if (isRequired) throw error;
    return undefined;
  }
}

interface RecordOptions {
  readonly context: CallerContext;
  readonly dependencies: ResponsesDependencies;
}

function newRecord(request: ResponsesRequest, { context, dependencies }: RecordOptions): RunRecord {
  const { publicModel, responseRetention } = dependencies;
  const { background = false, stream = false } = request.params;
  const createdAt = Date.now();
  const keptMs = background ? responseRetention.backgroundMs : responseRetention.storedMs;
  return {
    v: 1,
    id: request.id,
    owner: context.callerId,
    protocol: openAiResponses.id,
    request: responsesRequestToJson(request),
    requestId: context.requestId,
    publicModel,
    createdAt,
    expiresAt: createdAt + keptMs,
    isBackground: background,
    isStreamed: stream,
    ...(background ? { conversationId: request.params.conversation } : {}),
  };
}

/**
 * POST /v1/responses/input_tokens: the tokens that the model reads for a request, estimated as they are
 * for limits. The instructions and tools of the agent count.
 */
export async function handleCountInputTokens(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  try {
    const parsed = parseResponsesRequest(await context.readJson());
    const request = await withContext(parsed, { context, dependencies });
    const { texts, images } = dependencies.measure(openAiResponses.toInput(request));
    const input_tokens = estimateTokens({ texts, images, maxOutputTokens: 0 });
    return jsonResponse({ object: 'response.input_tokens', input_tokens });
  } catch (error) {
    throw toProtocolError(openAiResponses, error);
  }
}

/** The request with what is stored. A conversation is read also while a run has it. */
async function withContext(
  parsed: ResponsesRequest,
  { context, dependencies }: RecordOptions,
): Promise<ResponsesRequest> {
  if (parsed.context !== undefined) return parsed;
  const { service } = await dependencies.runs();
  const { conversation: id } = parsed.params;
  const place = { owner: context.callerId, id: id ?? '', param: 'conversation' };
  const conversation =
    id === undefined
      ? undefined
      : await readConversation(await dependencies.conversations(), place);
  return loadItems(parsed, { context, service, conversation });
}

interface OwnResponse {
  readonly run: FoundRun;
  readonly service: RunService;
}

/** @throws ServiceError not_found, for a response of another caller exactly as for none */
async function ownResponse(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<OwnResponse> {
  await assertNoBody(context);
  const { service } = await dependencies.runs();
  const id = context.request.params['id'] ?? '';
  const run = await findResponse(id, { owner: context.callerId, service });
  if (run === undefined) throw new ServiceError('not_found', 'There is no response with this id');
  return { run, service };
}

const followSchema = z.object({
  stream: z.enum(['true', 'false']).default('false'),
  starting_after: z.coerce.number().int().min(0).optional(),
});

/** GET /v1/responses/{id} */
export async function handleGetResponse(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run, service } = await ownResponse(context, dependencies);
  const { query } = context.request;
  const { stream, starting_after: after = -1 } = parseRequest(followSchema, {
    stream: query.get('stream') ?? undefined,
    starting_after: query.get('starting_after') ?? undefined,
  });
  if (stream === 'true') return followRun(context, run.record, { service, after, dependencies });
  return jsonResponse(await snapshotOf(run.record, { service, status: run.status }));
}

/** DELETE /v1/responses/{id} */
export async function handleDeleteResponse(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run, service } = await ownResponse(context, dependencies);
  await service.remove(run.record);
  return jsonResponse({ id: run.record.id, object: 'response', deleted: true });
}

/** POST /v1/responses/{id}/cancel */
export async function handleCancelResponse(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run, service } = await ownResponse(context, dependencies);
  const { record } = run;
  if (!record.isBackground) {
    const message = 'Cannot cancel the response: it must be one of a background run';
    throw new ServiceError('invalid_request', message);
  }
  await service.cancel(record);
  return jsonResponse(await snapshotOf(record, { service, status: 'ended' }));
}

/** GET /v1/responses/{id}/input_items */
export async function handleListInputItems(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run } = await ownResponse(context, dependencies);
  return itemPage(context, responsesRequestFromJson(run.record.request).input);
}
