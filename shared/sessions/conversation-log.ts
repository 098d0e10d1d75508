import { createHash } from 'node:crypto';
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
}

const metadataSchema = z.record(z.string(), z.string());
const at = z.number();

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('conversation'), metadata: metadataSchema, at }),
  z.object({ type: z.literal('items'), items: z.array(z.looseObject({ id: z.string() })), at }),
  z.object({ type: z.literal('removed'), itemId: z.string(), at }),
  z.object({ type: z.literal('metadata'), metadata: metadataSchema, at }),
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
  | { readonly type: 'removed'; readonly itemId: string; readonly at: number };

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
  let header: Omit<Conversation, 'items'> | undefined;
  function apply(entry: ConversationEntry): void {
    if (entry.type === 'conversation') {
      const { metadata, at: createdAt } = entry;
      header ??= { id, createdAt, changedAt: createdAt, metadata };
      return;
    }
    if (header === undefined) return;
    header = { ...header, changedAt: entry.at };
    if (entry.type === 'items') items.push(...entry.items);
    else if (entry.type === 'removed') items = items.filter((item) => item.id !== entry.itemId);
    else header = { ...header, metadata: entry.metadata };
  }
  return {
    add(line) {
      const entry = entrySchema.safeParse(parseJson(line)).data;
      if (entry === undefined) throw new TypeError('Cannot read a line of a conversation');
      lines += 1;
      apply(entry);
    },
    lines: () => lines,
    view: () => (header === undefined ? undefined : { ...header, items: [...items] }),
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
