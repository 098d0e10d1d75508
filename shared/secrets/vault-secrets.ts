import type { Clock } from '../clock.ts';
import {
  type EnvironmentSecretsOptions,
  readVariables,
  normalizeSecret,
} from './environment-secrets.ts';
import {
  createSecretPoller,
  nextReadDelayMs,
  fetchAll,
  type FetchResult,
  type RefreshSchedule,
} from './refresh-schedule.ts';
import type {
  MissingReason,
  SecretName,
  SecretReader,
  SecretReading,
  Secrets,
  SecretSource,
  SecretsState,
  VaultErrorReason,
  RequiredSecret,
} from './secrets.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface VaultSecretsOptions extends EnvironmentSecretsOptions {
  readonly reader: SecretReader;
  readonly pace: RefreshSchedule;
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
  const shelf = createSecretCache(wanted, readVariables(options));
  const bell = createChangeEmitter(telemetry);
  const health = createVaultHealthTracker(clock, telemetry);
  const lastAt: { read?: number; forced?: number; replaced?: number } = {};
  let isClosed = false;
  let refreshing: Promise<boolean> | undefined;

  async function readOnce(): Promise<void> {
    lastAt.read = clock.now();
    const wasComplete = shelf.isComplete();
    const outcome = await fetchAll({ reader, names, timeoutMs: pace.loadTimeoutMs });
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

  const rounds = createSecretPoller({
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

interface ReadAttempt {
  readonly at: number | undefined;
  readonly periodMs: number;
}

/** A clock that was set back must not make the wait longer. */
function isRecent(clock: Clock, { at, periodMs }: ReadAttempt): boolean {
  return at !== undefined && Math.abs(clock.now() - at) < periodMs;
}

type CachedSecret =
  | { readonly value: string; readonly version: string | undefined }
  | { readonly value: undefined; readonly reason: MissingReason };

/** The last known state of each secret, and what the environment has in its place. */
export interface SecretCache {
  /** Takes over what a round found; what it did not find out stays. Names whose value changed. */
  put(outcome: FetchResult): SecretName[];
  get(name: SecretName): string | undefined;
  sourceOf(name: SecretName): SecretSource;
  whyMissing(name: SecretName): MissingReason | undefined;
  /** The vault has answered for every secret at least once. */
  isComplete(): boolean;
}

export function createSecretCache(
  wanted: readonly RequiredSecret[],
  variables: ReadonlyMap<SecretName, string>,
): SecretCache {
  const answered = new Map<SecretName, CachedSecret>();
  const troubles = new Map<SecretName, MissingReason>();

  function get(name: SecretName): string | undefined {
    return answered.get(name)?.value ?? variables.get(name);
  }
  return {
    put(outcome) {
      troubles.clear();
      for (const [name, trouble] of outcome.troubles) troubles.set(name, trouble);
      const changed: SecretName[] = [];
      for (const [name, reading] of outcome.readings) {
        const before = get(name);
        if (isSameVersion(reading, answered.get(name))) continue;
        answered.set(name, toCachedSecret(reading));
        if (get(name) !== before) changed.push(name);
      }
      return changed;
    },
    get,
    sourceOf(name) {
      if (answered.get(name)?.value !== undefined) return 'key-vault';
      return variables.has(name) ? 'environment' : 'none';
    },
    whyMissing(name) {
      const kept = answered.get(name);
      if (kept === undefined) return troubles.get(name);
      return kept.value === undefined ? kept.reason : undefined;
    },
    isComplete: () => wanted.every(({ name }) => answered.has(name)),
  };
}

/** A version never changes its value, so there is nothing to compare. */
function isSameVersion(reading: SecretReading, kept: CachedSecret | undefined): boolean {
  if (reading.kind === 'missing' || kept?.value === undefined) return false;
  return reading.version !== undefined && reading.version === kept.version;
}

function toCachedSecret(reading: SecretReading): CachedSecret {
  if (reading.kind === 'missing') return { value: undefined, reason: reading.reason };
  const usable = normalizeSecret(reading.value);
  return usable.value === undefined ? usable : { value: usable.value, version: reading.version };
}

type Listener = (changed: readonly SecretName[]) => void;

/** Tells everybody who listens; one that throws is logged and does not keep it from the others. */
export interface ChangeEmitter {
  ring(changed: readonly SecretName[]): void;
  onRing(listener: Listener): () => void;
}

export function createChangeEmitter(telemetry: Telemetry): ChangeEmitter {
  const listeners = new Set<Listener>();
  return {
    ring(changed) {
      for (const listener of listeners) {
        try {
          listener(changed);
        } catch (thrown) {
          telemetry.error('changed secrets not taken over', { cause: describeError(thrown) });
        }
      }
    },
    onRing(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** How the vault has been of late, told to operators when it changes and not more often. */
export interface VaultHealthTracker {
  /** The end of a read; without troubles it was a success. */
  note(troubles: ReadonlyMap<SecretName, VaultErrorReason>): void;
  failuresInRow(): number;
  state(): SecretsState;
}

/** How often operators are told that the vault is still away. */
const WARN_EVERY_MS = 60_000;

export function createVaultHealthTracker(clock: Clock, telemetry: Telemetry): VaultHealthTracker {
  let failuresInRow = 0;
  let lastSuccessAt: number | undefined;
  let lastError: VaultErrorReason | undefined;
  let lastWarnAt: number | undefined;

  function noteTrouble(troubles: ReadonlyMap<SecretName, VaultErrorReason>): void {
    failuresInRow += 1;
    lastError = troubles.values().next().value;
    const now = clock.now();
    if (lastWarnAt !== undefined && Math.abs(now - lastWarnAt) < WARN_EVERY_MS) return;
    lastWarnAt = now;
    const secrets = [...troubles.keys()].join(', ');
    telemetry.warn('key vault does not answer', { trouble: lastError, secrets });
  }

  return {
    note(troubles) {
      if (troubles.size > 0) {
        noteTrouble(troubles);
        return;
      }
      if (failuresInRow > 0) telemetry.info('key vault answers again', { failuresInRow });
      failuresInRow = 0;
      lastError = undefined;
      lastSuccessAt = clock.now();
    },
    failuresInRow: () => failuresInRow,
    state: () => ({
      failing: failuresInRow > 0,
      ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
      ...(lastError === undefined ? {} : { lastError }),
    }),
  };
}
