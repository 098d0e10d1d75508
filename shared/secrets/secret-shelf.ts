import type { RoundOutcome } from './read-round.ts';
import type { SecretReading } from './secret-reader.ts';
import type { MissingReason, SecretName, SecretSource, WantedSecret } from './secrets.ts';
import { usableValue } from './usable-value.ts';

type Kept =
  | { readonly value: string; readonly version: string | undefined }
  | { readonly value: undefined; readonly reason: MissingReason };

/** The last known state of each secret, and what the environment has in its place. */
export interface SecretShelf {
  /** Takes over what a round found; what it did not find out stays. Names whose value changed. */
  put(outcome: RoundOutcome): SecretName[];
  get(name: SecretName): string | undefined;
  sourceOf(name: SecretName): SecretSource;
  whyMissing(name: SecretName): MissingReason | undefined;
  /** The vault has answered for every secret at least once. */
  isComplete(): boolean;
}

export function createSecretShelf(
  wanted: readonly WantedSecret[],
  variables: ReadonlyMap<SecretName, string>,
): SecretShelf {
  const answered = new Map<SecretName, Kept>();
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
        answered.set(name, keep(reading));
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
function isSameVersion(reading: SecretReading, kept: Kept | undefined): boolean {
  if (reading.kind === 'missing' || kept?.value === undefined) return false;
  return reading.version !== undefined && reading.version === kept.version;
}

function keep(reading: SecretReading): Kept {
  if (reading.kind === 'missing') return { value: undefined, reason: reading.reason };
  const usable = usableValue(reading.value);
  return usable.value === undefined ? usable : { value: usable.value, version: reading.version };
}
