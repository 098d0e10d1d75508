/** What this file needs of response headers. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** Beyond a day a wait is a mistake of the upstream (or a unit mix-up), not a plan. */
const MAX_SANE_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** The two dates with a comma in them; the third spelling, of C's asctime, has none and no zone. */
const HTTP_DATE = /[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT/g;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/**
 * How long the upstream asks to wait, in milliseconds and always above 0; undefined when it says
 * nothing that makes sense. Milliseconds are the most exact spelling and win; of several values in
 * one header the largest counts.
 */
export function readRetryAfterMs(headers: HeaderSource, now: number): number | undefined {
  return (
    largest([
      ...numbersIn(headers.get('retry-after-ms')),
      ...numbersIn(headers.get('x-ms-retry-after-ms')),
    ]) ?? largest(retryAfter(headers.get('retry-after'), now))
  );
}

/** When the exhausted one of the upstream's own rate limits is full again, as far as it says. */
export function readRateLimitResetMs(headers: HeaderSource): number | undefined {
  const waits = ['requests', 'tokens'].flatMap((kind) => {
    const remaining = headers.get(`x-ratelimit-remaining-${kind}`);
    // Live upstreams send -1 and 0 for "unknown"; a limit with something left is not the cause.
    if (remaining !== null && Number(remaining) > 0) return [];
    return [parseDurationMs(headers.get(`x-ratelimit-reset-${kind}`))];
  });
  return largest(waits);
}

/** `6m0s`, `1.5s`, `12ms` or whole seconds without a unit; undefined for anything else. */
export function parseDurationMs(value: string | null): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  }
  return total;
}

function retryAfter(value: string | null, now: number): number[] {
  if (value === null) return [];
  if (ASCTIME_DATE.test(value)) return [Date.parse(`${value} GMT`) - now];
  const dates = value.match(HTTP_DATE) ?? [];
  const waits = dates.map((date) => Date.parse(date) - now);
  return [...waits, ...numbersIn(value.replaceAll(HTTP_DATE, '')).map((seconds) => seconds * 1000)];
}

/** A header sent twice arrives as one text with commas. */
function numbersIn(value: string | null): number[] {
  const parts = (value ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => /^\d+(?:\.\d+)?$/.test(part)).map(Number);
}

function largest(waits: readonly (number | undefined)[]): number | undefined {
  const sane = waits.filter((wait) => wait !== undefined && wait > 0 && wait <= MAX_SANE_MS);
  return sane.length === 0 ? undefined : Math.max(...sane.map(Number));
}
