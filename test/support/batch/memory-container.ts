import type {
  BlobContainer,
  BlobMetadata,
  BlobLease,
  NewBlob,
} from '../../../shared/storage/blob-container.ts';

interface StoredBlob {
  readonly content: Buffer;
  readonly metadata: BlobMetadata;
  readonly version: number;
  readonly changedAt: number;
}

export interface MemoryContainer extends BlobContainer {
  readonly blobs: ReadonlyMap<string, StoredBlob>;
  /** Writes a blob directly, as an earlier process would have. */
  put(name: string, text: string): void;
  /** Ends the lease, as storage does if it is not renewed. */
  loseLease(name: string): void;
  isLeased(name: string): boolean;
  /** The next append to each blob with this many appends is refused as one too many. */
  limitAppends(max: number): void;
  /** Every call fails from now on, until it is called with undefined. */
  breakWith(error: Error | undefined): void;
}

/** A container of blobs in memory, as strict about conditions and leases as the real one. */
export function createMemoryContainer(): MemoryContainer {
  const blobs = new Map<string, StoredBlob>();
  const leases = new Map<string, AbortController>();
  const appends = new Map<string, number>();
  let maxAppends = Number.POSITIVE_INFINITY;
  let failure: Error | undefined;
  let versions = 0;
  async function reach(): Promise<void> {
    await Promise.resolve();
    if (failure !== undefined) throw failure;
  }
  function store(name: string, content: Buffer, metadata: BlobMetadata): void {
    versions += 1;
    blobs.set(name, { content, metadata, version: versions, changedAt: Date.now() });
  }
  async function write(name: string, blob: NewBlob): Promise<void> {
    store(name, await bytesOf(blob.content), blob.metadata ?? {});
  }
  function leaseOf(name: string): BlobLease {
    const lost = new AbortController();
    leases.set(name, lost);
    const found = (): StoredBlob => {
      const blob = blobs.get(name);
      if (leases.get(name) !== lost || blob === undefined) throw new Error('The lease is gone');
      return blob;
    };
    return {
      bytes: blobs.get(name)?.content.byteLength ?? 0,
      appends: appends.get(name) ?? 0,
      metadata: blobs.get(name)?.metadata ?? {},
      lostSignal: lost.signal,
      async append(lines, position) {
        await reach();
        const { content, metadata } = found();
        if (content.byteLength !== position) throw new Error('The position is wrong');
        const count = appends.get(name) ?? 0;
        if (count >= maxAppends) return 'full';
        appends.set(name, count + 1);
        store(name, Buffer.concat([content, Buffer.from(lines)]), metadata);
        return 'appended';
      },
      async restart(metadata) {
        await reach();
        found();
        appends.delete(name);
        store(name, Buffer.alloc(0), metadata);
      },
      async setMetadata(metadata) {
        await reach();
        store(name, found().content, metadata);
      },
      async remove() {
        await reach();
        found();
        blobs.delete(name);
        leases.delete(name);
      },
      async release() {
        if (leases.get(name) === lost) leases.delete(name);
      },
    };
  }
  return {
    blobs,
    async read(name) {
      await reach();
      const blob = blobs.get(name);
      if (blob === undefined) return undefined;
      return { text: blob.content.toString('utf8'), version: String(blob.version) };
    },
    async create(name, blob) {
      await reach();
      if (blobs.has(name)) return false;
      await write(name, blob);
      return true;
    },
    async replace(name, { version, ...blob }) {
      await reach();
      if (String(blobs.get(name)?.version) !== version) return false;
      await write(name, blob);
      return true;
    },
    async properties(name) {
      await reach();
      const blob = blobs.get(name);
      return blob === undefined
        ? undefined
        : { metadata: blob.metadata, bytes: blob.content.byteLength, changedAt: blob.changedAt };
    },
    async setMetadata(name, metadata) {
      await reach();
      const blob = blobs.get(name);
      if (blob === undefined) throw new Error('The blob does not exist');
      store(name, blob.content, metadata);
    },
    async *list(prefix) {
      await reach();
      for (const name of [...blobs.keys()].toSorted()) {
        const blob = blobs.get(name);
        if (!name.startsWith(prefix) || blob === undefined) continue;
        const { metadata, content, changedAt } = blob;
        const bytes = content.byteLength;
        yield { name, metadata, bytes, changedAt, isLeased: leases.has(name) };
      }
    },
    async stream(name, range) {
      await reach();
      const content = blobs.get(name)?.content;
      return content === undefined
        ? undefined
        : inPieces(content.subarray(range?.start, range?.end));
    },
    async remove(name) {
      await reach();
      if (leases.has(name)) throw new Error('The blob is leased');
      return blobs.delete(name);
    },
    async acquireLease(name) {
      await reach();
      if (leases.has(name)) return 'busy';
      if (!blobs.has(name)) store(name, Buffer.alloc(0), {});
      return leaseOf(name);
    },
    async acquireExistingLease(name) {
      await reach();
      if (!blobs.has(name)) return 'missing';
      return leases.has(name) ? 'busy' : leaseOf(name);
    },
    async createJournal(name, lines) {
      await reach();
      if (blobs.has(name)) return false;
      store(name, Buffer.from(lines), {});
      return true;
    },
    now: () => undefined,
    ping: () => reach(),
    put: (name, text) => store(name, Buffer.from(text), blobs.get(name)?.metadata ?? {}),
    loseLease(name) {
      const lease = leases.get(name);
      leases.delete(name);
      lease?.abort(new Error('The lease on the job was lost'));
    },
    isLeased: (name) => leases.has(name),
    limitAppends(max) {
      maxAppends = max;
    },
    breakWith(error) {
      failure = error;
    },
  };
}

async function bytesOf(content: NewBlob['content']): Promise<Buffer> {
  if (typeof content === 'string') return Buffer.from(content);
  return Buffer.concat((await Array.fromAsync(content)).map((chunk) => Buffer.from(chunk)));
}

/** Small and uneven, so that nothing may depend on where a chunk ends. */
async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.byteLength; at += 1_013) yield content.subarray(at, at + 1_013);
}
