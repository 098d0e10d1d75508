import type { BatchRecord } from './batch-record.ts';

/** Whether a caller may see a batch: its owner, or anybody where a queue message named none. */
export function mayAsk({ owner }: Pick<BatchRecord, 'owner'>, callerId: string): boolean {
  return owner === null || owner === callerId;
}
