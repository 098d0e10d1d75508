import { customIdOf, type Job } from './job.ts';
import { failed } from './result.ts';
import type { JobHold } from './result-store.ts';

/** Gives every item without a result one that says why; what was answered stays. */
export async function failUnfinished(
  job: Job,
  { hold, why }: { readonly hold: JobHold; readonly why: string },
): Promise<number> {
  const appends: Promise<void>[] = [];
  for (const [index, item] of job.items.entries()) {
    if (hold.view.results.has(index)) continue;
    const attempts = hold.view.attempts.get(index);
    const tries =
      attempts === undefined
        ? ''
        : `; it failed ${attempts.count} times, at last with ${attempts.lastCode}`;
    const place = { jobId: job.jobId, index, customId: customIdOf(item) };
    const line = failed(place, 'exhausted', `The item was given up: ${why}${tries}`);
    appends.push(hold.append({ type: 'result', index, line }));
  }
  await Promise.all(appends);
  return appends.length;
}
