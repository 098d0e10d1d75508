export interface GroupCommitOptions {
  /** Writes the lines at the position; resolves when they are durable. */
  readonly write: (lines: string, position: number) => Promise<void>;
  /** Bytes that are already written. */
  readonly position: number;
}

export interface GroupCommit {
  /** Resolves when the line is durable; rejects when its write failed. */
  add(line: string): Promise<void>;
}

interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Storage takes 4 MiB in one append. */
const MAX_WRITE_CHARS = 1_000_000;

/**
 * Writes one at a time and in order; lines that arrive during a write go together into the next.
 * So a fast job costs a few large writes and a slow one costs one small write for each line. After
 * a failed write the position is unknown, and every later line fails too.
 */
export function createGroupCommit({ write, position }: GroupCommitOptions): GroupCommit {
  let waiting: Waiting[] = [];
  let writing = false;
  let end = position;
  let broken: { readonly error: unknown } | undefined;

  function take(): Waiting[] {
    let chars = 0;
    const count = waiting.findIndex((next) => {
      chars += next.line.length;
      return chars > MAX_WRITE_CHARS;
    });
    const group = waiting.slice(0, count === -1 ? waiting.length : Math.max(1, count));
    waiting = waiting.slice(group.length);
    return group;
  }

  async function writeGroup(group: Waiting[]): Promise<void> {
    const lines = group.map(({ line }) => line).join('');
    try {
      if (broken !== undefined) throw broken.error;
      await write(lines, end);
      end += Buffer.byteLength(lines);
      for (const { resolve } of group) resolve();
    } catch (error) {
      broken = { error };
      for (const { reject } of group) reject(error);
    }
  }

  async function drain(): Promise<void> {
    writing = true;
    while (waiting.length > 0) await writeGroup(take());
    writing = false;
  }

  return {
    add(line) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ line, resolve, reject });
      if (!writing) void drain();
      return promise;
    },
  };
}
