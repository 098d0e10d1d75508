import { createHash } from 'node:crypto';
import type { BlobContainer, BlobLease, ByteRange } from '../storage/blob-container.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';
import {
  applyLine,
  EMPTY_JOURNAL,
  type JournalLine,
  type JournalView,
  parseEnd,
  parseLine,
  parseRecord,
  type RunEnd,
  type RunRecord,
  type RunRef,
} from './run-record.ts';

/** What one listing shows of a run. */
export interface RunState {
  readonly hasEnd: boolean;
  /** Undefined until the first delivery. */
  readonly journal: JournalState | undefined;
}

export interface JournalState {
  readonly bytes: number;
  /** A process works on the run. */
  readonly isLeased: boolean;
  /** Epoch milliseconds. */
  readonly changedAt: number;
}

export interface RunStore {
  create(record: RunRecord): Promise<void>;
  record(ref: RunRef): Promise<RunRecord | undefined>;
  /** The first id by its characters that begins so. */
  firstId(owner: string, idPrefix: string): Promise<string | undefined>;
  /** Undefined if there is no such run. */
  state(ref: RunRef): Promise<RunState | undefined>;
  /** Stores the end. Resolves to false if there is one: it stays as it is. */
  finish(ref: RunRef, end: RunEnd): Promise<boolean>;
  end(ref: RunRef): Promise<RunEnd | undefined>;
  /** The whole lines between two positions of the journal, and where they end. */
  lines(
    ref: RunRef,
    range: { readonly start: number; readonly end: number },
  ): Promise<{ readonly lines: readonly JournalLine[]; readonly end: number }>;
  /** What the journal contains now. */
  view(ref: RunRef): Promise<JournalView>;
  acquireJournal(ref: RunRef): Promise<BlobLease | 'busy'>;
  /** The text of a line, with its line feed. */
  encodeLine(ref: RunRef, line: JournalLine): string;
  /** Deletes the record and the journal, and the end unless it has to stay for a running process. */
  remove(ref: RunRef, options: { readonly keepsEnd: boolean }): Promise<void>;
}

/** The queue of runs, from which any instance can receive them. */
export interface RunQueue {
  send(ref: RunRef, options: { readonly delaySeconds: number }): Promise<void>;
  /** At most `max` messages that wait now, hidden from others for that time. */
  receive(max: number, hiddenSeconds: number): Promise<readonly RunMessage[]>;
}

export interface RunMessage {
  readonly text: string;
  readonly remove: () => Promise<void>;
}

type Part = 'record' | 'journal' | 'end';

/** Owner ids are hashed once more, so that their characters do not matter in a path. */
function ownerFolder(owner: string): string {
  return createHash('sha256').update(owner).digest('hex').slice(0, 32);
}

function folderOf({ owner, id }: RunRef): string {
  return `${ownerFolder(owner)}/${id}/`;
}

function nameOf(ref: RunRef, part: Part): string {
  return `${folderOf(ref)}${part}`;
}

export interface RunStoreOptions {
  readonly container: BlobContainer;
  readonly encryption: TextEncryption;
}

/** Stores runs as blobs: record and end once each, the journal under a lease. */
export function createRunStore({ container, encryption }: RunStoreOptions): RunStore {
  async function create(ref: RunRef, part: Part, value: unknown): Promise<boolean> {
    const name = nameOf(ref, part);
    const content = encryption.seal(JSON.stringify(value), name);
    return container.create(name, { content, contentType: 'text/plain' });
  }
  async function read(ref: RunRef, part: Part): Promise<string | undefined> {
    const name = nameOf(ref, part);
    const found = await container.read(name);
    return found === undefined ? undefined : encryption.open(found.text, name);
  }
  async function lines(ref: RunRef, range: ByteRange): ReturnType<RunStore['lines']> {
    const name = nameOf(ref, 'journal');
    const chunks = await container.stream(name, range);
    const bytes = Buffer.concat(await Array.fromAsync(chunks ?? []));
    const length = bytes.lastIndexOf('\n') + 1;
    const texts = bytes.toString('utf8', 0, length).split('\n');
    const known = texts.flatMap((text) => openLine(encryption, { text, name }) ?? []);
    return { lines: known, end: range.start + length };
  }
  return {
    create: async (record) => void (await create(record, 'record', record)),
    async record(ref) {
      const text = await read(ref, 'record');
      return text === undefined ? undefined : parseRecord(text);
    },
    async firstId(owner, idPrefix) {
      for await (const { name } of container.list(`${ownerFolder(owner)}/${idPrefix}`)) {
        return name.split('/')[1];
      }
      return undefined;
    },
    state: (ref) => readState(container, ref),
    finish: (ref, end) => create(ref, 'end', end),
    async end(ref) {
      const text = await read(ref, 'end');
      return text === undefined ? undefined : parseEnd(text);
    },
    lines,
    async view(ref) {
      const bytes = (await readState(container, ref))?.journal?.bytes ?? 0;
      return (await lines(ref, { start: 0, end: bytes })).lines.reduce(applyLine, EMPTY_JOURNAL);
    },
    acquireJournal: (ref) => container.acquireLease(nameOf(ref, 'journal')),
    encodeLine: (ref, line) => `${encryption.seal(JSON.stringify(line), nameOf(ref, 'journal'))}\n`,
    async remove(ref, { keepsEnd }) {
      await container.remove(nameOf(ref, 'record'));
      if (keepsEnd) return;
      await container.remove(nameOf(ref, 'journal'));
      await container.remove(nameOf(ref, 'end'));
    },
  };
}

/** A process that crashed within a write may leave a part of a line, which counts as not written. */
function openLine(
  encryption: TextEncryption,
  { text, name }: { readonly text: string; readonly name: string },
): JournalLine | undefined {
  if (text === '') return undefined;
  try {
    return parseLine(encryption.open(text, name));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readState(container: BlobContainer, ref: RunRef): Promise<RunState | undefined> {
  let hasRecord = false;
  let hasEnd = false;
  let journal: JournalState | undefined;
  for await (const { name, ...found } of container.list(folderOf(ref))) {
    if (name === nameOf(ref, 'record')) hasRecord = true;
    if (name === nameOf(ref, 'end')) hasEnd = true;
    if (name === nameOf(ref, 'journal')) journal = found;
  }
  return hasRecord ? { hasEnd, journal } : undefined;
}
