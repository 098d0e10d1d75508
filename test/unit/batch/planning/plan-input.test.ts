import { describe, expect, it } from 'vitest';
import { planInput } from '../../../../shared/batch/planning/plan-batch.ts';
import { itemOf } from '../../../support/batch/jobs.ts';

/** The text in chunks of that many bytes. */
async function* pieces(text: string, bytes = 7): AsyncGenerator<Uint8Array> {
  const content = Buffer.from(text);
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes);
}

function linesOf(count: number): string {
  return Array.from({ length: count }, (_, n) => `${JSON.stringify(itemOf(`größe ${n}`))}\n`).join(
    '',
  );
}

describe('planInput', () => {
  it('splits the input at line ends into shards that cover it', async () => {
    const text = linesOf(7);
    const content = Buffer.from(text);

    const plan = await planInput(pieces(text), { itemsPerShard: 3 });

    expect(plan.total).toBe(7);
    expect(plan.shards.map(({ first, count }) => [first, count])).toEqual([
      [0, 3],
      [3, 3],
      [6, 1],
    ]);
    const parts = plan.shards.map(({ start, end }) => content.subarray(start, end).toString());
    expect(parts.join('')).toBe(text);
    expect(parts.every((part) => part.endsWith('\n'))).toBe(true);
  });

  it('makes the same plan however the bytes arrive', async () => {
    const text = `${linesOf(4)}\n${linesOf(2)}no json`;

    const plans = await Promise.all(
      [1, 5, 1_000].map((bytes) => planInput(pieces(text, bytes), { itemsPerShard: 2 })),
    );

    expect(plans[1]).toEqual(plans[0]);
    expect(plans[2]).toEqual(plans[0]);
  });

  it('reports errors by line, blank lines included', async () => {
    const text = [
      JSON.stringify(itemOf('a')),
      '',
      '{"custom_id":',
      '[1]',
      JSON.stringify(itemOf('b', 'id-a')),
      JSON.stringify({ ...itemOf('c'), url: '/v1/embeddings' }),
    ].join('\r\n');

    const plan = await planInput(pieces(text));

    expect(plan.total).toBe(5);
    expect(plan.errors.map(({ line, code, param }) => [line, code, param])).toEqual([
      [3, 'invalid_json_line', null],
      [4, 'invalid_item', null],
      [5, 'duplicate_custom_id', 'custom_id'],
      [6, 'invalid_item', 'url'],
    ]);
    expect(plan.shards[0]?.duplicates).toEqual([3]);
  });

  it('finds a custom_id again in another shard, however long it is', async () => {
    const long = 'x'.repeat(400);
    const lines = [itemOf('a', long), itemOf('b'), itemOf('c', long)];

    const plan = await planInput(pieces(lines.map((line) => JSON.stringify(line)).join('\n')), {
      itemsPerShard: 1,
    });

    expect(plan.shards.map(({ duplicates }) => duplicates)).toEqual([[], [], [0]]);
  });

  it('skips a line that is too long and continues after it', async () => {
    const text = `${'x'.repeat(1_100_000)}\n${JSON.stringify(itemOf('a'))}`;

    const plan = await planInput(pieces(text, 65_536));

    expect(plan.errors).toMatchObject([{ line: 1, code: 'line_too_long' }]);
    expect(plan.total).toBe(2);
  });

  it.each([
    ['nothing', ''],
    ['nothing but blank lines', '\n \r\n\n'],
  ])('fails an input of %s', async (_case, text) => {
    const plan = await planInput(pieces(text));

    expect(plan).toMatchObject({ failed: true, total: 0, errors: [{ code: 'empty_file' }] });
  });

  it('fails an input of more items than a batch may have', async () => {
    const plan = await planInput(pieces('1\n'.repeat(50_001), 65_536));

    expect(plan).toMatchObject({ failed: true, errors: [{ code: 'too_many_items' }] });
  });

  it('lists at most a hundred errors', async () => {
    const plan = await planInput(pieces('1\n'.repeat(300), 65_536));

    expect([plan.total, plan.errors.length]).toEqual([300, 100]);
  });
});

describe('an input of blank lines', () => {
  const MIB = 1_048_576;
  async function* once(content: Uint8Array) {
    yield content;
  }

  it('T1: is rejected as a whole', async () => {
    const plan = await planInput(once(Buffer.alloc(60 * MIB, '\n')));

    expect(plan).toMatchObject({ failed: true, errors: [{ code: 'too_many_blank_lines' }] });
  });

  it('T1: may have a blank line after each item', async () => {
    const item = '{"custom_id":"x","body":{"message":"m"}}\n\n';

    const plan = await planInput(once(Buffer.from(item.repeat(50_000))));

    expect(plan).toMatchObject({ failed: false, total: 50_000 });
  });

  it('T1: takes no longer than an input of items', async () => {
    const item = '{"custom_id":"x","body":{"message":"m"}}\n';
    const items = Buffer.from(item.repeat(MIB / item.length));
    const timeOf = async (content: Uint8Array): Promise<number> => {
      const startedAt = performance.now();
      await planInput(once(content));
      return performance.now() - startedAt;
    };
    await timeOf(items);

    const ratio = (await timeOf(Buffer.alloc(MIB, ' \n'))) / (await timeOf(items));

    expect(ratio).toBeLessThan(2);
  });

  it('T1: lets other timers of the process run', async () => {
    const items = Buffer.from(linesOf(20_000));
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);

    await planInput(once(items));

    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
  });
});
