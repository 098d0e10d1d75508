/** Small facts beside a blob that one listing of many blobs brings along. ASCII only. */
export type BlobProperties = Readonly<Record<string, string>>;

export interface ListedBlob {
  readonly name: string;
  readonly facts: BlobProperties;
  readonly bytes: number;
  /** Somebody holds it at this moment. */
  readonly held: boolean;
}

/** One container of blobs, as far as the batch engine needs it. */
export interface BlobContainer {
  read(name: string): Promise<{ readonly text: string; readonly version: string } | undefined>;
  /** Resolves to false when the blob is there already; it is left as it is then. */
  create(name: string, content: NewBlob): Promise<boolean>;
  /** Resolves to false when somebody else changed the blob since that version. */
  replace(name: string, content: NewBlob & { readonly version: string }): Promise<boolean>;
  facts(name: string): Promise<Omit<ListedBlob, 'name' | 'held'> | undefined>;
  list(prefix: string): AsyncIterable<ListedBlob>;
  /** The bytes from `start` to before `end`, or all; undefined when there is no such blob. */
  stream(name: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>;
  remove(name: string): Promise<boolean>;
  /** Takes the sole right to append to a blob, creating it when it is new. */
  hold(name: string): Promise<BlobLease | 'busy'>;
  /** The storage's own time, in milliseconds since the epoch; undefined before its first answer. */
  now(): number | undefined;
  /** @throws when the storage cannot be reached */
  ping(signal: AbortSignal): Promise<void>;
}

export interface NewBlob {
  readonly content: string | AsyncIterable<string | Uint8Array>;
  readonly facts?: BlobProperties;
  readonly contentType?: string;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BlobLease {
  /** Length of what was there when the hold began. */
  readonly bytes: number;
  /** Aborts when the hold was lost: somebody else may write now, and we cannot. */
  readonly lost: AbortSignal;
  /** Appends once, however often the client library repeats it. */
  append(lines: string, position: number): Promise<void>;
  note(facts: BlobProperties): Promise<void>;
  release(): Promise<void>;
}
