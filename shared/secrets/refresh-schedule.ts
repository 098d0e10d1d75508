/** When the vault is asked. All times in milliseconds. */
export interface VaultPace {
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

export const DEFAULT_VAULT_PACE: VaultPace = {
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

export interface PaceState {
  /** Every secret was answered for at least once. */
  readonly isComplete: boolean;
  readonly failuresInRow: number;
}

/** How long to wait for the next read in the background. `random` is from 0 up to 1. */
export function nextReadDelayMs(pace: VaultPace, state: PaceState, random: number): number {
  const { isComplete, failuresInRow } = state;
  // Instances that started together drift apart; while the vault fails, never sooner than promised.
  if (failuresInRow === 0) return pace.refreshMs * (0.8 + 0.4 * random);
  if (isComplete) return pace.failingMs * (1 + 0.2 * random);
  const doubled = pace.startRetryMs * 2 ** Math.min(failuresInRow - 1, 16);
  return Math.min(doubled, pace.maxStartRetryMs) * (0.8 + 0.2 * random);
}
