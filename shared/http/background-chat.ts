import { createHash, randomBytes } from 'node:crypto';
import * as z from 'zod';
import { ServiceError, toServiceError } from '../errors.ts';
import { chatApi } from '../protocols/chat-api.ts';
import type { Protocol } from '../protocols/protocol.ts';
import { parseRequest } from '../protocols/validation.ts';
import type { Runs } from '../runs/create-runs.ts';
import { inputOf, type RunRecord } from '../runs/run-record.ts';
import type { FoundRun, RunService } from '../runs/run-service.ts';
import { raceTimeout } from '../resilience/abort.ts';
import type { BackgroundSessions, ResumedSession } from '../sessions/background-sessions.ts';
import { sessionNotFound } from '../sessions/chat-sessions.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { ChatDependencies, StartInBackground } from './chat-handler.ts';
import { lastText, NEW_SESSION_WAIT_MS } from './chat-session.ts';
import {
  assertNoBody,
  type CallerContext,
  type MeteredContext,
  routeId,
} from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import type { ResponsesDependencies } from './responses-handler.ts';
import { assertTokensLeft, followRun, snapshotOf, startRunInBackground } from './stored-runs.ts';

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
  /** Undefined where sessions are off or cannot be stored. */
  readonly sessions: (() => Promise<BackgroundSessions>) | undefined;
}

/** Starts the runs of chats in the background. */
export function createBackgroundStart(options: BackgroundOptions): StartInBackground {
  return async (context, chat) => startBackgroundChat(context, { ...chat, ...options });
}

async function startBackgroundChat(
  context: MeteredContext,
  { protocol, request, dependencies, runs, keptMs, sessions }: BackgroundChat & BackgroundOptions,
): Promise<PlainResponse> {
  const { publicModel } = dependencies;
  const { storage } = protocol;
  if (storage === undefined) throw new TypeError('Cannot store a run of this protocol');
  const { service } = await runs();
  const accept = (context.header('accept') ?? '').toLowerCase();
  const createdAt = Date.now();
  const id = newRunId(protocol.chatOf?.(request), createdAt);
  const owner = context.callerId;
  const run = { run: id, message: lastText(protocol.toInput(request)) };
  const session = protocol.sessionOf?.(request);
  const named = session?.sessionId;
  const resumed =
    named === undefined ? undefined : await resumeSession(context, { id: named, sessions, run });
  try {
    const queued: RunRecord = {
      v: 1,
      id,
      owner,
      protocol: protocol.id,
      request: storage.toJson(request),
      requestId: context.requestId,
      publicModel,
      createdAt,
      expiresAt: createdAt + keptMs,
      isBackground: true,
      isStreamed: protocol.wantsStream(request, accept),
      history: resumed?.history,
    };
    await assertTokensLeft(context, { input: inputOf(queued), measure: dependencies.measure });
    const conversationId = named ?? (session && (await createSession(context, { sessions, run })));
    const record = { ...queued, conversationId };
    const claim = resumed && (() => resumed.begin());
    return await startRunInBackground(context, { record, claim, service, dependencies });
  } finally {
    await resumed?.release();
  }
}

interface SessionOptions extends Pick<BackgroundOptions, 'sessions'> {
  readonly run: { readonly run: string; readonly message: string };
}

/**
 * The request is counted before its session is looked up, so that guessing ids costs as much as
 * chatting.
 * @throws ServiceError session_not_found, session_busy, rate_limited or storage_unavailable
 */
async function resumeSession(
  context: MeteredContext,
  { id, sessions, run }: SessionOptions & { readonly id: string },
): Promise<ResumedSession> {
  if (sessions === undefined) throw sessionNotFound();
  await context.countRequest();
  return (await sessions()).resume(context.callerId, { id, ...run });
}

/** The id of a new session that the run has; undefined if it is not stored, as the run does not need it. */
async function createSession(
  context: MeteredContext,
  { sessions, run }: SessionOptions,
): Promise<string | undefined> {
  if (sessions === undefined) return undefined;
  try {
    const created = sessions().then((open) => open.create(context.callerId, run));
    const id = await raceTimeout(created, NEW_SESSION_WAIT_MS);
    if (id !== 'timeout') return id;
    context.telemetry.warn('session not stored', { cause: 'storage did not respond in time' });
  } catch (error) {
    context.telemetry.warn('session not stored', { cause: describeError(error) });
  }
  return undefined;
}

const RUN_ID = /^run_[0-9a-f]{48}$/;
/** Characters of a hash of the chat, of the time and of a random number. */
const ID_PARTS = { chat: 16, time: 12, random: 20 } as const;
const MAX_TIME = 16 ** ID_PARTS.time - 1;

/**
 * The id of a run of a chat begins with the chat, newest run first, so that one listing of storage
 * finds the newest run of a chat and no other blob has to be kept in step. Ids belong to their owner.
 */
function newRunId(chat: string | undefined, now: number): string {
  if (chat === undefined) return `run_${randomBytes(24).toString('hex')}`;
  const time = (MAX_TIME - now).toString(16).padStart(ID_PARTS.time, '0');
  return `${runIdPrefix(chat)}${time}${randomBytes(ID_PARTS.random / 2).toString('hex')}`;
}

function runIdPrefix(chat: string): string {
  // The platform decodes all of a path but its slashes.
  const id = chat.replaceAll(/%2f/gi, '/');
  return `run_${createHash('sha256').update(id).digest('hex').slice(0, ID_PARTS.chat)}`;
}

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

/** The active run of a chat of a front end; undefined if its newest run has ended. */
async function findActiveRun(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<OwnRun | undefined> {
  const chat = await routeId(context);
  const runs = await dependencies.runs().catch((error: unknown) => {
    // Without a storage account there are no runs in the background.
    if (toServiceError(error).code === 'config_unavailable') return undefined;
    throw error;
  });
  const run = await runs?.service.findNewest(context.callerId, runIdPrefix(chat));
  if (runs === undefined || run === undefined || run.status === 'ended') return undefined;
  return { run, service: runs.service };
}

/**
 * GET /api/chat/{id}/stream: a front end of the AI SDK asks for the active run of its chat, from the
 * first event on. 204 if there is none.
 */
export async function handleResumeChat(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const active = await findActiveRun(context, dependencies);
  if (active === undefined) return { status: 204, headers: { 'cache-control': 'no-store' } };
  const { run, service } = active;
  return followRun(context, run.record, { service, after: -1, dependencies });
}

/** POST /api/chat/{id}/stop: ends the active run of a chat; a client that leaves does not. */
export async function handleStopChat(
  context: CallerContext,
  dependencies: ResponsesDependencies,
): Promise<PlainResponse> {
  const active = await findActiveRun(context, dependencies);
  if (active !== undefined) await active.service.cancel(active.run.record);
  return jsonResponse({ id: await routeId(context), stopped: active !== undefined });
}
