import * as z from 'zod';

const count = z.number().int().min(0);

/** An answer as it is kept: complete, and the same for whoever asks the same again. */
export const storedAnswerSchema = z.strictObject({
  text: z.string(),
  model: z.string(),
  usage: z.strictObject({ inputTokens: count, outputTokens: count, totalTokens: count }),
});

export type StoredAnswer = Readonly<z.infer<typeof storedAnswerSchema>>;

/** An answer with its times, in milliseconds since the epoch. */
export interface CacheEntry {
  readonly answer: StoredAnswer;
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** Keeps answers for a while. What it cannot read or keep is a miss, never a failure. */
export interface ResponseCache {
  get(key: string): Promise<CacheEntry | undefined>;
  /** False where the entry was not kept, such as for its size. */
  set(key: string, entry: CacheEntry): Promise<boolean>;
}

/**
 * Whether an entry may be given out at a time. One that claims more life than any entry gets was
 * written by a clock that is not ours, or not by us.
 */
export function isFresh(
  entry: CacheEntry,
  { now, ttlMs }: { now: number; ttlMs: number },
): boolean {
  const remainingMs = entry.expiresAt - now;
  return remainingMs > 0 && remainingMs <= ttlMs;
}
