import { RestError, type BlobLeaseClient } from '@azure/storage-blob';
import { describeCause } from '../telemetry/describe-cause.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** The shortest lease that storage grants: after a crash the next delivery waits this long. */
export const LEASE_SECONDS = 15;
/** Two renewals may fail before the lease ends. */
const RENEW_EVERY_MS = 5_000;

/** A lease that is renewed in the background. */
export interface KeptLease {
  readonly leaseId: string;
  /** Aborts when somebody else may have the lease. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface KeepLeaseOptions {
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number;
}

/** Renews a lease that was just acquired until it is released, or lost. */
export function keepLease(lease: BlobLeaseClient, options: KeepLeaseOptions): KeptLease {
  const { telemetry, renewEveryMs = RENEW_EVERY_MS } = options;
  const ended = new AbortController();
  const lost = new AbortController();
  let heldSince = performance.now();
  let timer: NodeJS.Timeout | undefined;

  /** One after the other, so that a slow renewal is not overtaken by the next. */
  function plan(): void {
    timer = setTimeout(() => void renew(), renewEveryMs);
  }

  async function renew(): Promise<void> {
    const startedAt = performance.now();
    const leftMs = Math.ceil(Math.max(0, heldSince + LEASE_SECONDS * 1_000 - startedAt));
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(leftMs)]);
    try {
      await lease.renewLease({ abortSignal: signal });
      heldSince = startedAt;
    } catch (error) {
      if (ended.signal.aborted) return;
      const leaseIsOver = performance.now() - heldSince >= LEASE_SECONDS * 1_000;
      if (isRefusal(error) || leaseIsOver) {
        telemetry.warn('batch job hold lost', { cause: describeCause(error) });
        lost.abort(new Error('The hold on the job was lost'));
        return;
      }
    }
    if (!ended.signal.aborted) plan();
  }

  plan();
  return {
    leaseId: lease.leaseId,
    lost: lost.signal,
    /** A lease that cannot be given back ends by itself, so a failure here harms nobody. */
    async release() {
      clearTimeout(timer);
      ended.abort();
      if (!lost.signal.aborted) await lease.releaseLease().catch(() => undefined);
    },
  };
}

/** Storage answered, and the answer is no. Everything else may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof RestError && [404, 409, 412].includes(error.statusCode ?? 0);
}
