import { describeCause } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { SecretName } from './secrets.ts';

type Listener = (changed: readonly SecretName[]) => void;

/** Tells everybody who listens; one that throws is logged and does not keep it from the others. */
export interface ChangeBell {
  ring(changed: readonly SecretName[]): void;
  onRing(listener: Listener): () => void;
}

export function createChangeBell(telemetry: Telemetry): ChangeBell {
  const listeners = new Set<Listener>();
  return {
    ring(changed) {
      for (const listener of listeners) {
        try {
          listener(changed);
        } catch (thrown) {
          telemetry.error('changed secrets not taken over', { cause: describeCause(thrown) });
        }
      }
    },
    onRing(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
