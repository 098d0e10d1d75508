export interface GroupCommitOptions {
  /** Writes the lines at the position; resolves when they are durable. */
  readonly write: (lines: string, position: number) => Promise<void>;
  /** Bytes that are already written. */
  readonly position: number;
}

export interface GroupCommit {
  /** Resolves when the line is durable; rejects if its write failed. */
  add(line: string): Promise<void>;
}

interface PendingLine {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Azure Storage accepts 4 MiB in one append; a UTF-16 character takes at most 3 bytes. */
const MAX_WRITE_CHARS = 1_000_000;

/**
 * Runs one write at a time, in order; lines that arrive during a write share the next one. A fast
 * job makes a few large writes, a slow one makes a small write for each line. After a failed write
 * the end position is unknown, so every later line fails too.
 */
export function createGroupCommit({ write, position }: GroupCommitOptions): GroupCommit {
  let pending: PendingLine[] = [];
  let isWriting = false;
  let end = position;
  let failure: { readonly error: unknown } | undefined;

  function takeGroup(): PendingLine[] {
    let chars = 0;
    const count = pending.findIndex((next) => {
      chars += next.line.length;
      return chars > MAX_WRITE_CHARS;
    });
    const group = pending.slice(0, count === -1 ? pending.length : Math.max(1, count));
    pending = pending.slice(group.length);
    return group;
  }

  async function writeGroup(group: PendingLine[]): Promise<void> {
    const lines = group.map(({ line }) => line).join('');
    try {
      if (failure !== undefined) throw failure.error;
      await write(lines, end);
      end += Buffer.byteLength(lines);
      for (const { resolve } of group) resolve();
    } catch (error) {
      failure = { error };
      for (const { reject } of group) reject(error);
    }
  }

  async function drain(): Promise<void> {
    isWriting = true;
    while (pending.length > 0) await writeGroup(takeGroup());
    isWriting = false;
  }

  return {
    add(line) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      pending.push({ line, resolve, reject });
      if (!isWriting) void drain();
      return promise;
    },
  };
}
