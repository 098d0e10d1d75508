import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createChangeBell } from './change-bell.ts';
import { readVariables, type EnvironmentSecretsOptions } from './environment-secrets.ts';
import { readRound } from './read-round.ts';
import { createSecretShelf } from './secret-shelf.ts';
import type { SecretReader } from './secret-reader.ts';
import type { Secrets, VaultTrouble } from './secrets.ts';
import { nextReadDelayMs, type VaultPace } from './vault-pace.ts';

export interface VaultSecretsOptions extends EnvironmentSecretsOptions {
  readonly reader: SecretReader;
  readonly pace: VaultPace;
  readonly clock: Clock;
  /** From 0 up to 1, as Math.random. */
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** How often operators are told that the vault is still away. */
const WARN_EVERY_MS = 60_000;

/**
 * Secrets from a vault, with the environment where the vault lacks one. Starts to read at once.
 * While the vault is away the last known values serve, and it is asked ever more rarely.
 */
export function createVaultSecrets(options: VaultSecretsOptions): Secrets {
  const { pace, clock, random, telemetry, wanted } = options;
  const shelf = createSecretShelf(wanted, readVariables(options));
  const bell = createChangeBell(telemetry);
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let failuresInRow = 0;
  let lastSuccessAt: number | undefined;
  let lastError: VaultTrouble | undefined;
  let lastReadAt = Number.NEGATIVE_INFINITY;
  let lastChangeAt = Number.NEGATIVE_INFINITY;
  let lastWarnAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let forced: Promise<boolean> | undefined;

  /** One read of everything; whoever comes while it runs waits for the same one. */
  function readAll(): Promise<void> {
    clearTimeout(timer);
    reading ??= readOnce().finally(() => {
      reading = undefined;
      plan();
    });
    return reading;
  }

  async function readOnce(): Promise<void> {
    lastReadAt = clock.now();
    const names = wanted.map(({ name }) => name);
    const { reader } = options;
    const outcome = await readRound({ reader, names, timeoutMs: pace.loadTimeoutMs });
    const changed = shelf.put(outcome);
    if (outcome.troubles.size === 0) noteSuccess();
    else noteTrouble(outcome.troubles);
    if (changed.length === 0) return;
    lastChangeAt = clock.now();
    telemetry.info('secrets changed', { secrets: changed.join(', ') });
    bell.ring(changed);
  }

  function noteSuccess(): void {
    if (failuresInRow > 0) telemetry.info('Key Vault answers again');
    failuresInRow = 0;
    lastError = undefined;
    lastSuccessAt = clock.now();
  }

  function noteTrouble(troubles: ReadonlyMap<string, VaultTrouble>): void {
    failuresInRow += 1;
    lastError = troubles.values().next().value;
    const now = clock.now();
    if (now - lastWarnAt < WARN_EVERY_MS) return;
    lastWarnAt = now;
    const secrets = [...troubles.keys()].join(', ');
    telemetry.warn('Key Vault does not answer', { trouble: lastError, secrets });
  }

  function plan(): void {
    if (isClosed) return;
    const state = { isComplete: shelf.isComplete(), failuresInRow };
    timer = setTimeout(() => void readAll(), nextReadDelayMs(pace, state, random()));
    // A process with nothing else to do may end.
    timer.unref();
  }

  async function readForRefusal(): Promise<boolean> {
    // A read that is under way may have seen the vault before the rotation.
    await reading;
    const gapMs = failuresInRow > 0 ? pace.failingMs : pace.forcedGapMs;
    const isTooSoon = clock.now() - lastForcedAt() < gapMs;
    if (!isTooSoon && !isClosed) {
      lastForced = clock.now();
      await readAll();
    }
    return clock.now() - lastChangeAt < pace.lateRefusalMs;
  }

  let lastForced = Number.NEGATIVE_INFINITY;
  function lastForcedAt(): number {
    // While the vault fails every read counts, so that it is left alone as promised.
    return failuresInRow > 0 ? lastReadAt : lastForced;
  }

  const firstLoad = readAll();
  return {
    get: shelf.get,
    sourceOf: shelf.sourceOf,
    whyMissing: shelf.whyMissing,
    loaded: () => firstLoad,
    refreshNow() {
      forced ??= readForRefusal().finally(() => {
        forced = undefined;
      });
      return forced;
    },
    onChange: bell.onRing,
    state: () => ({
      failing: failuresInRow > 0,
      ...(lastSuccessAt === undefined ? {} : { lastSuccessAt }),
      ...(lastError === undefined ? {} : { lastError }),
    }),
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
