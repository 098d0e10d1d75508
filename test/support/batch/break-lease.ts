import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { StorageWorld } from './storage-world.ts';

/** Ends the hold of a process that died, so that a test does not wait 15 s for storage to do it. */
export async function breakLease(world: StorageWorld, jobId: string): Promise<void> {
  const blob = world.results.getBlobClient(blobPaths.journal(jobId, 0));
  await blob.getBlobLeaseClient().breakLease(0);
}
