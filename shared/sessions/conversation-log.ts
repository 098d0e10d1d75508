import { createHash, randomBytes } from 'node:crypto';
import * as z from 'zod';
import { parseJson } from '../json.ts';

/** One item of a conversation. The store knows nothing of it but its id. */
export interface StoredItem {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** A conversation as its lines describe it. Times are epoch milliseconds. */
export interface Conversation {
  readonly id: string;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Oldest first. */
  readonly items: readonly StoredItem[];
  /** The run in the background that the conversation has now. */
  readonly activeRun?: string | undefined;
}

const metadataSchema = z.record(z.string(), z.string());
const at = z.number();
const storedItems = z.array(z.looseObject({ id: z.string() }));

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('conversation'), metadata: metadataSchema, at }),
  z.object({ type: z.literal('items'), items: storedItems, at }),
  z.object({ type: z.literal('removed'), itemId: z.string(), at }),
  z.object({ type: z.literal('metadata'), metadata: metadataSchema, at }),
  /** A run in the background begins. Until it ends, no other run may. */
  z.object({ type: z.literal('run-started'), run: z.string(), items: storedItems, at }),
  z.object({ type: z.literal('run-ended'), run: z.string(), items: storedItems, at }),
]);

/** One line of the blob of a conversation. */
export type ConversationEntry =
  | {
      readonly type: 'conversation';
      readonly metadata: Conversation['metadata'];
      readonly at: number;
    }
  | { readonly type: 'metadata'; readonly metadata: Conversation['metadata']; readonly at: number }
  | { readonly type: 'items'; readonly items: readonly StoredItem[]; readonly at: number }
  | { readonly type: 'removed'; readonly itemId: string; readonly at: number }
  | ({ readonly type: 'run-started' | 'run-ended'; readonly at: number } & RunChange);

/** The beginning or the end of a run in the background, and the items that it adds. */
export interface RunChange {
  readonly run: string;
  readonly items: readonly StoredItem[];
}

export interface ConversationReader {
  /** @throws TypeError for a line that is none of a conversation */
  add(line: string): void;
  /** The number of lines so far. */
  lines(): number;
  /** Undefined before the first line. */
  view(): Conversation | undefined;
}

/** Reads the lines of a conversation, in their order. */
export function createConversationReader(id: string): ConversationReader {
  let lines = 0;
  let items: StoredItem[] = [];
  let header: Omit<Conversation, 'items' | 'activeRun'> | undefined;
  let activeRun: string | undefined;
  function apply(entry: ConversationEntry): void {
    if (entry.type === 'conversation') {
      const { metadata, at: createdAt } = entry;
      header ??= { id, createdAt, changedAt: createdAt, metadata };
      return;
    }
    if (header === undefined) return;
    header = { ...header, changedAt: entry.at };
    switch (entry.type) {
      case 'items':
        return void items.push(...entry.items);
      case 'removed':
        items = items.filter((item) => item.id !== entry.itemId);
        return;
      case 'metadata':
        header = { ...header, metadata: entry.metadata };
        return;
      case 'run-started':
        activeRun = entry.run;
        return void items.push(...entry.items);
      case 'run-ended':
        if (activeRun !== entry.run) return;
        activeRun = undefined;
        items.push(...entry.items);
    }
  }
  return {
    add(line) {
      const entry = entrySchema.safeParse(parseJson(line)).data;
      if (entry === undefined) throw new TypeError('Cannot read a line of a conversation');
      lines += 1;
      apply(entry);
    },
    lines: () => lines,
    view: () => (header === undefined ? undefined : { ...header, items: [...items], activeRun }),
  };
}

const AGE_DIGITS = 11;
/** The last time that fits, so that newer ids sort first. */
const LAST_TIME = 16 ** AGE_DIGITS - 1;
const ID = new RegExp(`^(?:sess|conv)_[0-9a-f]{${AGE_DIGITS + 32}}$`);

/** Whether a text has the form of an id. Any other text is not looked up. */
export function isConversationId(id: string): boolean {
  return ID.test(id);
}

/** The first part of an id that is made at this time, in epoch milliseconds. */
export function ageOf(time: number): string {
  return (LAST_TIME - time).toString(16).padStart(AGE_DIGITS, '0');
}

/** When an id was made, in epoch milliseconds. */
export function createdAtOf(id: string): number {
  return LAST_TIME - Number.parseInt(id.slice(5, 5 + AGE_DIGITS), 16);
}

/** Where a conversation is stored. */
export interface Place {
  readonly owner: string;
  readonly id: string;
}

/** What a line is sealed with, so that it cannot be moved. */
export function lineContext({ owner, id }: Place, index: number): string {
  return `conversation\n${owner}\n${id}\n${index}`;
}

/** The name of its blob. Owner ids can contain personal data, so it has a hash of them. */
export function blobName({ owner, id }: Place): string {
  return `${ownerFolder(owner)}/${id}`;
}

export function ownerFolder(owner: string): string {
  return createHash('sha256').update(owner).digest('hex').slice(0, 32);
}

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
  z.object({
    type: z.literal('summary'),
    id: z.string(),
    run: z.string(),
    at: z.number(),
    text: z.string(),
    /** The last item that it replaces for the model. */
    through: z.string(),
  }),
]);

/** An item of a session: a message of a run, how the run ended, or a summary that the run made. */
export type SessionItem = z.infer<typeof itemSchema>;
export type SessionMessage = Extract<SessionItem, { type: 'message' }>;
type RunStatus = Extract<SessionItem, { type: 'end' }>['status'];

/** The items of a session. Items of a form that this version does not know are left out. */
export function readSessionItems(items: readonly StoredItem[]): readonly SessionItem[] {
  return items.flatMap((item) => itemSchema.safeParse(item).data ?? []);
}

/**
 * The messages of a session that count for the model. A run that broke off counts without its partial
 * text, which is no answer; a run that failed before any output does not count, because its message
 * may be what failed.
 */
export function visibleMessages(items: readonly SessionItem[]): readonly SessionMessage[] {
  const ends = endsOf(items);
  return items.flatMap((item) => {
    if (item.type !== 'message' || item.isPartial === true) return [];
    return ends.get(item.run) === 'failed' ? [] : [item];
  });
}

/** How each run ended, by its id. A run without an end broke off with its process. */
export function endsOf(items: readonly SessionItem[]): ReadonlyMap<string, RunStatus> {
  return new Map(items.flatMap((item) => (item.type === 'end' ? [[item.run, item.status]] : [])));
}

/** Makes the items of one run. */
export function createRunItems(now: () => number, run = newItemId('run')) {
  return {
    message: (message: SessionMessage['message'], isPartial = false): SessionItem => ({
      type: 'message',
      id: newItemId('msg'),
      run,
      at: now(),
      message,
      ...(isPartial ? { isPartial } : {}),
    }),
    summary: (text: string, through: string): SessionItem => ({
      type: 'summary',
      id: newItemId('sum'),
      run,
      at: now(),
      text,
      through,
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
