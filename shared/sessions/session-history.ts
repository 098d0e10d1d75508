import type { Message } from '../agent/agent.ts';
import { type SessionItem, visibleMessages } from './conversation-log.ts';
import { newestOf, trimHistory, type TrimOptions } from './trim-history.ts';

export interface HistoryOptions extends TrimOptions {
  /** Messages that do not fit are replaced by a summary, where one can be made. */
  readonly isSummarized: boolean;
}

/** What the model reads of a session. */
export interface SessionHistory {
  readonly messages: readonly Message[];
  /** Undefined if all fits, or if nothing is summarized. */
  readonly summary?: SummaryPlan;
}

/** A summary that would let the history fit. */
export interface SummaryPlan {
  /** What it replaces, oldest first; an earlier summary is the first of them. */
  readonly replaced: readonly Message[];
  /** The last item that it replaces. */
  readonly through: string;
  /** The messages after it. */
  readonly kept: readonly Message[];
  readonly maxOutputTokens: number;
}

/** With fewer tokens of history, a summary would take the place of the messages themselves. */
const MIN_TOKENS = 400;
/** The bound on a summary. */
const MAX_SUMMARY_TOKENS = 1_000;

/**
 * The history within its budget. With summaries, it is the last one and the messages after it. If
 * these do not fit, the newest half of the budget stays and a new summary is due, so that a long
 * conversation is summarized once in many messages.
 */
export function readHistory(
  items: readonly SessionItem[],
  options: HistoryOptions,
): SessionHistory {
  const { maxTokens, estimate, isSummarized } = options;
  const all = visibleMessages(items);
  const messagesOf = (some: typeof all) => some.map(({ message }) => message);
  if (!isSummarized || maxTokens < MIN_TOKENS) {
    return { messages: trimHistory(messagesOf(all), options).messages };
  }
  const last = items.findLast((item) => item.type === 'summary');
  const start = items.findIndex(({ id }) => id === last?.through) + 1;
  const known = new Set(items.slice(start).map(({ id }) => id));
  const recent = all.filter(({ id }) => known.has(id));
  const head = last === undefined ? [] : [toSummaryMessage(last.text)];
  const tokensOf = (some: readonly Message[]) =>
    some.reduce((sum, message) => sum + estimate(message), 0);
  const left = Math.max(0, maxTokens - tokensOf(head));
  const { messages, dropped } = trimHistory(messagesOf(recent), { estimate, maxTokens: left });
  const plain = [...head, ...messages];
  if (tokensOf(messagesOf(recent)) <= left) return { messages: plain };
  const kept = newestOf(messagesOf(recent), { estimate, maxTokens: Math.floor(maxTokens / 2) });
  const replaced = recent.slice(0, recent.length - kept.length);
  const through = replaced.at(-1)?.id;
  if (dropped.length === 0 || through === undefined) return { messages: plain };
  const shown = trimHistory(messagesOf(replaced), { estimate, maxTokens: left }).messages;
  const maxOutputTokens = Math.min(MAX_SUMMARY_TOKENS, Math.floor(maxTokens / 4));
  return {
    messages: plain,
    summary: { replaced: [...head, ...shown], through, kept, maxOutputTokens },
  };
}

/** As a message of the user: what it tells comes from the conversation, not from this service. */
export function toSummaryMessage(text: string): Message {
  return { role: 'user', content: `[Summary of our conversation so far]\n${text}` };
}
