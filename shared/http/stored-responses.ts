import * as z from 'zod';
import { ServiceError, toServiceError } from '../errors.ts';
import { createResponseStream, textEventsOf } from '../protocols/openai-responses.ts';
import { type Item, responseIdOf } from '../protocols/openai-responses-items.ts';
import { encodeItem } from '../protocols/openai-responses-object.ts';
import {
  referencesOf,
  type ResponsesRequest,
  responsesRequestFromJson,
  withStoredItems,
} from '../protocols/openai-responses-request.ts';
import { storedItemSchema } from '../protocols/openai-responses-schema.ts';
import { parseRequest } from '../protocols/validation.ts';
import type { RunEnd, RunEvent, RunRecord } from '../runs/run-record.ts';
import type { FoundRun, RunHistory, RunService } from '../runs/run-service.ts';
import type { Conversation } from '../sessions/conversation-log.ts';
import type { OpenConversation } from '../sessions/open-conversation.ts';
import type { RunOutcome, RunRecorder } from './run-scope.ts';
import type { CallerContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { replay } from './stored-runs.ts';

interface RecorderOptions {
  /** Stores the run; undefined if it is not to be stored. */
  readonly save: ((record: RunRecord) => Promise<void>) | undefined;
  readonly conversation: OpenConversation | undefined;
  readonly onFailure: (error: ServiceError) => void;
}

interface ResponseRecorder extends RunRecorder {
  /** When the run ended, in epoch milliseconds. */
  endedAt(): number | undefined;
}

/** Text of one response: about 128,000 tokens, as many as the largest models write. */
const MAX_TEXT_CHARS = 524_288;

/** Stores the run of a response once, with its end, and adds its items to its conversation. */
export function createRecorder(
  record: RunRecord,
  { save, conversation, onFailure }: RecorderOptions,
): ResponseRecorder {
  const events: RunEvent[] = [];
  let chars = 0;
  let endedAt: number | undefined;
  return {
    endedAt: () => endedAt,
    event(event) {
      if (event.type === 'text-delta') chars += event.text.length;
      // The stream itself repeats its whole text at its end.
      if (chars > MAX_TEXT_CHARS) throw tooLong();
      events.push(event);
    },
    async end(outcome) {
      if (endedAt !== undefined) return;
      endedAt = Date.now();
      const end = toRunEnd(outcome, endedAt);
      const known = record.isStreamed || end.kind !== 'done' ? events : textEventsOf(end.result);
      const finished = { events: known, end };
      try {
        // What broke off is no part of a conversation.
        if (conversation !== undefined && end.kind === 'done') {
          const { input } = responsesRequestFromJson(record.request);
          await conversation.append([...input, ...outputOf(record, finished).items]);
        }
        await save?.({ ...record, finished });
      } catch (error) {
        onFailure(toServiceError(error));
      } finally {
        await conversation?.release();
      }
    },
  };
}

function tooLong(): ServiceError {
  return new ServiceError(
    'upstream_invalid',
    `The model wrote more than ${MAX_TEXT_CHARS} characters, the most that one response can have`,
  );
}

function toRunEnd(outcome: RunOutcome, at: number): RunEnd {
  if (outcome.kind !== 'failed') return { ...outcome, at };
  const { code, message } = outcome.error;
  return { kind: 'failed', at, code, message };
}

interface LoadOptions {
  readonly context: CallerContext;
  readonly service: RunService;
  readonly conversation: Conversation | undefined;
}

/** @throws ServiceError previous_response_not_found or invalid_request */
export async function loadItems(
  request: ResponsesRequest,
  { context, service, conversation }: LoadOptions,
): Promise<ResponsesRequest> {
  if (request.context !== undefined) return request;
  const owner = context.callerId;
  const { previous_response_id: previous } = request.params;
  const [before, referenced] = await Promise.all([
    previous === undefined
      ? conversationItems(conversation)
      : itemsThrough(previous, { owner, service }),
    findReferenced(referencesOf(request), { owner, service }),
  ]);
  return withStoredItems(request, { context: before, referenced });
}

function conversationItems(conversation: Conversation | undefined): readonly Item[] {
  return (conversation?.items ?? []).map((item) => storedItemSchema.parse(item));
}

interface OwnedService {
  readonly owner: string;
  readonly service: RunService;
}

/** The items of a response and of those before it. */
async function itemsThrough(id: string, { owner, service }: OwnedService): Promise<Item[]> {
  const run = await findResponse(id, { owner, service });
  if (run === undefined) {
    const message = `Previous response with id '${id}' not found.`;
    const param = 'previous_response_id';
    throw new ServiceError('previous_response_not_found', message, { param });
  }
  if (run.status !== 'ended') throw stillRunning();
  const { context = [], input } = responsesRequestFromJson(run.record.request);
  const { items, status } = outputOf(run.record, await service.history(run.record));
  // Of an answer that failed or was cancelled, the item that broke is left out.
  const isBroken = status === 'failed' || status === 'cancelled';
  const output = isBroken
    ? items.filter((item) => !('status' in item) || item.status === 'completed')
    : items;
  return [...context, ...input, ...output.filter(isUsable)];
}

/** The arguments of a call that was cut are no JSON. */
function isUsable(item: Item): boolean {
  return item.type !== 'function_call' || item.status === 'completed';
}

function stillRunning(): ServiceError {
  return new ServiceError(
    'invalid_request',
    'Cannot accept the request: "previous_response_id" must be a response that has ended',
    { param: 'previous_response_id' },
  );
}

/** The output items of a run, and its status. */
export function outputOf(record: RunRecord, history: RunHistory) {
  const request = responsesRequestFromJson(record.request);
  const { requestId, createdAt: startedAt, publicModel } = record;
  const stream = createResponseStream({ request, requestId, startedAt, publicModel });
  replay(stream, history);
  return { items: stream.items(), status: stream.resource().status };
}

/** More than any conversation that fits. */
const MAX_REFERENCED_RESPONSES = 64;

/** The id of an item contains that of its response. */
async function findReferenced(
  ids: readonly string[],
  { owner, service }: OwnedService,
): Promise<ReadonlyMap<string, Item>> {
  const responses = new Set(ids.flatMap((id) => responseIdOf(id) ?? []));
  if (responses.size > MAX_REFERENCED_RESPONSES) {
    throw new ServiceError(
      'invalid_request',
      `Cannot accept the request: "input" must refer to at most ${MAX_REFERENCED_RESPONSES} responses`,
      { param: 'input' },
    );
  }
  const lists = await Promise.all(
    [...responses].map(async (id) => {
      const run = await findResponse(id, { owner, service });
      if (run?.status !== 'ended') return [];
      const { input } = responsesRequestFromJson(run.record.request);
      return input.concat(outputOf(run.record, await service.history(run.record)).items);
    }),
  );
  return new Map(lists.flat().map((item) => [item.id, item]));
}

const RESPONSE_ID = /^resp_[0-9a-f]{48}$/;

export async function findResponse(
  id: string,
  { owner, service }: OwnedService,
): Promise<FoundRun | undefined> {
  return RESPONSE_ID.test(id) ? service.find({ owner, id }) : undefined;
}

const pageSchema = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
});

/** One page of items, as the query asks for it. The items are given oldest first. */
export function itemPage(context: CallerContext, items: readonly Item[]): PlainResponse {
  const { query } = context.request;
  const { after, limit, order } = parseRequest(pageSchema, {
    after: query.get('after') ?? undefined,
    limit: query.get('limit') ?? undefined,
    order: query.get('order') ?? undefined,
  });
  const sorted = order === 'asc' ? items : items.toReversed();
  const start = after === undefined ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) {
    const message = 'Cannot list the items: "after" must be the id of one of them';
    throw new ServiceError('invalid_request', message, { param: 'after' });
  }
  const page = sorted.slice(start, start + limit);
  return jsonResponse({
    object: 'list',
    data: page.map(encodeItem),
    first_id: page.at(0)?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
    has_more: start + limit < sorted.length,
  });
}
