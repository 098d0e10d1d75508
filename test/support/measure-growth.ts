const SHORT_CHARS = 25_000;
const FACTOR = 4;
const ROUNDS = 7;
/** Linear work takes 4 times as long for 4 times the text, quadratic work 16 times. */
export const MAX_LINEAR_GROWTH = 10;
/** Shorter work is mostly noise, and cannot be quadratic at this length. */
const MIN_MS = 4;

/**
 * How many times more processor time the work takes for a text of 100,000 characters than for a
 * quarter of it. Processor time hardly depends on what else the machine does.
 */
export function measureGrowth(prepare: (chars: number) => () => unknown): number {
  const short = fastest(prepare(SHORT_CHARS));
  const long = fastest(prepare(SHORT_CHARS * FACTOR));
  return long < MIN_MS ? 1 : long / short;
}

function fastest(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}
