import type {
  BlobContainer,
  BlobProperties,
  BlobLease,
  NewBlob,
} from '../../../shared/storage/blob-container.ts';

interface StoredBlob {
  readonly content: Buffer;
  readonly facts: BlobProperties;
  readonly version: number;
}

export interface MemoryArea extends BlobContainer {
  readonly blobs: ReadonlyMap<string, StoredBlob>;
  /** Writes as an earlier process would have. */
  put(name: string, text: string): void;
  /** Takes the hold away, as storage does when a lease was not renewed. */
  loseHold(name: string): void;
  isHeld(name: string): boolean;
  /** From now on everything fails, until it is called with undefined. */
  breakWith(error: Error | undefined): void;
}

/** A container of blobs in memory, as strict about conditions and holds as the real one. */
export function createMemoryArea(): MemoryArea {
  const blobs = new Map<string, StoredBlob>();
  const holds = new Map<string, AbortController>();
  let failure: Error | undefined;
  let versions = 0;
  async function reach(): Promise<void> {
    await Promise.resolve();
    if (failure !== undefined) throw failure;
  }
  function store(name: string, content: Buffer, facts: BlobProperties): void {
    versions += 1;
    blobs.set(name, { content, facts, version: versions });
  }
  async function write(name: string, blob: NewBlob): Promise<void> {
    store(name, await bytesOf(blob.content), blob.facts ?? {});
  }
  function holdOn(name: string): BlobLease {
    const lost = new AbortController();
    holds.set(name, lost);
    const found = (): StoredBlob => {
      const blob = blobs.get(name);
      if (holds.get(name) !== lost || blob === undefined) throw new Error('The hold is gone');
      return blob;
    };
    return {
      bytes: blobs.get(name)?.content.byteLength ?? 0,
      lost: lost.signal,
      async append(lines, position) {
        await reach();
        const { content, facts } = found();
        if (content.byteLength !== position) throw new Error('The position is wrong');
        store(name, Buffer.concat([content, Buffer.from(lines)]), facts);
      },
      async note(facts) {
        await reach();
        store(name, found().content, facts);
      },
      async release() {
        if (holds.get(name) === lost) holds.delete(name);
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
    async facts(name) {
      await reach();
      const blob = blobs.get(name);
      return blob === undefined ? undefined : { facts: blob.facts, bytes: blob.content.byteLength };
    },
    async *list(prefix) {
      await reach();
      for (const name of [...blobs.keys()].toSorted()) {
        const blob = blobs.get(name);
        if (!name.startsWith(prefix) || blob === undefined) continue;
        const { facts, content } = blob;
        yield { name, facts, bytes: content.byteLength, held: holds.has(name) };
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
      return blobs.delete(name);
    },
    async hold(name) {
      await reach();
      if (holds.has(name)) return 'busy';
      if (!blobs.has(name)) store(name, Buffer.alloc(0), {});
      return holdOn(name);
    },
    now: () => undefined,
    ping: () => reach(),
    put: (name, text) => store(name, Buffer.from(text), blobs.get(name)?.facts ?? {}),
    loseHold(name) {
      const hold = holds.get(name);
      holds.delete(name);
      hold?.abort(new Error('The hold on the job was lost'));
    },
    isHeld: (name) => holds.has(name),
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
