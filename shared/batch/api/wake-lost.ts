import type { Clock } from '../../clock.ts';
import type { JobSender } from '../model/job-sender.ts';
import { isLost } from './batch-status.ts';
import { wakeBatch, type SeenBatch } from './change-batch.ts';

/** A message is worked on within this time, or nobody works on any. */
const AGAIN_AFTER_MS = 10 * 60_000;
const MAX_REMEMBERED = 1_000;

/**
 * Wakes a batch that should have expired long ago and has not, for its messages are gone: one more
 * lets it. Looking at it must not fail for that, nor fill the queue however often somebody looks.
 */
export function createLostWaker({
  sender,
  clock,
}: {
  readonly sender: JobSender;
  readonly clock: Clock;
}): (seen: SeenBatch) => Promise<void> {
  const wokenAt = new Map<string, number>();
  return async (seen) => {
    const now = clock.now();
    const { id } = seen.record;
    if (!isLost(seen.record, { ...seen, now })) return;
    if (now - (wokenAt.get(id) ?? Number.NEGATIVE_INFINITY) < AGAIN_AFTER_MS) return;
    if (wokenAt.size >= MAX_REMEMBERED) wokenAt.clear();
    wokenAt.set(id, now);
    await wakeBatch(seen, sender).catch(() => wokenAt.delete(id));
  };
}
