import type { Message, RunResult } from '../agent/agent.ts';
import {
  answerOf,
  brokenItems,
  type BrokenRun,
  type ChatSessionsOptions,
  openSession,
  toolItem,
} from './chat-sessions.ts';
import { createRunItems, readSessionItems, type SessionMessage } from './conversation-log.ts';
import { readHistory } from './session-history.ts';
import { halfOf } from './trim-history.ts';

/** A run in the background of a session. */
interface SessionRun {
  /** The id of the run. */
  readonly run: string;
  readonly message: string;
}

/** How a run in the background ended. */
export interface SessionRunEnd {
  /** The calls of own tools and their results. */
  readonly tools: readonly Message[];
  readonly end: { readonly result: RunResult } | BrokenRun;
}

/** A session that waits for `begin` or `release`. */
export interface ResumedSession {
  /** What the model reads of earlier runs. */
  readonly history: readonly Message[];
  /** Stores the message of the run, which has the session from now on. */
  begin(): Promise<void>;
  release(): Promise<void>;
}

/** The sessions of runs in the background: no process has them while such a run goes on. */
export interface BackgroundSessions {
  /** @throws ServiceError session_not_found or session_busy */
  resume(owner: string, request: SessionRun & { readonly id: string }): Promise<ResumedSession>;
  /** Creates a session that the run has, and resolves to its id. */
  create(owner: string, request: SessionRun): Promise<string>;
  /** The messages of other runs, oldest first. */
  messagesOf(owner: string, place: SessionPlace): Promise<readonly SessionMessage[]>;
  /** Half of a history that is too long for the model. */
  shorten(history: readonly Message[]): readonly Message[];
  /** Stores the end of a run, and frees its session. Repeats have no effect. */
  end(owner: string, place: SessionPlace & SessionRunEnd): Promise<void>;
}

interface SessionPlace {
  readonly id: string;
  readonly run: string;
}

export function createBackgroundSessions(options: ChatSessionsOptions): BackgroundSessions {
  const { store, clock } = options;
  const itemsOf = (run: string) => createRunItems(() => clock.now(), run);
  const first = ({ run, message }: SessionRun) => ({
    run,
    items: [itemsOf(run).message({ role: 'user', content: message })],
  });
  return {
    async resume(owner, { id, ...request }) {
      const opened = await openSession(store, { owner, id });
      const items = readSessionItems(opened.conversation.items);
      return {
        history: readHistory(items, options).messages,
        begin: () => opened.beginRun(first(request)),
        release: () => opened.release(),
      };
    },
    async create(owner, request) {
      return (await store.create(owner, { kind: 'sess', run: first(request) })).id;
    },
    async messagesOf(owner, { id, run }) {
      const items = readSessionItems((await store.find(owner, id))?.items ?? []);
      return items.filter((item) => item.type === 'message').filter((item) => item.run !== run);
    },
    shorten: (history) => halfOf(history, options),
    async end(owner, { id, run, tools, end }) {
      const items = itemsOf(run);
      const hasToolStep = tools.length > 0;
      await store.endRun(owner, id, {
        run,
        items: [
          ...tools.flatMap((message) => toolItem(message, items) ?? []),
          ...('result' in end
            ? [items.message(answerOf(end.result)), items.end('completed')]
            : brokenItems(end, { run: items, hasToolStep })),
        ],
      });
    },
  };
}
