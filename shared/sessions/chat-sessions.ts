import type { Message, RunResult } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import { ServiceError } from '../errors.ts';
import {
  createRunItems,
  type Place,
  readSessionItems,
  type SessionItem,
  type SessionMessage,
} from './conversation-log.ts';
import type { ConversationStore } from './conversation-store.ts';
import { type OpenConversation, sessionBusy } from './open-conversation.ts';
import {
  type HistoryOptions,
  readHistory,
  type SummaryPlan,
  toSummaryMessage,
} from './session-history.ts';
import { halfOf } from './trim-history.ts';

/** The sessions of the chat routes. */
export interface ChatSessions {
  /**
   * Begins a run in a session of the owner, which no other run may have.
   * @throws ServiceError session_not_found or session_busy
   */
  resume(owner: string, request: { id: string; message: string }): Promise<ChatSession>;
  /** Begins the first run of a new session. Undefined while storage does not take new ones. */
  start(owner: string, message: string): ChatSession | undefined;
}

/** One run in a session. It ends with `complete` or `breakOff`; the first of them counts. */
export interface ChatSession {
  readonly id: string;
  /** A new session may fail to be stored without failing its run. */
  readonly isNew: boolean;
  /** What the model reads of earlier runs. */
  readonly history: readonly Message[];
  /** The summary that is due; undefined if there is none. */
  readonly summary: SessionSummary | undefined;
  /** About half of it; undefined if there is none. */
  halfHistory(): readonly Message[] | undefined;
  /** All messages of the session, oldest first, without those of this run. */
  readonly messages: readonly SessionMessage[];
  /** Stores a new session before its end, so that a second run finds it busy. */
  begin(): Promise<void>;
  /** Adds tool calls and their results. */
  addToolStep(messages: readonly Message[]): void;
  /** Stores the answer. */
  complete(result: RunResult): Promise<void>;
  /** Stores that the run has no answer, and the text that the caller saw of it. */
  breakOff(end: BrokenRun): Promise<void>;
}

interface SessionSummary extends Pick<SummaryPlan, 'replaced' | 'maxOutputTokens'> {
  /** Stores the summary, and returns the history with it. */
  accept(text: string): readonly Message[];
}

export interface BrokenRun {
  readonly text: string;
  readonly code: string;
}

export interface ChatSessionsOptions extends HistoryOptions {
  readonly store: ConversationStore;
  readonly clock: Clock;
}

/** After a failure, new sessions are not stored for so long: a chat must not wait for each. */
const PAUSE_MS = 10_000;
/** Errors whose text was refused; it must not come back with the history. */
const REFUSED: ReadonlySet<string> = new Set(['content_filtered', 'guardrail_blocked']);

export function createChatSessions(options: ChatSessionsOptions): ChatSessions {
  const { store, clock } = options;
  let failedAt = Number.NEGATIVE_INFINITY;
  async function noteFailure<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      failedAt = clock.now();
      throw error;
    }
  }
  return {
    async resume(owner, { id, message }) {
      const opened = await openSession(store, { owner, id });
      const items = readSessionItems(opened.conversation.items);
      const run = startRunItems(message, clock);
      const place = { opened: Promise.resolve(opened) };
      return createChatSession({ id, isNew: false, items, run, options, ...place });
    },
    start(owner, message) {
      if (Math.abs(clock.now() - failedAt) < PAUSE_MS) return undefined;
      const id = store.newId('sess');
      const run = startRunItems(message, clock);
      return createChatSession({
        id,
        isNew: true,
        items: [],
        run,
        options,
        create: (items) => noteFailure(store.create(owner, { id, kind: 'sess', items })),
        createOpen: (items) => noteFailure(store.createOpen(owner, { id, kind: 'sess', items })),
      });
    },
  };
}

/**
 * Conversations of the Responses API are no sessions.
 * @throws ServiceError session_not_found or session_busy
 */
export async function openSession(
  store: ConversationStore,
  { owner, id }: Place,
): Promise<OpenConversation> {
  const opened = id.startsWith('sess_') ? await store.open(owner, id) : undefined;
  if (opened === 'busy') throw sessionBusy();
  if (opened === undefined) throw sessionNotFound();
  return opened;
}

/** The error of an id that does not exist or belongs to another caller. */
export function sessionNotFound(): ServiceError {
  return new ServiceError('session_not_found', 'There is no such session', { param: 'sessionId' });
}

interface RunItems extends ReturnType<typeof createRunItems> {
  readonly first: SessionItem;
}

