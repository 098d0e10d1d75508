import { createHash } from 'node:crypto';

const KEPT_COUNTERS = 10_000;

/**
 * How often each conversation met its fault, so that concurrent callers do not affect each other.
 */
export interface FaultTurns {
  /** Counts from 0. */
  next(model: string, conversation: unknown): number;
  forget(model: string, conversation: unknown): void;
  clear(): void;
}

/** Counters within a fixed bound: the least recently used conversation is dropped first. */
export function createFaultTurns(): FaultTurns {
  const turns = new Map<string, number>();
  return {
    next(model, conversation) {
      const key = keyOf(model, conversation);
      const turn = turns.get(key) ?? 0;
      turns.delete(key);
      turns.set(key, turn + 1);
      const oldest = turns.keys().next();
      if (turns.size > KEPT_COUNTERS && oldest.done !== true) turns.delete(oldest.value);
      return turn;
    },
    forget: (model, conversation) => void turns.delete(keyOf(model, conversation)),
    clear: () => turns.clear(),
  };
}

function keyOf(model: string, conversation: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([model, conversation]))
    .digest('base64');
}
