import { RestError } from '@azure/storage-blob';
import { describeCause } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** The shortest lease that storage grants: after a crash the next delivery waits this long. */
export const LEASE_SECONDS = 15;
/** Two renewals may fail before the lease ends. */
const RENEW_EVERY_MS = 4_000;

/** A lease that is renewed in the background. */
export interface KeptLease {
  readonly leaseId: string;
  /** Aborts when somebody else may have the lease. */
  readonly lost: AbortSignal;
  /** A lease that cannot be given back ends by itself, so a failure here harms nobody. */
  release(): Promise<void>;
}

export interface KeepLeaseOptions {
  /** When the lease was asked for, by the monotonic clock: it may have begun as early as that. */
  readonly askedAt: number;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** What is needed of the lease client of the storage library. */
export interface Lease {
  readonly leaseId: string;
  renewLease(options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
  releaseLease(): Promise<unknown>;
}

/** Renews a lease that was just acquired until it is released, or lost. */
export function keepLease(lease: Lease, options: KeepLeaseOptions): KeptLease {
  const { telemetry, renewEveryMs = RENEW_EVERY_MS } = options;
  const ended = new AbortController();
  const lost = new AbortController();
  let renewal: NodeJS.Timeout;
  let expiry: NodeJS.Timeout | undefined;

  /** One after the other, so that a slow renewal is not overtaken by the next. */
  function renewLater(): void {
    renewal = setTimeout(() => void renew(), renewEveryMs);
  }

  function heldSince(time: number): void {
    clearTimeout(expiry);
    const leftMs = time + LEASE_SECONDS * 1_000 - performance.now();
    expiry = setTimeout(() => lose('no renewal came through in time'), leftMs);
  }

  async function renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      await lease.renewLease({ abortSignal: ended.signal });
      if (!ended.signal.aborted) heldSince(askedAt);
    } catch (error) {
      if (isRefusal(error)) lose(describeCause(error));
    }
    if (!ended.signal.aborted) renewLater();
  }

  function lose(cause: string): void {
    if (ended.signal.aborted) return;
    end();
    telemetry.warn('batch job hold lost', { cause });
    lost.abort(new Error('The hold on the job was lost'));
  }

  function end(): void {
    clearTimeout(renewal);
    clearTimeout(expiry);
    ended.abort();
  }

  heldSince(options.askedAt);
  renewLater();
  return {
    leaseId: lease.leaseId,
    lost: lost.signal,
    async release() {
      end();
      if (!lost.signal.aborted) await lease.releaseLease().catch(() => undefined);
    },
  };
}

/** Storage answered, and the answer is no. Everything else may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof RestError && [404, 409, 412].includes(error.statusCode ?? 0);
}
