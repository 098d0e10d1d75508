import type { Agent, AgentInput, InputSize, Message, RunContext } from '../agent/agent.ts';
import { createSummarizingAgent } from '../agent/summarizing-agent.ts';
import { toServiceError } from '../errors.ts';
import type { MeteredContext } from './request-context.ts';
import type { RunRecorder } from './run-scope.ts';
import { raceTimeout } from '../resilience/abort.ts';
import { sessionNotFound, type ChatSession, type ChatSessions } from '../sessions/chat-sessions.ts';
import { searchMessages } from '../sessions/conversation-log.ts';
import { withShorterHistory } from '../sessions/trim-history.ts';
import { describeError } from '../telemetry/describe-error.ts';

/** What it takes to keep chats as sessions. */
export interface SessionDependencies {
  /** Undefined where sessions are off or cannot be stored. */
  readonly sessions?: (() => Promise<ChatSessions>) | undefined;
}

/** The session that a request names; without an id it starts a new one. */
export interface SessionRequest {
  readonly sessionId: string | undefined;
}

/** A run in a session. */
export interface SessionRun {
  /** The input with the earlier messages before it. */
  readonly input: AgentInput;
  readonly recorder: RunRecorder;
  /** The agent, which reads less of the history if the model finds it too long. */
  agent(agent: Agent): Agent;
  /** The id for the client; null if the session is not stored. */
  sessionId(): string | null;
}

/** How long a chat waits for a new session: its answer does not depend on it. */
export const NEW_SESSION_WAIT_MS = 2_000;
/** The part of a broken answer that is stored. It is for people to read; the model does not. */
export const MAX_PARTIAL_CHARS = 65_536;

/**
 * Opens the session of a request before its tokens are reserved. The request is counted first, so
 * that guessing ids costs as much as chatting. Undefined if no session is possible.
 * @throws ServiceError session_not_found, session_busy, rate_limited or storage_unavailable
 */
export async function openSessionRun(
  context: MeteredContext,
  { sessionId, input, sessions, measure }: SessionRequest & SessionDependencies & RunInput,
): Promise<SessionRun | undefined> {
  if (sessions === undefined) {
    if (sessionId === undefined) return undefined;
    throw sessionNotFound();
  }
  const message = lastText(input);
  if (sessionId !== undefined) {
    await context.countRequest();
    const opened = await (await sessions()).resume(context.callerId, { id: sessionId, message });
    return createSessionRun(opened, { input, context, measure });
  }
  const created = (await sessions().catch(() => undefined))?.start(context.callerId, message);
  return created === undefined ? undefined : createSessionRun(created, { input, context, measure });
}

/** The text of the message of a chat; images are not stored. */
export function lastText({ messages }: AgentInput): string {
  const content = messages.at(-1)?.content ?? '';
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

interface RunInput {
  readonly input: AgentInput;
  /** The size of the model request that an input leads to. */
  readonly measure: (input: AgentInput) => InputSize;
}

interface SessionRunOptions extends RunInput {
  readonly context: MeteredContext;
}

/** The agent that fits the history of a session to the model: by a summary, or by less of it. */
function withSession(
  agent: Agent,
  { session, input, measure }: RunInput & { readonly session: ChatSession },
): Agent {
  const withHistory = (history: readonly Message[]): AgentInput => ({
    ...input,
    messages: [...history, ...input.messages],
  });
  const shorter = withShorterHistory(agent, () => {
    const history = session.halfHistory();
    return history && withHistory(history);
  });
  const { summary } = session;
  if (summary === undefined) return shorter;
  const { replaced: messages, maxOutputTokens } = summary;
  const accept = (text: string): AgentInput => withHistory(summary.accept(text));
  const task = { messages, maxOutputTokens, accept };
  return createSummarizingAgent(shorter, { task, writer: agent, measure });
}

function createSessionRun(
  session: ChatSession,
  { input, measure, context: { telemetry, clientDisconnected } }: SessionRunOptions,
): SessionRun {
  let isStored = true;
  let text = '';
  let isEnded = false;

  /** A new session is left out when storage fails or is slow; an existing one fails the run. */
  async function store(work: Promise<void>): Promise<void> {
    if (!session.isNew) return work;
    try {
      if ((await raceTimeout(work, NEW_SESSION_WAIT_MS)) !== 'timeout') return;
      isStored = false;
      telemetry.warn('session not stored', { cause: 'storage did not respond in time' });
    } catch (error) {
      isStored = false;
      telemetry.warn('session not stored', { cause: describeError(error) });
    }
  }
  async function fail(code: string): Promise<void> {
    if (isEnded) return;
    isEnded = true;
    try {
      // The cap may have cut a character in two.
      await session.breakOff({ text: text.toWellFormed(), code });
    } catch (error) {
      telemetry.warn('session not stored', { cause: describeError(error) });
    }
  }
  const context: Partial<RunContext> = {
    onToolStep: (messages) => session.addToolStep(messages),
    searchConversation: (query) => searchMessages(session.messages, query),
  };
  return {
    input: { ...input, messages: [...session.history, ...input.messages] },
    agent: (agent) => withSession(agent, { session, input, measure }),
    sessionId: () => (isStored ? session.id : null),
    recorder: {
      context,
      ready: () => store(session.begin()),
      fail: (thrown) =>
        fail(clientDisconnected.aborted ? 'client_disconnected' : toServiceError(thrown).code),
      event(event) {
        if (event.type !== 'text-delta' || text.length >= MAX_PARTIAL_CHARS) return;
        text += event.text.slice(0, MAX_PARTIAL_CHARS - text.length);
      },
      async end(outcome) {
        if (outcome.kind === 'done') {
          if (isEnded) return;
          isEnded = true;
          await store(session.complete(outcome.result));
        } else if (outcome.kind === 'failed') await fail(outcome.error.code);
        else await fail('client_disconnected');
      },
    },
  };
}

/** Ends the session of a run that throws, and throws the same error. */
export async function failSession(
  session: SessionRun | undefined,
  thrown: unknown,
): Promise<never> {
  await session?.recorder.fail?.(thrown);
  throw thrown;
}
