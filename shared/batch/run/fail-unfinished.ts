import type { ItemFailureCode } from '../job/result.ts';
import { failed } from '../job/result.ts';
import { placeOf } from './run-pass.ts';
import type { ShardHold } from '../store/shard-hold.ts';
import type { Shard } from '../plan/shard.ts';

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
