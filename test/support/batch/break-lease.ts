import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { ContainerClient } from '@azure/storage-blob';

/** Ends the lease of a process that died, so that a test does not wait 15 s for storage to do it. */
export async function breakLease(results: ContainerClient, jobId: string): Promise<void> {
  const blob = results.getBlobClient(blobPaths.journal(jobId, 0));
  await blob.getBlobLeaseClient().breakLease(0);
}