function startRunItems(message: string, clock: Clock): RunItems {
  const items = createRunItems(() => clock.now());
  return { ...items, first: items.message({ role: 'user', content: message }) };
}

interface SessionOptions extends SessionPlace {
  readonly id: string;
  readonly isNew: boolean;
  readonly items: readonly SessionItem[];
  readonly run: RunItems;
  readonly options: ChatSessionsOptions;
}

/** Where the items of a run go: to an open session, or to one that is created for them. */
interface SessionPlace {
  readonly opened?: Promise<OpenConversation>;
  readonly create?: (items: readonly SessionItem[]) => Promise<unknown>;
  readonly createOpen?: (items: readonly SessionItem[]) => Promise<OpenConversation>;
}

function createChatSession({
  id,
  isNew,
  items,
  run,
  options,
  ...place
}: SessionOptions): ChatSession {
  const { messages: history, summary } = readHistory(items, options);
  const writer = createRunWriter(run.first, place);
  let hasToolStep = false;
  return {
    id,
    isNew,
    history,
    summary: summary && {
      ...summary,
      accept(text) {
        writer.add([run.summary(text, summary.through)]);
        return [toSummaryMessage(text), ...summary.kept];
      },
    },
    halfHistory: () => (history.length === 0 ? undefined : halfOf(history, options)),
    messages: items.filter((item) => item.type === 'message'),
    begin: () => writer.begin(),
    addToolStep(messages) {
      hasToolStep = true;
      writer.add(messages.flatMap((message) => toolItem(message, run) ?? []));
    },
    complete: (result) => writer.end([run.message(answerOf(result)), run.end('completed')]),
    async breakOff(end) {
      // The caller of a new session that was never shown does not know its id.
      if (writer.hasBegun()) await writer.end(brokenItems(end, { run, hasToolStep }));
    },
  };
}

interface BrokenContext {
  readonly run: ReturnType<typeof createRunItems>;
  readonly hasToolStep: boolean;
}

/** The last items of a run without an answer. */
export function brokenItems(
  { text, code }: BrokenRun,
  { run, hasToolStep }: BrokenContext,
): readonly SessionItem[] {
  const isRefused = REFUSED.has(code);
  const hasOutput = (text !== '' || hasToolStep) && !isRefused;
  const partial =
    text === '' || isRefused ? [] : [run.message({ role: 'assistant', content: text }, true)];
  return [...partial, run.end(hasOutput ? 'partial' : 'failed', code)];
}

/** Writes the items of one run in their order. */
interface RunWriter {
  begin(): Promise<void>;
  hasBegun(): boolean;
  add(items: readonly SessionItem[]): void;
  /** Resolves when all items are durable. Only the first call counts. */
  end(items: readonly SessionItem[]): Promise<void>;
}

/** A new session is created with its first items: those of the whole run if it never began. */
function createRunWriter(
  first: SessionItem,
  { opened, create, createOpen }: SessionPlace,
): RunWriter {
  let pending: SessionItem[] = [first];
  let session = opened;
  let written: Promise<unknown> = Promise.resolve();
  let isEnded = false;

  function take(): readonly SessionItem[] {
    const taken = pending;
    pending = [];
    return taken;
  }
  function flush(): void {
    const target = session;
    if (target === undefined) return;
    const taken = take();
    written = written.then(async () => (await target).append(taken));
    // The end of the run reports it.
    written.catch(() => undefined);
  }
  flush();
  return {
    hasBegun: () => session !== undefined,
    async begin() {
      session ??= createOpen?.(take());
      await session;
    },
    add(items) {
      pending.push(...items);
      flush();
    },
    async end(items) {
      if (isEnded) return;
      isEnded = true;
      pending.push(...items);
      if (session === undefined) {
        await create?.(take());
        return;
      }
      flush();
      try {
        await written;
      } finally {
        await session.then((target) => target.release()).catch(() => undefined);
      }
    },
  };
}

/** The answer contains the text of all steps, as the caller reads it. */
export function answerOf({ text, refusal }: RunResult): SessionMessage['message'] {
  return { role: 'assistant', content: refusal ?? text };
}

/** Without the text of the step, which is a part of the answer. */
export function toolItem(
  message: Message,
  run: Pick<RunItems, 'message'>,
): SessionItem | undefined {
  if (message.role === 'tool') {
    const { role, toolCallId, content } = message;
    return run.message({ role, toolCallId, content });
  }
  if (message.role !== 'assistant') return undefined;
  const { role, toolCalls = [] } = message;
  return run.message({ role, content: null, toolCalls: [...toolCalls] });
}
