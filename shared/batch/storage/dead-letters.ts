import type { BlobArea } from '../../storage/blob-container.ts';
import type { DeadLetter } from './batch-store.part.ts';

/** Where messages are kept that could not become a job. */
export const DEAD_LETTER_FOLDER = '_dead-letters/';

const MAX_MESSAGE_CHARS = 100_000;

export async function writeDeadLetter(
  area: BlobArea,
  { letter, now }: { readonly letter: DeadLetter; readonly now: number },
): Promise<void> {
  const at = new Date(now).toISOString();
  const message = writeDown(letter.message).slice(0, MAX_MESSAGE_CHARS);
  const name = `${DEAD_LETTER_FOLDER}${at.slice(0, 10)}/${crypto.randomUUID()}.json`;
  const content = JSON.stringify({ ...letter, at, message });
  await area.create(name, { content, contentType: 'application/json' });
}

/** A letter must be kept even when its message is nested so deeply that it cannot be written. */
function writeDown(message: unknown): string {
  try {
    return JSON.stringify(message) ?? 'undefined';
  } catch (error) {
    return `cannot be written: ${error instanceof Error ? error.message : typeof error}`;
  }
}
