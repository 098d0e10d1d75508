/** How the buckets of one policy fill. */
export interface BucketShape {
  /** Tokens in a full bucket; also the refill at the end of each interval. */
  readonly capacity: number;
  readonly intervalMs: number;
}

/** The result of one attempt to take tokens from a bucket. */
export interface TakeResult {
  readonly taken: boolean;
  /** Tokens left, never below 0. */
  readonly remaining: number;
  /** When a refused attempt can succeed, else the next refill; in milliseconds since the epoch. */
  readonly resetAt: number;
}

/** The token buckets of one policy, one for each key, full at first. */
export interface BucketStore {
  /** Takes the whole amount or nothing. */
  take(key: string, amount: number): Promise<TakeResult>;
  /** Corrects an earlier amount: a negative amount is refunded, a positive one is charged. */
  adjust(key: string, amount: number): Promise<void>;
}
