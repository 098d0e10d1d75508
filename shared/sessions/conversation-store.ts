import { randomBytes } from 'node:crypto';
import {
  ageOf,
  blobName,
  createConversationReader,
  createdAtOf,
  isConversationId,
  lineContext,
  ownerFolder,
  type Place,
  type Conversation,
  type ConversationEntry,
  type ConversationReader,
  type StoredItem,
} from './conversation-log.ts';
import type { Clock } from '../clock.ts';
import { ServiceError } from '../errors.ts';
import { toJsonLine } from '../json.ts';
import type { BlobContainer, BlobLease } from '../storage/blob-container.ts';
import { createGroupCommit } from '../storage/group-commit.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';

/** `sess`: sessions of the chat routes; `conv`: conversations of the Responses API. */
export type ConversationKind = 'sess' | 'conv';

export interface NewConversation {
  /** An id of `newId`; a new one if left out. */
  readonly id?: string | undefined;
  readonly kind: ConversationKind;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** The first items. */
  readonly items?: readonly StoredItem[] | undefined;
}

/**
 * Stores conversations. The owner is part of each key, so the conversation of another owner is
 * exactly like one that does not exist.
 */
export interface ConversationStore {
  /** A new id: its age for the order of lists, and 128 random bits. */
  newId(kind: ConversationKind): string;
  create(owner: string, conversation: NewConversation): Promise<Conversation>;
  /** Creates a conversation and acquires the right to change it. */
  createOpen(owner: string, conversation: NewConversation): Promise<OpenConversation>;
  /** Undefined if it does not exist, is deleted, or is older than the retention. */
  find(owner: string, id: string): Promise<Conversation | undefined>;
  /** Newest first. `after` is the last id of the page before. */
  list(owner: string, page: ConversationPage): Promise<ConversationList>;
  /**
   * Acquires the exclusive right to change a conversation. It is renewed until it is released; after
   * a crash it ends within 15 s. `busy`: another run has it.
   */
  open(owner: string, id: string): Promise<OpenConversation | 'busy' | undefined>;
  /**
   * Deletes a conversation. Resolves to false if it does not exist.
   * @throws ServiceError session_busy while a run has it
   */
  remove(owner: string, id: string): Promise<boolean>;
}

