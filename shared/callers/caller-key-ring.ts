import { ServiceError } from '../errors.ts';
import { parseCallerKeys, type CallerKeys } from './caller-keys.ts';

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
export function createCallerKeyRing(source: CallerKeySource): () => CallerKeys | undefined {
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
