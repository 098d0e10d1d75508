import * as z from 'zod';
import {
  assertNoBody,
  routeId,
  type CallerContext,
  type HandlerDependencies,
} from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { parseRequest } from '../protocols/validation.ts';
import { sessionNotFound } from '../sessions/chat-sessions.ts';
import {
  endsOf,
  readSessionItems,
  type Conversation,
  type SessionMessage,
} from '../sessions/conversation-log.ts';
import type { ConversationStore } from '../sessions/conversation-store.ts';

interface SessionsDependencies extends HandlerDependencies {
  conversations(): Promise<ConversationStore>;
}

const pageSchema = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

function pageOf({ request: { query } }: CallerContext): z.output<typeof pageSchema> {
  const page = { after: query.get('after') ?? undefined, limit: query.get('limit') ?? undefined };
  return parseRequest(pageSchema, page);
}

/** GET /api/sessions: the sessions of the caller, newest first. */
export async function handleListSessions(
  context: CallerContext,
  dependencies: SessionsDependencies,
): Promise<PlainResponse> {
  await assertNoBody(context);
  const page = pageOf(context);
  const store = await dependencies.conversations();
  const { conversations, hasMore } = await store.list(context.callerId, { kind: 'sess', ...page });
  return jsonResponse({
    sessions: conversations.map(({ id, createdAt, changedAt }) => ({
      sessionId: id,
      createdAt: toIso(createdAt),
      changedAt: toIso(changedAt),
    })),
    hasMore,
  });
}

/** GET /api/sessions/{id}: a page of its messages, oldest first. */
export async function handleGetSession(
  context: CallerContext,
  dependencies: SessionsDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const { after, limit } = pageOf(context);
  const store = await dependencies.conversations();
  const session = isSession(id) ? await store.find(context.callerId, id) : undefined;
  if (session === undefined) throw sessionNotFound();
  return jsonResponse(toSession(session, { after, limit }));
}

/** DELETE /api/sessions/{id} */
export async function handleDeleteSession(
  context: CallerContext,
  dependencies: SessionsDependencies,
): Promise<PlainResponse> {
  const id = await routeId(context);
  const store = await dependencies.conversations();
  if (!isSession(id) || !(await store.remove(context.callerId, id))) throw sessionNotFound();
  return jsonResponse({ sessionId: id, deleted: true });
}

/** Conversations of the Responses API have routes of their own. */
function isSession(id: string): boolean {
  return id.startsWith('sess_');
}

interface Page {
  readonly after: string | undefined;
  readonly limit: number;
}

function toSession(
  { id, createdAt, changedAt, items, activeRun }: Conversation,
  { after, limit }: Page,
) {
  const known = readSessionItems(items);
  const ends = endsOf(known);
  const messages = known.filter((item) => item.type === 'message');
  const start = after === undefined ? 0 : messages.findIndex((item) => item.id === after) + 1;
  const page = messages.slice(start, start + limit);
  const openStatus = ({ run }: SessionMessage) => (run === activeRun ? 'in_progress' : 'partial');
  return {
    sessionId: id,
    createdAt: toIso(createdAt),
    changedAt: toIso(changedAt),
    messages: page.map((item) => toMessage(item, ends.get(item.run) ?? openStatus(item))),
    hasMore: start + limit < messages.length,
  };
}

function toMessage({ id, at, run, message }: SessionMessage, runStatus: string) {
  const { role, content } = message;
  return {
    id,
    role,
    content,
    createdAt: toIso(at),
    runId: run,
    runStatus,
    ...(message.role === 'tool' ? { toolCallId: message.toolCallId } : {}),
    ...(message.role === 'assistant' && message.toolCalls !== undefined
      ? { toolCalls: message.toolCalls.map(toToolCall) }
      : {}),
  };
}

function toToolCall(call: {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}) {
  return { id: call.id, name: call.name, arguments: call.arguments };
}

function toIso(time: number): string {
  return new Date(time).toISOString();
}
