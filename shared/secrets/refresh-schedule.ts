import {
  type SecretName,
  type SecretReader,
  type SecretReading,
  VaultError,
  type VaultErrorReason,
} from './secrets.ts';

/** When the vault is asked. All times in milliseconds. */
export interface RefreshSchedule {
  /** One time for all secrets of a load together. */
  readonly loadTimeoutMs: number;
  /** Between two reads while all is well. */
  readonly refreshMs: number;
  /** Between two reads while the vault fails and last known values serve. */
  readonly failingMs: number;
  /** First wait while the vault has never answered; doubled each time. */
  readonly startRetryMs: number;
  readonly maxStartRetryMs: number;
  /** Between two reads that refused keys ask for. */
  readonly forcedGapMs: number;
  /** How long a call that began with the old key may still come back refused. */
  readonly lateRefusalMs: number;
}

export const DEFAULT_REFRESH_SCHEDULE: RefreshSchedule = {
  loadTimeoutMs: 5_000,
  refreshMs: 300_000,
  failingMs: 60_000,
  startRetryMs: 1_000,
  // An app that waits for its first secrets is down: it is back well within 30 s of the vault.
  maxStartRetryMs: 15_000,
  // A key that is really wrong must not turn each request into a read of the vault.
  forcedGapMs: 5_000,
  // The time limit of one attempt.
  lateRefusalMs: 30_000,
};

export interface RefreshState {
  /** Every secret was answered for at least once. */
  readonly isComplete: boolean;
  readonly failuresInRow: number;
}

/** How long to wait for the next read in the background. `random` is from 0 up to 1. */
export function nextReadDelayMs(
  pace: RefreshSchedule,
  state: RefreshState,
  random: number,
): number {
  const { isComplete, failuresInRow } = state;
  // Instances that started together drift apart; while the vault fails, never sooner than promised.
  if (failuresInRow === 0) return pace.refreshMs * (0.8 + 0.4 * random);
  if (isComplete) return pace.failingMs * (1 + 0.2 * random);
  const doubled = pace.startRetryMs * 2 ** Math.min(failuresInRow - 1, 16);
  return Math.min(doubled, pace.maxStartRetryMs) * (0.8 + 0.2 * random);
}

/** A read that repeats itself in the background and never runs twice at once. */
export interface SecretPoller {
  /** Reads at once; whoever asks while a read runs waits for that one. */
  now(): Promise<void>;
  /** Resolves when no read is under way. */
  idle(): Promise<void>;
  stop(): void;
}

export interface SecretPollerOptions {
  /** Must not throw. */
  readonly read: () => Promise<void>;
  /** Asked after each read. */
  readonly nextDelayMs: () => number;
}

export function createSecretPoller({ read, nextDelayMs }: SecretPollerOptions): SecretPoller {
  let timer: NodeJS.Timeout | undefined;
  let reading: Promise<void> | undefined;
  let isStopped = false;

  function now(): Promise<void> {
    clearTimeout(timer);
    reading ??= read().finally(() => {
      reading = undefined;
      if (isStopped) return;
      timer = setTimeout(() => void now(), nextDelayMs());
      // A process with nothing else to do may end.
      timer.unref();
    });
    return reading;
  }
  return {
    now,
    idle: async () => reading,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

export interface FetchResult {
  readonly readings: ReadonlyMap<SecretName, SecretReading>;
  /** Secrets that the vault said nothing of, with the reason. */
  readonly troubles: ReadonlyMap<SecretName, VaultErrorReason>;
}

export interface FetchOptions {
  readonly reader: SecretReader;
  readonly names: readonly SecretName[];
  readonly timeoutMs: number;
}

/** Reads all secrets at once, with one time limit for all of them. Never throws. */
export async function fetchAll({ reader, names, timeoutMs }: FetchOptions): Promise<FetchResult> {
  const readings = new Map<SecretName, SecretReading>();
  const troubles = new Map<SecretName, VaultErrorReason>();
  const abort = new AbortController();
  // Raced, not only aborted: a credential under way does not always listen to a signal.
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new VaultError('no answer in time');
    late.reject(error);
    abort.abort(error);
  }, timeoutMs);
  timer.unref();
  try {
    await Promise.all(
      names.map(async (name) => {
        try {
          const reading = await Promise.race([reader.read(name, abort.signal), late.promise]);
          readings.set(name, reading);
        } catch (thrown) {
          troubles.set(name, thrown instanceof VaultError ? thrown.trouble : 'failing');
        }
      }),
    );
  } finally {
    clearTimeout(timer);
  }
  return { readings, troubles };
}
