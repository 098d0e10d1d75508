import { RestError } from '@azure/storage-blob';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { renewLease } from '../../../../shared/storage/azure/blob-lease.ts';
import { createRecordedTelemetry } from '../../../support/recorded-telemetry.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A lease with scripted renewals. */
function keep(script: (renewal: number, signal: AbortSignal) => Promise<void>) {
  const calls: string[] = [];
  let renewals = 0;
  const telemetry = createRecordedTelemetry();
  const kept = renewLease(
    {
      leaseId: 'lease',
      async renewLease(options) {
        renewals += 1;
        calls.push('renew');
        await script(renewals, options.abortSignal);
      },
      async releaseLease() {
        calls.push('release');
      },
    },
    { requestedAt: performance.now(), telemetry },
  );
  return { kept, calls, telemetry };
}

function refusal(statusCode: number, code?: string): RestError {
  return new RestError('no', { statusCode, ...(code === undefined ? {} : { code }) });
}

describe('renewLease', () => {
  it('renews every four seconds until its release', async () => {
    const { kept, calls } = keep(async () => undefined);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toHaveLength(15);
    expect(kept.lostSignal.aborted).toBe(false);
  });

  it.each([
    { status: 404, code: 'BlobNotFound' },
    { status: 409, code: 'LeaseIdMismatchWithLeaseOperation' },
    { status: 412, code: 'LeaseLost' },
  ])('Q9: is lost at once when storage refuses with $code', async ({ status, code }) => {
    const { kept, calls, telemetry } = keep(() => Promise.reject(refusal(status, code)));

    await vi.advanceTimersByTimeAsync(4_000);

    expect(kept.lostSignal.aborted).toBe(true);
    expect(telemetry.lines).toMatchObject([{ level: 'warn', message: 'shard lease lost' }]);
    await vi.advanceTimersByTimeAsync(60_000);
    await kept.release();
    expect(calls).toEqual(['renew']);
  });

  it('survives two failed renewals in a row', async () => {
    const { kept } = keep(async (renewal) => {
      if (renewal % 3 !== 0) throw new RestError('away', { statusCode: 503 });
    });

    await vi.advanceTimersByTimeAsync(60_000);

    expect(kept.lostSignal.aborted).toBe(false);
  });

  it('Q9: is lost when the lease ends before a renewal succeeded', async () => {
    const { kept } = keep(() => Promise.reject(new Error('connection reset')));

    await vi.advanceTimersByTimeAsync(14_999);
    const before = kept.lostSignal.aborted;
    await vi.advanceTimersByTimeAsync(1);

    expect([before, kept.lostSignal.aborted]).toEqual([false, true]);
  });

  it('waits for a slow renewal instead of sending more, and aborts it when the lease ends', async () => {
    const signals: AbortSignal[] = [];
    const { kept, calls } = keep((_renewal, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });

    await vi.advanceTimersByTimeAsync(30_000);

    expect(calls).toEqual(['renew']);
    expect(signals[0]?.aborted).toBe(true);
    expect(kept.lostSignal.aborted).toBe(true);
  });

  it('is not lost by a release, and leaves no timer', async () => {
    const { kept, calls } = keep(async () => undefined);

    await kept.release();

    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toEqual(['release']);
    expect([kept.lostSignal.aborted, vi.getTimerCount()]).toEqual([false, 0]);
  });
});
