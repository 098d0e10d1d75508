/** What one attempt to take tokens out of a bucket found. */
export interface Taken {
  readonly taken: boolean;
  /** What is left, never below 0. */
  readonly remaining: number;
  /** When the bucket is filled up so far that the same attempt can succeed, in epoch milliseconds. */
  readonly resetAt: number;
}

/** Buckets of one policy: each key has its own, full at first. */
export interface BucketStore {
  /** Takes the whole amount or nothing. */
  take(key: string, amount: number): Promise<Taken>;
  /** Corrects an amount that was taken: below 0 gives back, above 0 takes what was used on top. */
  correct(key: string, amount: number): Promise<void>;
}

/** How the buckets of one policy fill. */
export interface BucketShape {
  /** Tokens in a full bucket, and those that come back at once when an interval is over. */
  readonly capacity: number;
  readonly intervalMs: number;
}
