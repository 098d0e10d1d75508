import { raceAbort } from '../resilience/abort.ts';
import {
  type SecretName,
  type SecretReader,
  type SecretReadResult,
  VaultError,
  type VaultErrorReason,
} from './secrets.ts';

/** When the vault is read. All times in milliseconds. */
export interface RefreshSchedule {
  /** Time limit for reading all secrets once. */
  readonly loadTimeoutMs: number;
  /** Time between two reads while the vault answers. */
  readonly refreshMs: number;
  /** Time between two reads while the vault fails and the last known values are used. */
  readonly failingMs: number;
  /** First wait while the vault has never answered; doubled after each failure. */
  readonly startRetryMs: number;
  readonly maxStartRetryMs: number;
  /** Minimum time between two reads that refused keys request. */
  readonly forcedGapMs: number;
  /** How long after a change a call with the old key may still be refused. */
  readonly lateRefusalMs: number;
}

export const DEFAULT_REFRESH_SCHEDULE: RefreshSchedule = {
  loadTimeoutMs: 5_000,
  refreshMs: 300_000,
  failingMs: 60_000,
  startRetryMs: 1_000,
  // Without secrets the app serves nothing, so it must recover within 30 s of the vault.
  maxStartRetryMs: 15_000,
  // A key that stays invalid must not cause a read for each request.
  forcedGapMs: 5_000,
  // The time limit of one model call.
  lateRefusalMs: 30_000,
};

interface RefreshState {
  /** The vault has answered for every secret at least once. */
  readonly isComplete: boolean;
  readonly consecutiveFailures: number;
}

/** The delay before the next background read. `random` is in [0, 1). */
export function nextReadDelayMs(
  schedule: RefreshSchedule,
  state: RefreshState,
  random: number,
): number {
  const { isComplete, consecutiveFailures } = state;
  // Jitter spreads instances that started together; while the vault fails it only adds time.
  if (consecutiveFailures === 0) return schedule.refreshMs * (0.8 + 0.4 * random);
  if (isComplete) return schedule.failingMs * (1 + 0.2 * random);
  const doubled = schedule.startRetryMs * 2 ** Math.min(consecutiveFailures - 1, 16);
  return Math.min(doubled, schedule.maxStartRetryMs) * (0.8 + 0.2 * random);
}

interface SecretPollerOptions {
  /** Must not throw. */
  readonly read: () => Promise<void>;
  /** Called after each read. */
  readonly nextDelayMs: () => number;
}

export type SecretPoller = ReturnType<typeof createSecretPoller>;

/** Repeats a read in the background and never runs it twice at the same time. */
export function createSecretPoller({ read, nextDelayMs }: SecretPollerOptions) {
  let timer: NodeJS.Timeout | undefined;
  let reading: Promise<void> | undefined;
  let isStopped = false;

  /** Reads at once, or waits for the read in progress. Does nothing once stopped. */
  function poll(): Promise<void> {
    if (isStopped) return Promise.resolve();
    clearTimeout(timer);
    reading ??= read().finally(() => {
      reading = undefined;
      if (isStopped) return;
      timer = setTimeout(() => void poll(), nextDelayMs());
      // The timer alone does not keep the process alive.
      timer.unref();
    });
    return reading;
  }
  return {
    poll,
    /** Resolves when no read is in progress. */
    idle: async () => reading,
    stop(): void {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

export interface FetchResult {
  readonly readings: ReadonlyMap<SecretName, SecretReadResult>;
  /** Secrets that could not be read, with the reason. */
  readonly failures: ReadonlyMap<SecretName, VaultErrorReason>;
}

interface FetchOptions {
  readonly reader: SecretReader;
  readonly names: readonly SecretName[];
  readonly timeoutMs: number;
}

/** Reads all secrets concurrently within one time limit. Never throws. */
export async function fetchAll({ reader, names, timeoutMs }: FetchOptions): Promise<FetchResult> {
  const readings = new Map<SecretName, SecretReadResult>();
  const failures = new Map<SecretName, VaultErrorReason>();
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new VaultError('timed out')), timeoutMs);
  timer.unref();
  try {
    await Promise.all(
      names.map(async (name) => {
        try {
          // Raced, because some credentials ignore the signal.
          const reading = reader.read(name, abort.signal);
          readings.set(name, await raceAbort(reading, abort.signal));
        } catch (thrown) {
          failures.set(name, thrown instanceof VaultError ? thrown.reason : 'server error');
        }
      }),
    );
  } finally {
    clearTimeout(timer);
  }
  return { readings, failures };
}
