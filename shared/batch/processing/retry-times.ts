const FIRST_DELAY_SECONDS = 5;
const MAX_DELAY_SECONDS = 300;
/** Items that are nearly due go along, instead of costing a delivery each. */
const SLACK_MS = 2_000;

/** When an item that failed `failures` times is to be tried again. */
export function retryAt(
  failures: number,
  { now, askedSeconds = 0 }: { readonly now: number; readonly askedSeconds?: number | undefined },
): number {
  const seconds = Math.max(askedSeconds, FIRST_DELAY_SECONDS * 2 ** (failures - 1));
  return Math.ceil(now + Math.min(seconds, MAX_DELAY_SECONDS) * 1_000);
}

/** Without a time an item is due. So it is when the time cannot be true: another clock was wrong. */
export function isDue(time: number | undefined, now: number): boolean {
  return time === undefined || time <= now + SLACK_MS || time > now + MAX_DELAY_SECONDS * 1_000;
}

/** Until the first of the items is due; 0 when one of them is. */
export function secondsUntilDue(times: Iterable<number | undefined>, now: number): number {
  let earliest = Infinity;
  for (const time of times) {
    if (time === undefined || isDue(time, now)) return 0;
    earliest = Math.min(earliest, time);
  }
  return earliest === Infinity ? 0 : Math.ceil((earliest - now) / 1_000);
}
