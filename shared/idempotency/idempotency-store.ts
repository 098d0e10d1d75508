import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Clock } from '../clock.ts';
import { parseJson, toJsonLine } from '../json.ts';
import type { BlobContainer, BlobLease } from '../storage/blob-container.ts';
import { createGroupCommit } from '../storage/group-commit.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';

/** The container, as deployment and local start name it. */
export const IDEMPOTENCY_CONTAINER = 'idempotency';

/** A response that can be sent again. */
export interface StoredAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The answers of requests with an `Idempotency-Key`, by owner and key, for 24 hours. */
export interface IdempotencyStore {
  /**
   * Claims a key for one request. The claim is renewed until it ends; after a crash it ends within
   * 15 s. `busy`: another request has it.
   */
  claim(owner: string, key: string): Promise<KeyLease | 'busy'>;
  /** What is known of the request that has or had the key; undefined if it has not started. */
  find(owner: string, key: string): Promise<FoundRequest | undefined>;
}

/** A claimed key. It must end with `complete` or `release`. */
export interface KeyLease {
  /** The answer that was stored before; then nothing else may be done than to release the claim. */
  readonly answered: Answered | undefined;
  /** Records which request has the key. */
  start(fingerprint: string): Promise<void>;
  /** Stores the answer and ends the claim. An answer above 16 MiB is not stored. */
  complete(answer: StoredAnswer): Promise<void>;
  /** Ends the claim. The next request with the key runs again if no answer is stored. */
  release(): Promise<void>;
}

interface FoundRequest {
  /** Tells requests apart. */
  readonly fingerprint: string;
  /** Undefined while there is none, and if its time is over. */
  readonly answer: StoredAnswer | undefined;
}

interface Answered extends FoundRequest {
  readonly answer: StoredAnswer;
}

export interface IdempotencyStoreOptions {
  readonly container: BlobContainer;
  readonly encryption: TextEncryption;
  readonly clock: Clock;
}

/** How long an answer counts. */
const KEPT_MS = 24 * 3_600_000;
/** Twice the longest answer of a model; a longer one is not worth its storage. */
export const MAX_ANSWER_CHARS = 16_777_216;
/** Below the limit of one append, also when each character has three bytes and is encrypted. */
const PART_CHARS = 500_000;

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('started'), fingerprint: z.string(), at: z.number() }),
  z.object({ type: z.literal('part'), text: z.string() }),
  z.object({
    type: z.literal('answered'),
    status: z.int(),
    headers: z.record(z.string(), z.string()),
    at: z.number(),
  }),
]);

type Entry = z.infer<typeof entrySchema>;

/**
 * Stores each key as one append-only blob of sealed lines; its lease is the claim. A key whose time
 * is over continues in the same blob, so that two requests cannot claim it at once.
 */
export function createIdempotencyStore(options: IdempotencyStoreOptions): IdempotencyStore {
  const { container, clock } = options;
  const now = () => container.now() ?? clock.now();
  return {
    async claim(owner, key) {
      const name = blobName(owner, key);
      const lease = await container.acquireLease(name);
      if (lease === 'busy') return 'busy';
      try {
        const entries = lease.bytes === 0 ? [] : await readEntries(name, options);
        return createClaim({ lease, name, entries, options, now });
      } catch (error) {
        await lease.release();
        throw error;
      }
    },
    async find(owner, key) {
      const entries = await readEntries(blobName(owner, key), options);
      const started = entries.findLast((entry) => entry.type === 'started');
      if (started === undefined) return undefined;
      return { fingerprint: started.fingerprint, answer: answeredBy(entries, now())?.answer };
    },
  };
}

interface ClaimOptions {
  readonly lease: BlobLease;
  readonly name: string;
  readonly entries: readonly Entry[];
  readonly options: IdempotencyStoreOptions;
  readonly now: () => number;
}

function createClaim({ lease, name, entries, options, now }: ClaimOptions): KeyLease {
  let count = entries.length;
  const journal = createGroupCommit({
    async write(lines, position) {
      if ((await lease.append(lines, position)) === 'full') throw new TypeError('Cannot append');
    },
    position: lease.bytes,
  });
  function add(entry: Entry): Promise<void> {
    const context = lineContext(name, count);
    count += 1;
    return journal.add(`${options.encryption.seal(toJsonLine(entry), context)}\n`);
  }
  return {
    answered: answeredBy(entries, now()),
    start: (fingerprint) => add({ type: 'started', fingerprint, at: now() }),
    async complete({ status, headers, body }) {
      try {
        if (body.length > MAX_ANSWER_CHARS) return;
        const parts = partsOf(body).map((text) => add({ type: 'part', text }));
        await Promise.all([...parts, add({ type: 'answered', status, headers, at: now() })]);
      } finally {
        await lease.release();
      }
    },
    release: () => lease.release(),
  };
}

function answeredBy(entries: readonly Entry[], now: number): Answered | undefined {
  const from = entries.findLastIndex(({ type }) => type === 'started');
  const started = entries[from];
  const last = entries.at(-1);
  if (started?.type !== 'started' || last?.type !== 'answered') return undefined;
  if (now - last.at > KEPT_MS) return undefined;
  const { status, headers } = last;
  const texts = entries.slice(from).map((entry) => (entry.type === 'part' ? entry.text : ''));
  return { fingerprint: started.fingerprint, answer: { status, headers, body: texts.join('') } };
}

async function readEntries(
  name: string,
  { container, encryption }: IdempotencyStoreOptions,
): Promise<readonly Entry[]> {
  const found = await container.read(name);
  const lines = found?.text.split('\n').slice(0, -1) ?? [];
  return lines.map((line, index) =>
    entrySchema.parse(parseJson(encryption.open(line, lineContext(name, index)))),
  );
}

/** Parts of a text. No part ends within a character, because a lone half cannot be encoded. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + PART_CHARS, text.length);
    const unit = text.charCodeAt(end - 1);
    if (end < text.length && unit >= 0xd800 && unit <= 0xdbff) end -= 1;
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}

function lineContext(name: string, index: number): string {
  return `idempotency\n${name}\n${index}`;
}

/** Owners and keys can contain anything, so the name is made of their hashes. */
function blobName(owner: string, key: string): string {
  return `${hash(owner).slice(0, 32)}/${hash(key)}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
