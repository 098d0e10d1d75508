import { VaultError, type SecretReader, type SecretReading } from './secret-reader.ts';
import type { SecretName, VaultTrouble } from './secrets.ts';

export interface RoundOutcome {
  readonly readings: ReadonlyMap<SecretName, SecretReading>;
  /** Secrets that the vault said nothing of, with the reason. */
  readonly troubles: ReadonlyMap<SecretName, VaultTrouble>;
}

export interface RoundOptions {
  readonly reader: SecretReader;
  readonly names: readonly SecretName[];
  readonly timeoutMs: number;
}

/** Reads all secrets at once, with one time limit for all of them. Never throws. */
export async function readRound({ reader, names, timeoutMs }: RoundOptions): Promise<RoundOutcome> {
  const readings = new Map<SecretName, SecretReading>();
  const troubles = new Map<SecretName, VaultTrouble>();
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
