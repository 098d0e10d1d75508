import type { Clock } from '../clock.ts';
import {
  type EnvironmentSecretsOptions,
  type MissingReason,
  type NormalizedSecret,
  normalizeSecret,
  readEnvironmentSecrets,
  type RequiredSecret,
  type SecretName,
  type SecretReader,
  type SecretReadResult,
  type Secrets,
  type SecretsListener,
  type SecretSource,
  type SecretsState,
  type VaultErrorReason,
} from './secrets.ts';
import {
  createSecretPoller,
  fetchAll,
  type FetchResult,
  nextReadDelayMs,
  type RefreshSchedule,
  type SecretPoller,
} from './refresh-schedule.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface VaultSecretsOptions extends EnvironmentSecretsOptions {
  readonly reader: SecretReader;
  readonly schedule: RefreshSchedule;
  readonly clock: Clock;
  /** In [0, 1), like Math.random. */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/**
 * Secrets from a vault, with environment variables as fallback. Starts to read at once. While the
 * vault fails, the last known values are used and it is read less often.
 */
export function createVaultSecrets(options: VaultSecretsOptions): Secrets {
  const { reader, schedule, clock, random, telemetry, required } = options;
  const names = required.map(({ name }) => name);
  const cache = createSecretCache(required, {
    variables: readEnvironmentSecrets(options),
    telemetry,
  });
  const health = createHealthTracker(clock, telemetry);
  const listeners = new Set<SecretsListener>();
  const times: ReadTimes = {};
  let isClosed = false;

  async function readAll(): Promise<void> {
    times.readAt = clock.now();
    const wasComplete = cache.isComplete();
    const result = await fetchAll({ reader, names, timeoutMs: schedule.loadTimeoutMs });
    if (isClosed) return;
    const changed = cache.update(result);
    health.record(result.failures);
    if (changed.length === 0) return;
    if (wasComplete) times.replacedAt = clock.now();
    telemetry.info('secrets read', { changed: changed.join(', ') });
    notify(listeners, { changed, telemetry });
  }

  const poller = createSecretPoller({
    read: readAll,
    nextDelayMs() {
      const consecutiveFailures = health.consecutiveFailures();
      const state = { isComplete: cache.isComplete(), consecutiveFailures };
      return nextReadDelayMs(schedule, state, random());
    },
  });
  const firstLoad = poller.poll();
  return {
    get: (name) => cache.get(name),
    sourceOf: (name) => cache.sourceOf(name),
    missingReason: (name) => cache.missingReason(name),
    loaded: () => firstLoad,
    refreshNow: createForcedRefresh({ ...options, health, poller, times }),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    state: () => health.state(),
    close() {
      isClosed = true;
      poller.stop();
    },
  };
}

/** Milliseconds since the epoch. */
interface ReadTimes {
  readAt?: number;
  /** When a known value was last replaced. */
  replacedAt?: number;
}

interface ForcedRefreshOptions {
  readonly schedule: RefreshSchedule;
  readonly clock: Clock;
  readonly health: { state(): SecretsState };
  readonly poller: SecretPoller;
  readonly times: ReadTimes;
}

/** The read after a refused key: one for all concurrent callers, and not more often than scheduled. */
function createForcedRefresh(options: ForcedRefreshOptions): () => Promise<boolean> {
  const { schedule, clock, health, poller, times } = options;
  let forcedAt: number | undefined;
  let refreshing: Promise<boolean> | undefined;

  async function readAfterRefusal(): Promise<boolean> {
    // A read in progress may have started before the rotation, so it does not count.
    await poller.idle();
    const isTooSoon = health.state().isFailing
      ? isRecent(clock, { at: times.readAt, periodMs: schedule.failingMs })
      : isRecent(clock, { at: forcedAt, periodMs: schedule.forcedGapMs });
    if (!isTooSoon) {
      forcedAt = clock.now();
      await poller.poll();
    }
    // A call that started before the change may be refused after it.
    return isRecent(clock, { at: times.replacedAt, periodMs: schedule.lateRefusalMs });
  }

  return () => {
    refreshing ??= readAfterRefusal().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };
}

interface ChangeNotice {
  readonly changed: readonly SecretName[];
  readonly telemetry: Telemetry;
}

/** A listener that throws is logged and does not affect the others. */
function notify(
  listeners: ReadonlySet<SecretsListener>,
  { changed, telemetry }: ChangeNotice,
): void {
  for (const listener of listeners) {
    try {
      listener(changed);
    } catch (thrown) {
      telemetry.error('secret change handler failed', { cause: describeError(thrown) });
    }
  }
}

interface Period {
  readonly at: number | undefined;
  readonly periodMs: number;
}

/** The distance in both directions, so that a clock that was set back does not extend the wait. */
function isRecent(clock: Clock, { at, periodMs }: Period): boolean {
  return at !== undefined && Math.abs(clock.now() - at) < periodMs;
}

type CachedSecret =
  | { readonly value: string; readonly version: string | undefined }
  | { readonly value: undefined; readonly reason: MissingReason };

