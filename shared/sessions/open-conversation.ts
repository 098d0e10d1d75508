import {
  type Conversation,
  type ConversationEntry,
  type ConversationReader,
  lineContext,
  type Place,
  type RunChange,
  type StoredItem,
} from './conversation-log.ts';
import { ServiceError } from '../errors.ts';
import { toJsonLine } from '../json.ts';
import type { BlobLease } from '../storage/blob-container.ts';
import { createGroupCommit } from '../storage/group-commit.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';

/** Far more than any model reads; the whole conversation is in memory during a run. */
const MAX_BYTES = 16_777_216;

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
  /** Notes a run in the background, which has the conversation until its end is stored. */
  beginRun(change: RunChange): Promise<void>;
  /** Adds the items of a run that has begun, and frees the conversation. */
  endRun(change: RunChange): Promise<void>;
  setMetadata(metadata: Readonly<Record<string, string>>): Promise<void>;
  release(): Promise<void>;
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
  readonly encryption: TextEncryption;
  readonly now: () => number;
}

export function openConversation(
  place: Place,
  { lease, reader, encryption, now }: OpenOptions,
): OpenConversation {
  let bytes = lease.bytes;
  const journal = createGroupCommit({
    async write(lines, position) {
      if ((await lease.append(lines, position)) === 'full') throw conversationFull();
    },
    position: lease.bytes,
  });
  async function write(entry: ConversationEntry): Promise<void> {
    const line = sealedLine(entry, { reader, place, encryption });
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
    beginRun: ({ run, items }) => write({ type: 'run-started', run, items, at: now() }),
    endRun: ({ run, items }) => write({ type: 'run-ended', run, items, at: now() }),
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
  readonly encryption: TextEncryption;
}

/** The next line of the blob. The reader counts lines, also those that a failed write loses. */
export function sealedLine(
  entry: ConversationEntry,
  { reader, place, encryption }: LineOptions,
): string {
  const context = lineContext(place, reader.lines());
  const text = toJsonLine(entry);
  reader.add(text);
  return `${encryption.seal(text, context)}\n`;
}

export function viewOf(reader: ConversationReader): Conversation {
  const conversation = reader.view();
  if (conversation === undefined) throw new TypeError('Cannot read the first line');
  return conversation;
}
