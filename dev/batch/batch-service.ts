import type { ResultLine } from '../../shared/batch/model/item.ts';
import { CliError } from '../cli-error.ts';

/** All that a producer of batches needs from the outside, by whichever way. */
export interface BatchService {
  /** Hands the items over, or finds that they were before; resolves to the id of the batch. */
  submit(jobId: string, lines: string): Promise<string>;
  /** @throws AwayError while nobody can say */
  look(id: string): Promise<BatchProgress>;
  /** Every result that there is, in no order. */
  results(id: string): AsyncIterable<ResultLine>;
}

export interface BatchProgress {
  /** Somebody has taken it from the queue. */
  readonly begun: boolean;
  /** Items that have a result. */
  readonly done: number;
  /** Those of them that failed. */
  readonly failed: number;
  readonly ended: boolean;
  /** Why there are no results, where the batch as a whole was refused. */
  readonly refused?: string | undefined;
}

export interface AwayOptions {
  readonly cause?: unknown;
  /** What there is in the place of an answer. */
  readonly what?: string;
  readonly retryAfterSeconds?: number | undefined;
}

/** The app or its storage does not answer at the moment: the batch may go on all the same. */
export class AwayError extends CliError {
  readonly what: string;
  readonly retryAfterSeconds: number;

  constructor(message: string, options: AwayOptions = {}) {
    super(message, options);
    this.name = 'AwayError';
    this.what = options.what ?? 'no answer';
    this.retryAfterSeconds = options.retryAfterSeconds ?? 0;
  }
}
