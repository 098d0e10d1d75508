import { RestError, type AppendBlobClient } from '@azure/storage-blob';

interface Append {
  readonly lines: string;
  /** Where the blob must end for the append to be made. */
  readonly position: number;
  readonly leaseId: string;
  readonly abortSignal: AbortSignal;
}

/**
 * Appends at a known position, so that the client's own retry after a lost answer cannot write
 * the same lines twice: the repeat is refused, and the length tells that the first one counted.
 * Nobody else can have written meanwhile, because the length is asked for under the lease.
 */
export async function appendOnce(
  blob: AppendBlobClient,
  { lines, position, leaseId, abortSignal }: Append,
): Promise<void> {
  const length = Buffer.byteLength(lines);
  try {
    const conditions = { leaseId, appendPosition: position };
    await blob.appendBlock(lines, length, { conditions, abortSignal });
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== 'AppendPositionConditionNotMet')
      throw error;
    const { contentLength } = await blob.getProperties({ conditions: { leaseId }, abortSignal });
    if (contentLength !== position + length) throw error;
  }
}
