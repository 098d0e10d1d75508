/** Read access to response headers; names in lower case. */
export interface HeaderSource {
  get(name: string): string | null;
}

/** A wait of more than a day is an error of the server, such as a wrong unit. */
const MAX_SANE_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** The two HTTP date formats with a comma; the third, asctime, has neither a comma nor a zone. */
const HTTP_DATE = /[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT/g;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/**
 * The wait that a response requests, in milliseconds above 0; undefined where it requests none or
 * an implausible one. A header in milliseconds takes precedence because it is the most exact; of
 * several values in one header the largest applies.
 */
export function readRetryAfterMs(headers: HeaderSource, now: number): number | undefined {
  return (
    largest([
      ...numbersIn(headers.get('retry-after-ms')),
      ...numbersIn(headers.get('x-ms-retry-after-ms')),
    ]) ?? largest(retryAfter(headers.get('retry-after'), now))
  );
}

/** Time until the exhausted rate limit of the server resets, in milliseconds, where it is sent. */
export function readRateLimitResetMs(headers: HeaderSource): number | undefined {
  const waits = ['requests', 'tokens'].flatMap((kind) => {
    const remaining = headers.get(`x-ratelimit-remaining-${kind}`);
    // Servers send -1 and 0 for "unknown". A limit with capacity left is not the exhausted one.
    if (remaining !== null && Number(remaining) > 0) return [];
    return [parseDurationMs(headers.get(`x-ratelimit-reset-${kind}`))];
  });
  return largest(waits);
}

/** Parses `6m0s`, `1.5s`, `12ms`, or seconds without a unit; undefined for anything else. */
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

/** A header that is sent twice arrives as one value with commas. */
function numbersIn(value: string | null): number[] {
  const parts = (value ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => /^\d+(?:\.\d+)?$/.test(part)).map(Number);
}

function largest(waits: readonly (number | undefined)[]): number | undefined {
  const sane = waits.filter((wait) => wait !== undefined && wait > 0 && wait <= MAX_SANE_MS);
  return sane.length === 0 ? undefined : Math.max(...sane.map(Number));
}
