import { hash, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';

/** Who may call, by the hash of the key that each of them was given. */
export interface CallerKeys {
  readonly entries: readonly { readonly name: string; readonly digest: Buffer }[];
}

const digest = z.string().regex(/^[0-9a-f]{64}$/i);

const callerKeysSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  // Several while a caller goes over from an old key to a new one.
  z.union([digest, z.array(digest).min(1).max(8)]),
);

/**
 * The secret `caller-keys`: a JSON object of names to SHA-256 in hex, or to a list of them.
 * @throws ServiceError config_unavailable: a list that cannot be read lets nobody in
 */
export function parseCallerKeys(secret: string): CallerKeys {
  const parsed = callerKeysSchema.safeParse(parseJson(secret));
  if (!parsed.success) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot read the secret caller-keys: it must be a JSON object of names to SHA-256 in hex',
    );
  }
  const entries = Object.entries(parsed.data);
  return {
    entries: entries.flatMap(([name, digests]) =>
      [digests].flat().map((hex) => ({ name, digest: Buffer.from(hex, 'hex') })),
    ),
  };
}

/** The name that a presented key belongs to. Takes as long for a wrong key as for a right one. */
export function findCaller(keys: CallerKeys, presented: string): string | undefined {
  const digest = hash('sha256', presented, 'buffer');
  let found: string | undefined;
  for (const entry of keys.entries) {
    if (timingSafeEqual(entry.digest, digest)) found ??= entry.name;
  }
  // The hash of nothing in the list must not let in whoever presents nothing.
  return presented === '' ? undefined : found;
}

/** Where the secret `caller-keys` comes from. */
export interface CallerKeySource {
  /** The secret of the moment, or undefined where there is no usable one. */
  read(): string | undefined;
  /** Whether there is certainly no such secret, as opposed to one that cannot be read now. */
  isAbsent(): boolean;
  /** Why it cannot be read, in words that anybody may see. */
  whyMissing?(): string | undefined;
}

/**
 * The keys of the moment, parsed once for each value; undefined where callers need none. A list
 * that was there once, or that may be there, never becomes "none needed": a vault that is away, or
 * a secret that was emptied by mistake, must not open the door.
 * @throws ServiceError config_unavailable
 */
export function createCallerKeyStore(source: CallerKeySource): () => CallerKeys | undefined {
  let known: { readonly secret: string; readonly keys: CallerKeys } | undefined;
  return () => {
    const secret = source.read();
    if (secret === undefined) {
      if (known === undefined && !source.isAbsent()) {
        const reason = source.whyMissing?.() ?? 'not known yet';
        throw new ServiceError(
          'config_unavailable',
          `Cannot tell who may call: secret caller-keys: ${reason}`,
        );
      }
      return known?.keys;
    }
    if (known?.secret !== secret) known = { secret, keys: parseCallerKeys(secret) };
    return known.keys;
  };
}