export interface ConversationPage {
  readonly kind: ConversationKind;
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface ConversationList {
  readonly conversations: readonly ListedConversation[];
  readonly hasMore: boolean;
}

/** What a list shows without reading the conversation. Times are epoch milliseconds. */
export interface ListedConversation {
  readonly id: string;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** The exclusive right to change one conversation. Every change is durable when it resolves. */
export interface OpenConversation {
  /** The conversation with the changes so far. */
  readonly conversation: Conversation;
  /** Aborts when the right is lost: another run may have it now. */
  readonly lostSignal: AbortSignal;
  /** @throws ServiceError context_too_long if the conversation is full */
  append(items: readonly StoredItem[]): Promise<void>;
  /** Resolves to false if there is no such item. */
  removeItem(itemId: string): Promise<boolean>;
  setMetadata(metadata: Readonly<Record<string, string>>): Promise<void>;
  release(): Promise<void>;
}

export interface ConversationStoreOptions {
  readonly container: BlobContainer;
  readonly encryption: TextEncryption;
  /** A conversation that was not changed for so long does not exist any more. */
  readonly retentionDays: number;
  readonly clock: Clock;
  readonly random?: (bytes: number) => Buffer;
}

/** The container, as deployment and local start name it. */
export const CONVERSATION_CONTAINER = 'conversations';
/** Far more than any model reads; the whole conversation is in memory during a run. */
const MAX_BYTES = 16_777_216;
const DAY_MS = 86_400_000;

/**
 * Stores each conversation as one append-only blob of lines, each of them sealed. A blob's name
 * contains its owner; a line's place is part of its encryption, so that lines cannot be exchanged.
 */
export function createConversationStore(options: ConversationStoreOptions): ConversationStore {
  const { container, clock, retentionDays, random = randomBytes } = options;
  const isExpired = (changedAt: number) => now() - changedAt > retentionDays * DAY_MS;
  const now = () => container.now() ?? clock.now();
  const newId = (kind: ConversationKind) => `${kind}_${ageOf(now())}${random(16).toString('hex')}`;

  const read = (place: Place) => readBlob(place, options);
  const idOf = ({ id, kind }: NewConversation) => id ?? newId(kind);
  return {
    newId,
    async create(owner, conversation) {
      return viewOf(
        await create({ ...conversation, owner, id: idOf(conversation) }, { options, now }),
      );
    },
    async createOpen(owner, conversation) {
      const place = { owner, id: idOf(conversation) };
      const reader = await create({ ...conversation, ...place }, { options, now });
      const lease = await container.acquireExistingLease(blobName(place));
      if (lease === 'busy' || lease === 'missing') throw sessionBusy();
      return openConversation(place, { lease, reader, options, now });
    },
    async find(owner, id) {
      if (!isConversationId(id)) return undefined;
      const found = (await read({ owner, id }))?.view();
      return found === undefined || isExpired(found.changedAt) ? undefined : found;
    },
    list: (owner, page) => list({ owner, ...page }, { container, isExpired }),
    async open(owner, id) {
      if (!isConversationId(id)) return undefined;
      const place = { owner, id };
      const lease = await container.acquireExistingLease(blobName(place));
      if (lease === 'busy') return 'busy';
      if (lease === 'missing') return undefined;
      try {
        const reader = await read(place);
        const found = reader?.view();
        if (reader !== undefined && found !== undefined && !isExpired(found.changedAt)) {
          return openConversation(place, { lease, reader, options, now });
        }
      } catch (error) {
        await lease.release();
        throw error;
      }
      await lease.release();
      return undefined;
    },
    async remove(owner, id) {
      if (!isConversationId(id)) return false;
      const lease = await container.acquireExistingLease(blobName({ owner, id }));
      if (lease === 'busy') throw sessionBusy();
      if (lease === 'missing') return false;
      await lease.remove();
      return lease.bytes > 0;
    },
  };
}

interface CreateOptions {
  readonly options: ConversationStoreOptions;
  readonly now: () => number;
}

async function create(
  { metadata = {}, items = [], ...place }: NewConversation & Place,
  { options, now }: CreateOptions,
): Promise<ConversationReader> {
  const reader = createConversationReader(place.id);
  const entries: ConversationEntry[] = [{ type: 'conversation', metadata, at: now() }];
  if (items.length > 0) entries.push({ type: 'items', items, at: now() });
  const lines = entries.map((entry) => sealedLine(entry, { reader, place, options }));
  if (!(await options.container.createJournal(blobName(place), lines.join('')))) {
    throw new TypeError('Cannot create a conversation with the id of another one');
  }
  return reader;
}

/** Undefined if the blob does not exist. */
async function readBlob(
  place: Place,
  { container, encryption }: ConversationStoreOptions,
): Promise<ConversationReader | undefined> {
  const found = await container.read(blobName(place));
  if (found === undefined) return undefined;
  const reader = createConversationReader(place.id);
  for (const [index, line] of found.text.split('\n').slice(0, -1).entries()) {
    reader.add(encryption.open(line, lineContext(place, index)));
  }
  return reader;
}

interface ListDependencies {
  readonly container: BlobContainer;
  readonly isExpired: (changedAt: number) => boolean;
}

async function list(
  { owner, kind, after = '', limit }: ConversationPage & { readonly owner: string },
  { container, isExpired }: ListDependencies,
): Promise<ConversationList> {
  const folder = `${ownerFolder(owner)}/`;
  const conversations: ListedConversation[] = [];
  for await (const { name, bytes, changedAt } of container.list(`${folder}${kind}_`)) {
    const id = name.slice(folder.length);
    if (id <= after || bytes === 0 || isExpired(changedAt)) continue;
    if (conversations.length === limit) return { conversations, hasMore: true };
    conversations.push({ id, createdAt: createdAtOf(id), changedAt });
  }
  return { conversations, hasMore: false };
}

/** The error of a request for a conversation that another run has. */
export function sessionBusy(): ServiceError {
  return new ServiceError('session_busy', 'Another run of this conversation is active', {
    retryAfterSeconds: 1,
  });
}

interface OpenOptions {
  readonly lease: BlobLease;
  readonly reader: ConversationReader;
  readonly options: ConversationStoreOptions;
  readonly now: () => number;
}

function openConversation(
  place: Place,
  { lease, reader, options, now }: OpenOptions,
): OpenConversation {
  let bytes = lease.bytes;
  const journal = createGroupCommit({
    async write(lines, position) {
      if ((await lease.append(lines, position)) === 'full') throw conversationFull();
    },
    position: lease.bytes,
  });
  async function write(entry: ConversationEntry): Promise<void> {
    const line = sealedLine(entry, { reader, place, options });
    bytes += Buffer.byteLength(line);
    await journal.add(line);
  }
  return {
    get conversation() {
      return viewOf(reader);
    },
    lostSignal: lease.lostSignal,
    async append(items) {
      if (items.length === 0) return;
      if (bytes > MAX_BYTES) throw conversationFull();
      await write({ type: 'items', items, at: now() });
    },
    async removeItem(itemId) {
      if (!viewOf(reader).items.some(({ id }) => id === itemId)) return false;
      await write({ type: 'removed', itemId, at: now() });
      return true;
    },
    setMetadata: (metadata) => write({ type: 'metadata', metadata, at: now() }),
    release: () => lease.release(),
  };
}

function conversationFull(): ServiceError {
  return new ServiceError(
    'context_too_long',
    'Cannot add to the conversation: it must be shorter than 16 MiB; start another one',
  );
}

interface LineOptions {
  readonly reader: ConversationReader;
  readonly place: Place;
  readonly options: ConversationStoreOptions;
}

/** The next line of the blob. The reader counts lines, also those that a failed write loses. */
function sealedLine(entry: ConversationEntry, { reader, place, options }: LineOptions): string {
  const context = lineContext(place, reader.lines());
  const text = toJsonLine(entry);
  reader.add(text);
  return `${options.encryption.seal(text, context)}\n`;
}

function viewOf(reader: ConversationReader): Conversation {
  const conversation = reader.view();
  if (conversation === undefined) throw new TypeError('Cannot read the first line');
  return conversation;
}
