import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { StorageEnvironment } from './storage-environment.ts';

/** Ends the lease of a process that died, so that a test does not wait 15 s for storage to do it. */
export async function breakLease(environment: StorageEnvironment, jobId: string): Promise<void> {
  const blob = environment.results.getBlobClient(blobPaths.journal(jobId, 0));
  await blob.getBlobLeaseClient().breakLease(0);
}
