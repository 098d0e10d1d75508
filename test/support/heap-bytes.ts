import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of reachable objects on the heap: collects garbage first. */
export function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('Cannot collect garbage in this process');
  collect();
  return process.memoryUsage().heapUsed;
}
