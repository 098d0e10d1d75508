import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { StoredItem } from './conversation-log.ts';
import type { Message } from '../agent/agent.ts';

const toolCallSchema = z.object({ id: z.string(), name: z.string(), arguments: z.string() });

const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: z.string() }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    toolCalls: z.array(toolCallSchema).optional(),
  }),
  z.object({ role: z.literal('tool'), toolCallId: z.string(), content: z.string() }),
]);

const itemSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id: z.string(),
    run: z.string(),
    at: z.number(),
    message: messageSchema,
    /** The run broke off within this text, so it is no answer. */
    isPartial: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('end'),
    id: z.string(),
    run: z.string(),
    at: z.number(),
    /** failed: nothing of the run was shown to the caller. */
    status: z.enum(['completed', 'partial', 'failed']),
    code: z.string().optional(),
  }),
]);

/** An item of a session: a message of a run, or how the run ended. */
export type SessionItem = z.infer<typeof itemSchema>;
export type SessionMessage = Extract<SessionItem, { type: 'message' }>;
type RunStatus = Extract<SessionItem, { type: 'end' }>['status'];

/** The items of a session. Items of a form that this version does not know are left out. */
export function readSessionItems(items: readonly StoredItem[]): readonly SessionItem[] {
  return items.flatMap((item) => itemSchema.safeParse(item).data ?? []);
}

/**
 * The messages that the model reads of a session. A run that broke off counts without its partial
 * text, which is no answer; a run that failed before any output does not count, because its message
 * may be what failed.
 */
export function historyOf(items: readonly SessionItem[]): readonly Message[] {
  const ends = endsOf(items);
  return items.flatMap((item) => {
    if (item.type !== 'message' || item.isPartial === true) return [];
    return ends.get(item.run) === 'failed' ? [] : [item.message];
  });
}

/** How each run ended, by its id. A run without an end broke off with its process. */
export function endsOf(items: readonly SessionItem[]): ReadonlyMap<string, RunStatus> {
  return new Map(items.flatMap((item) => (item.type === 'end' ? [[item.run, item.status]] : [])));
}

/** Makes the items of one run. */
export function createRunItems(now: () => number) {
  const run = newItemId('run');
  return {
    message: (message: SessionMessage['message'], isPartial = false): SessionItem => ({
      type: 'message',
      id: newItemId('msg'),
      run,
      at: now(),
      message,
      ...(isPartial ? { isPartial } : {}),
    }),
    end: (status: RunStatus, code?: string): SessionItem => ({
      type: 'end',
      id: newItemId('end'),
      run,
      at: now(),
      status,
      ...(code === undefined ? {} : { code }),
    }),
  };
}

function newItemId(prefix: string): string {
  return `${prefix}_${randomBytes(16).toString('hex')}`;
}

/** Results of one search, and the part of each message that is shown. */
const MAX_RESULTS = 8;
const MAX_CHARS = 600;

/**
 * The messages that contain most words of the query, newer ones first among equals. Each is one line
 * with its time and role.
 */
export function searchMessages(messages: readonly SessionMessage[], query: string): string[] {
  const words = wordsOf(query);
  return messages
    .map((item, index) => ({ item, index, score: scoreOf(item, words) }))
    .filter(({ score }) => score > 0)
    .toSorted((one, other) => other.score - one.score || other.index - one.index)
    .slice(0, MAX_RESULTS)
    .map(({ item }) => describe(item, words));
}

function wordsOf(text: string): string[] {
  return [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
}

function scoreOf({ message }: SessionMessage, words: readonly string[]): number {
  const text = (message.content ?? '').toLowerCase();
  return words.filter((word) => text.includes(word)).length;
}

function describe({ at, message }: SessionMessage, words: readonly string[]): string {
  const text = (message.content ?? '').replaceAll(/\s+/g, ' ');
  const first = words
    .map((word) => text.toLowerCase().indexOf(word))
    .filter((index) => index >= 0)
    .reduce((one, other) => Math.min(one, other), text.length);
  const start = Math.max(0, first - MAX_CHARS / 2);
  return `${new Date(at).toISOString()} ${message.role}: ${text.slice(start, start + MAX_CHARS)}`;
}
