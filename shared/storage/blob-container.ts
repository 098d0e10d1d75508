/** Short key/value pairs stored with a blob and returned by a listing. ASCII only. */
export type BlobMetadata = Readonly<Record<string, string>>;

export interface BlobProperties {
  readonly metadata: BlobMetadata;
  readonly bytes: number;
  /** The last write in milliseconds since the epoch, by the clock of the storage server. */
  readonly changedAt: number;
}

export interface ListedBlob extends BlobProperties {
  readonly name: string;
  /** A process has the lease of this blob now. */
  readonly isLeased: boolean;
}

/** One container of blobs: what the batch engine needs of it. */
export interface BlobContainer {
  read(name: string): Promise<{ readonly text: string; readonly version: string } | undefined>;
  /** Resolves to false if the blob exists; the existing blob stays unchanged. */
  create(name: string, content: NewBlob): Promise<boolean>;
  /** Resolves to false if the blob was changed since that version. */
  replace(name: string, content: NewBlob & { readonly version: string }): Promise<boolean>;
  properties(name: string): Promise<BlobProperties | undefined>;
  list(prefix: string): AsyncIterable<ListedBlob>;
  /** Bytes from `start` to before `end`, or all of them; undefined if the blob does not exist. */
  stream(name: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Replaces the metadata of a blob without a lease. */
  setMetadata(name: string, metadata: BlobMetadata): Promise<void>;
  /** Resolves to false if the blob does not exist. */
  remove(name: string): Promise<boolean>;
  /** Acquires the exclusive right to append to a blob, and creates the blob if it is new. */
  acquireLease(name: string): Promise<BlobLease | 'busy'>;
  /** The same for a blob that must exist. */
  acquireExistingLease(name: string): Promise<BlobLease | 'busy' | 'missing'>;
  /**
   * Creates a blob that can be appended to, with its first lines. Resolves to false if it exists. A
   * crash in between leaves an empty blob.
   */
  createJournal(name: string, lines: string): Promise<boolean>;
  /** The storage server's time in epoch milliseconds; undefined before its first response. */
  now(): number | undefined;
  /** @throws ServiceError storage_unavailable or config_unavailable */
  ping(signal: AbortSignal): Promise<void>;
}

export interface NewBlob {
  readonly content: string | AsyncIterable<string | Uint8Array>;
  readonly metadata?: BlobMetadata;
  readonly contentType?: string;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BlobLease {
  /** Length of the blob when the lease was acquired. */
  readonly bytes: number;
  /** Appends that the blob contained then. */
  readonly appends: number;
  readonly metadata: BlobMetadata;
  /** Aborts when the lease is lost: another process may write now, and this one cannot. */
  readonly lostSignal: AbortSignal;
  /**
   * Appends exactly once, even if the storage client repeats the request. Resolves to `full` if the
   * blob takes no further append.
   */
  append(lines: string, position: number): Promise<'appended' | 'full'>;
  /** Empties the blob and sets its metadata in one step; the appends count from zero again. */
  restart(metadata: BlobMetadata): Promise<void>;
  setMetadata(metadata: BlobMetadata): Promise<void>;
  /** Deletes the blob, and ends the lease with it. */
  remove(): Promise<void>;
  release(): Promise<void>;
}
