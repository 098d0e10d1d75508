import type { ResultLine } from '../../shared/batch/model/item.ts';
import { CliError } from '../cli-error.ts';

/** How the command reaches the app: over HTTP or over the queue. */
export interface BatchService {
  /** Submits the items, or finds them submitted before; resolves to the batch id. */
  submit(jobId: string, lines: string): Promise<string>;
  /** @throws UnavailableError if the app or its storage does not answer */
  progress(id: string): Promise<BatchProgress>;
  /** Every result so far, in no order. */
  results(id: string): AsyncIterable<ResultLine>;
}

export interface BatchProgress {
  /** The app has received the batch. */
  readonly started: boolean;
  /** Items that have a result. */
  readonly done: number;
  /** Items of these that failed. */
  readonly failed: number;
  readonly ended: boolean;
  /** Why the batch as a whole was rejected. */
  readonly rejected?: string | undefined;
}

export interface UnavailableOptions {
  readonly cause?: unknown;
  /** What came instead of a valid response. */
  readonly what?: string;
  readonly retryAfterSeconds?: number | undefined;
}

/** The app or its storage does not answer now; the batch may go on all the same. */
export class UnavailableError extends CliError {
  readonly what: string;
  readonly retryAfterSeconds: number;

  constructor(message: string, options: UnavailableOptions = {}) {
    super(message, options);
    this.name = 'UnavailableError';
    this.what = options.what ?? 'no answer';
    this.retryAfterSeconds = options.retryAfterSeconds ?? 0;
  }
}
