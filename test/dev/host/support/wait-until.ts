import { setTimeout as delay } from 'node:timers/promises';

const LIMIT_MS = 30_000;

/** Waits until something is there; says what was missing when it takes too long. */
export async function waitUntil<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${what}`);
    await delay(10);
  }
}
