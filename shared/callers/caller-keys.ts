import { hash, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';

/** Names of callers with the SHA-256 of their keys. */
export interface CallerKeys {
  readonly entries: readonly { readonly name: string; readonly digest: Buffer }[];
}

const digest = z.string().regex(/^[0-9a-f]{64}$/i);

const callerKeysSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  // Several during the rotation of a key.
  z.union([digest, z.array(digest).min(1).max(8)]),
);

/**
 * Parses the secret `caller-keys`: a JSON object of names to SHA-256 in hex, or to a list of them.
 * @throws ServiceError config_unavailable, so that an invalid or empty list admits no caller
 */
export function parseCallerKeys(secret: string): CallerKeys {
  const entries = entriesOf(secret);
  if (entries.length === 0) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot read the secret caller-keys: it must be a JSON object of names to SHA-256 in hex',
    );
  }
  return {
    entries: entries.flatMap(([name, digests]) =>
      [digests].flat().map((hex) => ({ name, digest: Buffer.from(hex, 'hex') })),
    ),
  };
}

/** Whether the list names a caller: who wants no caller keys deletes the secret. */
export function isUsableList(secret: string): boolean {
  return entriesOf(secret).length > 0;
}

function entriesOf(secret: string): readonly [string, string | string[]][] {
  return Object.entries(callerKeysSchema.safeParse(parseJson(secret)).data ?? {});
}

/** The name that belongs to a key, in constant time for valid and invalid keys. */
export function findCaller(keys: CallerKeys, presented: string): string | undefined {
  const digest = hash('sha256', presented, 'buffer');
  let found: string | undefined;
  for (const entry of keys.entries) {
    if (timingSafeEqual(entry.digest, digest)) found ??= entry.name;
  }
  // The list may contain the hash of the empty text.
  return presented === '' ? undefined : found;
}

/** The source of the secret `caller-keys`. */
interface CallerKeySource {
  /** The current secret, or undefined if there is no usable one. */
  read(): string | undefined;
  /** Whether the secret does not exist, as opposed to one that cannot be read now. */
  isAbsent(): boolean;
  /** Why it cannot be read, as text that is safe to show to any caller. */
  missingReason?(): string | undefined;
}

/**
 * Returns the current keys, parsed once for each value; undefined if callers need no key. A list
 * that existed once, or that may exist, never becomes "no key needed": an unavailable vault or an
 * emptied secret must not admit callers without a key.
 * @throws ServiceError config_unavailable
 */
export function createCallerKeyStore(source: CallerKeySource): () => CallerKeys | undefined {
  let current: { readonly secret: string; readonly keys: CallerKeys } | undefined;
  return () => {
    const secret = source.read();
    if (secret === undefined) {
      if (current === undefined && !source.isAbsent()) {
        const reason = source.missingReason?.() ?? 'not loaded yet';
        throw new ServiceError(
          'config_unavailable',
          `Cannot identify callers: secret caller-keys: ${reason}`,
        );
      }
      return current?.keys;
    }
    if (current?.secret !== secret) current = { secret, keys: parseCallerKeys(secret) };
    return current.keys;
  };
}
