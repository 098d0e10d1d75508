import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { chatApi } from '../protocols/chat-api.ts';
import type { Protocol } from '../protocols/protocol.ts';
import { parseRequest } from '../protocols/validation.ts';
import type { Runs } from '../runs/create-runs.ts';
import type { RunRecord } from '../runs/run-record.ts';
import type { FoundRun, RunService } from '../runs/run-service.ts';
import type { ChatDependencies, StartInBackground } from './chat-handler.ts';
import { assertNoBody, type CallerContext, type MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import type { ResponsesDependencies } from './responses-handler.ts';
import { followRun, snapshotOf, startRunInBackground } from './stored-runs.ts';

interface BackgroundChat {
  readonly protocol: Protocol<unknown>;
  readonly request: unknown;
  readonly dependencies: ChatDependencies;
}

interface BackgroundOptions {
  /** @throws ServiceError config_unavailable without a storage account */
  readonly runs: () => Promise<Runs>;
  /** How long the run and its answer are kept. */
  readonly keptMs: number;
}

/** Starts the runs of chats in the background. */
export function createBackgroundStart(options: BackgroundOptions): StartInBackground {
  return async (context, chat) => startBackgroundChat(context, { ...chat, ...options });
}

async function startBackgroundChat(
  context: MeteredContext,
  { protocol, request, dependencies, runs, keptMs }: BackgroundChat & BackgroundOptions,
): Promise<PlainResponse> {
  const { publicModel } = dependencies;
  const { storage } = protocol;
  if (storage === undefined) throw new TypeError('Cannot store a run of this protocol');
  const { service } = await runs();
  const accept = (context.header('accept') ?? '').toLowerCase();
  const createdAt = Date.now();
  const record: RunRecord = {
    v: 1,
    id: `run_${randomBytes(24).toString('hex')}`,
    owner: context.callerId,
    protocol: protocol.id,
    request: storage.toJson(request),
    requestId: context.requestId,
    publicModel,
    createdAt,
    expiresAt: createdAt + keptMs,
    isBackground: true,
    isStreamed: protocol.wantsStream(request, accept),
  };
  const input = protocol.toInput(request);
  return startRunInBackground(context, { record, input, service, dependencies });
}

const RUN_ID = /^run_[0-9a-f]{48}$/;

interface OwnRun {
  readonly run: FoundRun;
  readonly service: RunService;
}

/** @throws ServiceError not_found, for a run of another caller exactly as for none */
async function findOwnRun(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<OwnRun> {
  await assertNoBody(context);
  const { service } = await dependencies.runs();
  const id = context.request.params['id'] ?? '';
  const isId = RUN_ID.test(id);
  const run = isId ? await service.find({ owner: context.callerId, id }) : undefined;
  if (run?.record.protocol !== chatApi.id) {
    throw new ServiceError('not_found', 'There is no run with this id');
  }
  return { run, service };
}

const querySchema = z.object({
  stream: z.enum(['true', 'false']).optional(),
  starting_after: z.coerce.number().int().min(0).optional(),
});

/** GET /api/chat/{id} */
export async function handleGetChatRun(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run, service } = await findOwnRun(context, dependencies);
  const { query } = context.request;
  const { stream, starting_after: after = -1 } = parseRequest(querySchema, {
    stream: query.get('stream') ?? undefined,
    starting_after: query.get('starting_after') ?? undefined,
  });
  const accept = (context.header('accept') ?? '').toLowerCase();
  const isStream = stream === undefined ? accept.includes('text/event-stream') : stream === 'true';
  if (isStream) return followRun(context, run.record, { service, after, dependencies });
  return jsonResponse(await snapshotOf(run.record, { service, status: run.status }));
}

/** POST /api/chat/{id}/cancel */
export async function handleCancelChatRun(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const { run, service } = await findOwnRun(context, dependencies);
  await service.cancel(run.record);
  return jsonResponse(await snapshotOf(run.record, { service, status: 'ended' }));
}
