import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createChangeBell } from './change-bell.ts';
import { readVariables, type EnvironmentSecretsOptions } from './environment-secrets.ts';
import { readRound } from './read-round.ts';
import { createRepeatedRead } from './repeated-read.ts';
import type { SecretReader } from './secret-reader.ts';
import { createSecretShelf } from './secret-shelf.ts';
import type { Secrets } from './secrets.ts';
import { createVaultHealth } from './vault-health.ts';
import { nextReadDelayMs, type VaultPace } from './refresh-schedule.ts';

export interface VaultSecretsOptions extends EnvironmentSecretsOptions {
  readonly reader: SecretReader;
  readonly pace: VaultPace;
  readonly clock: Clock;
  /** From 0 up to 1, as Math.random. */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/**
 * Secrets from a vault, with the environment where the vault lacks one. Starts to read at once.
 * While the vault is away the last known values serve, and it is left alone most of the time.
 */
export function createVaultSecrets(options: VaultSecretsOptions): Secrets {
  const { reader, pace, clock, random, telemetry, wanted } = options;
  const names = wanted.map(({ name }) => name);
  const shelf = createSecretShelf(wanted, readVariables(options));
  const bell = createChangeBell(telemetry);
  const health = createVaultHealth(clock, telemetry);
  const lastAt: { read?: number; forced?: number; replaced?: number } = {};
  let isClosed = false;
  let refreshing: Promise<boolean> | undefined;

  async function readOnce(): Promise<void> {
    lastAt.read = clock.now();
    const wasComplete = shelf.isComplete();
    const outcome = await readRound({ reader, names, timeoutMs: pace.loadTimeoutMs });
    if (isClosed) return;
    const changed = shelf.put(outcome);
    health.note(outcome.troubles);
    if (changed.length === 0) return;
    if (wasComplete) lastAt.replaced = clock.now();
    telemetry.info('secrets read', { changed: changed.join(', ') });
    bell.ring(changed);
  }

  async function readAfterRefusal(): Promise<boolean> {
    // A read that is under way may have looked before the rotation, so it does not count.
    await rounds.idle();
    const isTooSoon = health.state().failing
      ? isRecent(clock, { at: lastAt.read, periodMs: pace.failingMs })
      : isRecent(clock, { at: lastAt.forced, periodMs: pace.forcedGapMs });
    if (!isTooSoon && !isClosed) {
      lastAt.forced = clock.now();
      await rounds.now();
    }
    // A call that began before the change may come back refused after it.
    return isRecent(clock, { at: lastAt.replaced, periodMs: pace.lateRefusalMs });
  }

  const rounds = createRepeatedRead({
    read: readOnce,
    nextDelayMs() {
      const state = { isComplete: shelf.isComplete(), failuresInRow: health.failuresInRow() };
      return nextReadDelayMs(pace, state, random());
    },
  });
  const firstLoad = rounds.now();
  return {
    get: (name) => shelf.get(name),
    sourceOf: (name) => shelf.sourceOf(name),
    whyMissing: (name) => shelf.whyMissing(name),
    loaded: () => firstLoad,
    refreshNow() {
      refreshing ??= readAfterRefusal().finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },
    onChange: (listener) => bell.onRing(listener),
    state: () => health.state(),
    close() {
      isClosed = true;
      rounds.stop();
    },
  };
}

interface Moment {
  readonly at: number | undefined;
  readonly periodMs: number;
}

/** A clock that was set back must not make the wait longer. */
function isRecent(clock: Clock, { at, periodMs }: Moment): boolean {
  return at !== undefined && Math.abs(clock.now() - at) < periodMs;
}