interface SecretCacheOptions {
  readonly variables: ReadonlyMap<SecretName, string>;
  readonly telemetry: Telemetry;
}

/** The last usable value of each secret, with the environment as fallback. */
function createSecretCache(
  required: readonly RequiredSecret[],
  { variables, telemetry }: SecretCacheOptions,
) {
  const accepts = new Map(required.map((secret) => [secret.name, secret.accepts]));
  /** The unusable readings that were logged, so that each is logged once. */
  const unusable = new Map<SecretName, string | undefined>();
  const cached = new Map<SecretName, CachedSecret>();
  const failures = new Map<SecretName, MissingReason>();

  function get(name: SecretName): string | undefined {
    return cached.get(name)?.value ?? variables.get(name);
  }

  /** Undefined if the last usable value stays in force, because the new one cannot be used. */
  function toCachedSecret(name: SecretName, reading: SecretReadResult): CachedSecret | undefined {
    if (reading.kind === 'missing') return { value: undefined, reason: reading.reason };
    const normalized = checkSecret(reading.value, accepts.get(name));
    if (normalized.value !== undefined) {
      unusable.delete(name);
      return { value: normalized.value, version: reading.version };
    }
    const keepsLast = cached.get(name)?.value !== undefined;
    if (!unusable.has(name) || unusable.get(name) !== reading.version) {
      unusable.set(name, reading.version);
      const { reason } = normalized;
      const fallback = variables.has(name) ? 'the environment variable' : 'none';
      const inForce = keepsLast ? 'the last usable value' : fallback;
      telemetry.error('secret unusable', { secret: name, reason, inForce });
    }
    return keepsLast ? undefined : normalized;
  }

  return {
    /** Stores what was read and keeps the rest. Returns the names whose value changed. */
    update(result: FetchResult): SecretName[] {
      failures.clear();
      for (const [name, reason] of result.failures) failures.set(name, reason);
      const changed: SecretName[] = [];
      for (const [name, reading] of result.readings) {
        const before = get(name);
        if (isSameVersion(reading, cached.get(name))) continue;
        const next = toCachedSecret(name, reading);
        if (next !== undefined) cached.set(name, next);
        if (get(name) !== before) changed.push(name);
      }
      return changed;
    },
    get,
    sourceOf(name: SecretName): SecretSource {
      if (cached.get(name)?.value !== undefined) return 'key-vault';
      return variables.has(name) ? 'environment' : 'none';
    },
    missingReason(name: SecretName): MissingReason | undefined {
      const secret = cached.get(name);
      if (secret === undefined) return failures.get(name);
      return secret.value === undefined ? secret.reason : undefined;
    },
    /** The vault has answered for every secret at least once. */
    isComplete: () => required.every(({ name }) => cached.has(name)),
  };
}

/** A version is immutable, so its value need not be compared. */
function isSameVersion(reading: SecretReadResult, cached: CachedSecret | undefined): boolean {
  if (reading.kind === 'missing' || cached?.value === undefined) return false;
  return reading.version !== undefined && reading.version === cached.version;
}

function checkSecret(raw: string, accepts: RequiredSecret['accepts']): NormalizedSecret {
  const normalized = normalizeSecret(raw);
  if (normalized.value === undefined || accepts === undefined) return normalized;
  return accepts(normalized.value) ? normalized : { value: undefined, reason: 'not valid' };
}

/** Minimum time between two warnings that the vault still fails. */
const WARN_INTERVAL_MS = 60_000;

/** Tracks whether the vault answers; logs failures at most once a minute, and the recovery. */
function createHealthTracker(clock: Clock, telemetry: Telemetry) {
  let consecutiveFailures = 0;
  let lastSuccessAt: number | undefined;
  let lastError: VaultErrorReason | undefined;
  let lastWarnAt: number | undefined;

  function recordFailure(failures: ReadonlyMap<SecretName, VaultErrorReason>): void {
    consecutiveFailures += 1;
    lastError = failures.values().next().value;
    const now = clock.now();
    if (lastWarnAt !== undefined && Math.abs(now - lastWarnAt) < WARN_INTERVAL_MS) return;
    lastWarnAt = now;
    const secrets = [...failures.keys()].join(', ');
    telemetry.warn('key vault failed', { reason: lastError, secrets });
  }

  return {
    /** Records the end of a read; it succeeded if nothing failed. */
    record(failures: ReadonlyMap<SecretName, VaultErrorReason>): void {
      if (failures.size > 0) {
        recordFailure(failures);
        return;
      }
      if (consecutiveFailures > 0) telemetry.info('key vault recovered', { consecutiveFailures });
      consecutiveFailures = 0;
      lastError = undefined;
      lastSuccessAt = clock.now();
    },
    consecutiveFailures: () => consecutiveFailures,
    state: (): SecretsState => ({
      isFailing: consecutiveFailures > 0,
      ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
      ...(lastError === undefined ? {} : { lastError }),
    }),
  };
}
