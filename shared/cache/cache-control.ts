/** What a caller wants of the cache. */
export interface CacheControl {
  /** Neither give out nor keep anything of this request. */
  readonly noStore: boolean;
  /** Make a fresh answer; it may be kept. */
  readonly noCache: boolean;
  /** Oldest answer that is welcome, in seconds. */
  readonly maxAgeSeconds: number | undefined;
}

const DIRECTIVE = /^([a-z-]+)(?:=(?:"([^"]*)"|(.*)))?$/;

/**
 * Reads the Cache-Control header of a request. Directives that make no sense for chat are left out:
 * a caller who asks `only-if-cached` still wants an answer.
 */
export function parseCacheControl(header: string | undefined): CacheControl {
  const directives = new Map<string, string>();
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [, name, quoted, bare] = DIRECTIVE.exec(part.trim()) ?? [];
    if (name !== undefined) directives.set(name, quoted ?? bare ?? '');
  }
  const maxAgeSeconds = secondsOf(directives.get('max-age'));
  return {
    noStore: directives.has('no-store'),
    noCache: directives.has('no-cache') || maxAgeSeconds === 0,
    maxAgeSeconds,
  };
}

/** An age that nobody can read means that no age is old enough to be safe. */
function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}
