import { describe, expect, it } from 'vitest';
import { createGroupCommit } from '../../../shared/storage/group-commit.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Write {
  readonly lines: string;
  readonly position: number;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/** A commit whose writes the test ends. */
function slowCommit(position = 0) {
  const writes: Write[] = [];
  const commit = createGroupCommit({
    position,
    write: (lines, at) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      writes.push({ lines, position: at, done: resolve, fail: reject });
      return promise;
    },
  });
  return { commit, writes };
}

describe('createGroupCommit', () => {
  it('writes what arrives during a write together, in order, behind it', async () => {
    const { commit, writes } = slowCommit(100);
    const first = commit.add('a\n');
    const later = [commit.add('bä\n'), commit.add('c\n'), commit.add('d\n')];
    writes[0]?.done();
    await first;
    await turn();
    writes[1]?.done();
    await Promise.all(later);

    expect(writes.map(({ lines, position }) => [lines, position])).toEqual([
      ['a\n', 100],
      ['bä\nc\nd\n', 102],
    ]);
  });

  it('resolves a line when its own write is done, not earlier', async () => {
    const { commit, writes } = slowCommit();
    const durable: string[] = [];
    const first = commit.add('a\n').then(() => durable.push('a'));
    const second = commit.add('b\n').then(() => durable.push('b'));

    writes[0]?.done();
    await first;
    await turn();

    expect(durable).toEqual(['a']);
    writes[1]?.done();
    await second;
    expect(durable).toEqual(['a', 'b']);
  });

  it('rejects waiting and later lines after a failed write', async () => {
    const { commit, writes } = slowCommit();
    const lines = [commit.add('a\n'), commit.add('b\n')];
    writes[0]?.fail(new Error('storage is away'));

    const outcomes = await Promise.allSettled(lines);
    const late = await Promise.allSettled([commit.add('c\n')]);

    expect([...outcomes, ...late].map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    expect(writes).toHaveLength(1);
  });

  it('keeps a write within the limit of storage, and never splits a line', async () => {
    const sizes: number[] = [];
    const commit = createGroupCommit({
      position: 0,
      write: async (lines) => {
        sizes.push(lines.length);
      },
    });
    const line = 'x'.repeat(400_000);

    await Promise.all([
      ...Array.from({ length: 6 }, () => commit.add(line)),
      commit.add('x'.repeat(1_500_000)),
      commit.add('end'),
    ]);

    expect(sizes).toEqual([400_000, 800_000, 800_000, 400_000, 1_500_000, 3]);
  });

  it('starts again after it was idle', async () => {
    const positions: number[] = [];
    const commit = createGroupCommit({
      position: 0,
      write: async (_lines, position) => {
        positions.push(position);
      },
    });

    await commit.add('a\n');
    await commit.add('b\n');

    expect(positions).toEqual([0, 2]);
  });
});
