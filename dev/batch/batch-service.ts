import type { ResultLine } from '../../shared/batch/result.ts';

/** All that a producer of batches needs from the outside, by whichever way. */
export interface BatchService {
  /** Hands the items over, or finds that they were before; resolves to the id of the batch. */
  submit(jobId: string, lines: string): Promise<string>;
  /** How far it is; undefined while nobody has taken it. */
  look(id: string): Promise<BatchProgress | undefined>;
  /** Every result that there is, in no order. */
  results(id: string): AsyncIterable<ResultLine>;
}

export interface BatchProgress {
  readonly done: number;
  readonly ended: boolean;
  /** Why there are no results, where the batch as a whole was refused. */
  readonly refused?: string | undefined;
}
