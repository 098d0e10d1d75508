import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ageOf,
  blobName,
  type Conversation,
  type ConversationEntry,
  type ConversationReader,
  createConversationReader,
  createdAtOf,
  isConversationId,
  lineContext,
  ownerFolder,
  type Place,
  type RunChange,
  type StoredItem,
} from './conversation-log.ts';
import {
  type OpenConversation,
  openConversation,
  sealedLine,
  sessionBusy,
  viewOf,
} from './open-conversation.ts';
import type { Clock } from '../clock.ts';
import type { BlobContainer, BlobLease } from '../storage/blob-container.ts';
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
  /** A run in the background that begins with it. */
  readonly run?: RunChange | undefined;
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
   * a crash it ends within 15 s. `busy`: another run has it, here or in the background.
   */
  open(owner: string, id: string): Promise<OpenConversation | 'busy' | undefined>;
  /**
   * Deletes a conversation. Resolves to false if it does not exist.
   * @throws ServiceError session_busy while a run has it
   */
  remove(owner: string, id: string): Promise<boolean>;
  /**
   * Adds the items of a run in the background, and frees its conversation. Repeats have no effect.
   * @throws ServiceError session_busy if the conversation cannot be changed now
   */
  endRun(owner: string, id: string, change: RunChange): Promise<void>;
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

export interface ConversationStoreOptions {
  readonly container: BlobContainer;
  readonly encryption: TextEncryption;
  /** A conversation that was not changed for so long does not exist any more. */
  readonly retentionDays: number;
  readonly clock: Clock;
  readonly random?: (bytes: number) => Buffer;
  /**
   * Ends a run in the background that has ended, with `endRun`. `gone`: there is no such run. Without
   * it, each run that has begun counts as active.
   */
  readonly endActiveRun?: ((place: Place, run: string) => Promise<RunState>) | undefined;
}

/** What became of a run in the background. */
export type RunState = 'active' | 'ended' | 'gone';

/** The container, as deployment and local start name it. */
export const CONVERSATION_CONTAINER = 'conversations';
const DAY_MS = 86_400_000;
/** Another request has a conversation for a moment only, to read that it is busy. */
const END_ATTEMPTS = 12;
const END_RETRY_MS = 250;
/** A run is stored beside its conversation, so one that was just begun may not be found yet. */
const GONE_AFTER_MS = 60_000;

/**
 * Stores each conversation as one append-only blob of lines, each of them sealed. A blob's name
 * contains its owner; a line's place is part of its encryption, so that lines cannot be exchanged.
 */
export function createConversationStore(options: ConversationStoreOptions): ConversationStore {
  const { container, clock, encryption, retentionDays, random = randomBytes } = options;
  const isExpired = (changedAt: number) => now() - changedAt > retentionDays * DAY_MS;
  const now = () => container.now() ?? clock.now();
  const newId = (kind: ConversationKind) => `${kind}_${ageOf(now())}${random(16).toString('hex')}`;
  const idOf = ({ id, kind }: NewConversation) => id ?? newId(kind);
  const blobs = createLeasedBlobs(options, { now, isExpired });

  async function remove(place: Place): Promise<boolean> {
    const lease = await container.acquireExistingLease(blobName(place));
    if (lease === 'busy') throw sessionBusy();
    if (lease === 'missing') return false;
    // A conversation whose key is gone can be deleted.
    const found = (await readBlob(place, options).catch(() => undefined))?.view();
    if (found?.activeRun === undefined) {
      await lease.remove();
      return lease.bytes > 0;
    }
    await lease.release();
    if (!(await blobs.isFreed(place, found))) throw sessionBusy();
    return remove(place);
  }
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
      return openConversation(place, { lease, reader, encryption, now });
    },
    async find(owner, id) {
      if (!isConversationId(id)) return undefined;
      const found = (await readBlob({ owner, id }, options))?.view();
      return found === undefined || isExpired(found.changedAt) ? undefined : found;
    },
    list: (owner, page) => list({ owner, ...page }, { container, isExpired }),
    async open(owner, id) {
      if (!isConversationId(id)) return undefined;
      const place = { owner, id };
      const opened = await blobs.open(place);
      if (opened === undefined || opened === 'busy') return opened;
      const { conversation } = opened;
      if (conversation.activeRun === undefined) return opened;
      await opened.release();
      return (await blobs.isFreed(place, conversation)) ? blobs.open(place) : 'busy';
    },
    remove: async (owner, id) => isConversationId(id) && remove({ owner, id }),
    endRun: (owner, id, change) => blobs.endRun({ owner, id }, change),
  };
}

interface ConversationTimes {
  readonly now: () => number;
  readonly isExpired: (changedAt: number) => boolean;
}

/** The conversations that can be changed, one process at a time. */
function createLeasedBlobs(
  options: ConversationStoreOptions,
  { now, isExpired }: ConversationTimes,
) {
  const { container, encryption, endActiveRun } = options;

  async function openLeased(place: Place, lease: BlobLease): Promise<OpenConversation | undefined> {
    const reader = await readBlob(place, options);
    const found = reader?.view();
    if (reader === undefined || found === undefined || isExpired(found.changedAt)) return undefined;
    return openConversation(place, { lease, reader, encryption, now });
  }
  /** Also while a run in the background has the conversation. */
  async function open(place: Place): Promise<OpenConversation | 'busy' | undefined> {
    const lease = await container.acquireExistingLease(blobName(place));
    if (lease === 'busy') return 'busy';
    if (lease === 'missing') return undefined;
    const opened = await openLeased(place, lease).catch(async (error: unknown) => {
      await lease.release();
      throw error;
    });
    if (opened === undefined) await lease.release();
    return opened;
  }
  async function endRun(place: Place, change: RunChange): Promise<void> {
    for (let attempt = 1; attempt <= END_ATTEMPTS; attempt += 1) {
      const opened = await open(place);
      if (opened === undefined) return;
      if (opened !== 'busy') {
        const isActive = opened.conversation.activeRun === change.run;
        try {
          if (isActive) await opened.endRun(change);
        } finally {
          await opened.release();
        }
        return;
      }
      await delay(END_RETRY_MS);
    }
    throw sessionBusy();
  }
  return {
    open,
    endRun,
    /** Whether the run in the background is over, and the conversation is free. */
    async isFreed(place: Place, { activeRun: run, changedAt }: Conversation): Promise<boolean> {
      if (run === undefined) return true;
      const state = (await endActiveRun?.(place, run)) ?? 'active';
      if (state !== 'gone') return state === 'ended';
      if (now() - changedAt < GONE_AFTER_MS) return false;
      await endRun(place, { run, items: [] });
      return true;
    },
  };
}

interface CreateOptions {
  readonly options: ConversationStoreOptions;
  readonly now: () => number;
}

async function create(
  { metadata = {}, items = [], run, ...place }: NewConversation & Place,
  { options, now }: CreateOptions,
): Promise<ConversationReader> {
  const reader = createConversationReader(place.id);
  const entries: ConversationEntry[] = [{ type: 'conversation', metadata, at: now() }];
  if (items.length > 0) entries.push({ type: 'items', items, at: now() });
  if (run !== undefined) entries.push({ type: 'run-started', ...run, at: now() });
  const { encryption } = options;
  const lines = entries.map((entry) => sealedLine(entry, { reader, place, encryption }));
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
