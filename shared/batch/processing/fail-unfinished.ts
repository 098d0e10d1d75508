import type { ItemFailureCode } from '../model/item.ts';
import { failed } from '../model/item.ts';
import { placeOf } from './shard-pass.ts';
import type { ShardHold } from '../storage/shard-lease.ts';
import type { Shard } from '../planning/load-shard.ts';

interface Failing {
  readonly hold: ShardHold;
  readonly code: ItemFailureCode;
  readonly why: string;
}

/** Gives every item without a result one that says why; what was answered stays. */
export async function failUnfinished(shard: Shard, { hold, code, why }: Failing): Promise<number> {
  const appends: Promise<void>[] = [];
  for (const index of shard.items.keys()) {
    if (hold.view.results.has(index)) continue;
    const attempts = hold.view.attempts.get(index);
    const tries =
      attempts === undefined
        ? ''
        : `; it failed ${attempts.count} times, at last with ${attempts.lastCode}`;
    const line = failed(placeOf(shard, index), code, `The item was given up: ${why}${tries}`);
    appends.push(hold.append({ type: 'result', index, line }));
  }
  await Promise.all(appends);
  return appends.length;
}
