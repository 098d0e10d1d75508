import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { SecretName, SecretsState, VaultTrouble } from './secrets.ts';

/** How the vault has been of late, told to operators when it changes and not more often. */
export interface VaultHealth {
  /** The end of a read; without troubles it was a success. */
  note(troubles: ReadonlyMap<SecretName, VaultTrouble>): void;
  failuresInRow(): number;
  state(): SecretsState;
}

/** How often operators are told that the vault is still away. */
const WARN_EVERY_MS = 60_000;

export function createVaultHealth(clock: Clock, telemetry: Telemetry): VaultHealth {
  let failuresInRow = 0;
  let lastSuccessAt: number | undefined;
  let lastError: VaultTrouble | undefined;
  let lastWarnAt: number | undefined;

  function noteTrouble(troubles: ReadonlyMap<SecretName, VaultTrouble>): void {
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
