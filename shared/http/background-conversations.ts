import { openAiResponses } from '../protocols/openai-responses.ts';
import { responsesRequestFromJson } from '../protocols/openai-responses-request.ts';
import type { EndedRun, RunConversations } from '../runs/run-agent.ts';
import { type RunEnd, type RunRecord, textOf, toolMessagesOf } from '../runs/run-record.ts';
import type { BackgroundSessions, SessionRunEnd } from '../sessions/background-sessions.ts';
import { type RunChange, searchMessages } from '../sessions/conversation-log.ts';
import type { ConversationStore } from '../sessions/conversation-store.ts';
import { MAX_PARTIAL_CHARS } from './chat-session.ts';
import { outputOf } from './stored-responses.ts';

interface BackgroundConversations {
  readonly conversations: () => Promise<ConversationStore>;
  readonly sessions: () => Promise<BackgroundSessions>;
}

/** What runs in the background do with the sessions of chats and the conversations of responses. */
export async function createRunConversations({
  conversations,
  sessions: openSessions,
}: BackgroundConversations): Promise<RunConversations> {
  const sessions = await openSessions();
  return {
    async contextOf({ protocol, owner, id: run, conversationId: id }) {
      if (protocol === openAiResponses.id || id === undefined) return {};
      const messages = await sessions.messagesOf(owner, { id, run });
      return { searchConversation: (query) => searchMessages(messages, query) };
    },
    shorten: (history) => sessions.shorten(history),
    async end(record, ended) {
      const { protocol, owner, id: run, conversationId: id } = record;
      if (id === undefined) return;
      if (protocol === openAiResponses.id) {
        const store = await conversations();
        await store.endRun(owner, id, responseChange(record, ended));
      } else await sessions.end(owner, { id, run, ...toSessionEnd(ended) });
    },
  };
}

/** What broke off is no part of a conversation. */
function responseChange(record: RunRecord, { end, events }: EndedRun): RunChange {
  if (end.kind !== 'done') return { run: record.id, items: [] };
  const { input } = responsesRequestFromJson(record.request);
  return { run: record.id, items: [...input, ...outputOf(record, { end, events }).items] };
}

function toSessionEnd({ end, events, steps }: EndedRun): SessionRunEnd {
  const tools = toolMessagesOf(steps);
  if (end.kind === 'done') return { tools, end: { result: end.result } };
  return { tools, end: { text: textOf(events).slice(0, MAX_PARTIAL_CHARS), code: codeOf(end) } };
}

function codeOf(end: Exclude<RunEnd, { kind: 'done' }>): string {
  return end.kind === 'failed' ? end.code : end.kind;
}
