import { ServiceError } from '../errors.ts';
import { findCaller, type CallerKeys } from './caller-keys.ts';
import { clientAddress } from './client-address.ts';
import { entraPrincipal } from './entra-principal.ts';

/** Who a request belongs to: the scope of limits, budgets, cache, sessions and batches. */
export interface Caller {
  /** Unique over all kinds, because each kind has its own prefix. */
  readonly id: string;
  readonly kind: 'entra' | 'key' | 'address';
}

/** What a request says about its sender. */
export interface CallerEvidence {
  /** A header as it came over the wire, which no query string or body can replace. */
  readonly header: (name: string) => string | undefined;
  /** `x-forwarded-for` as the platform handed it over, which the wire does not have. */
  readonly forwardedFor: string | undefined;
}

export interface CallerRules {
  /** Whether a front end that strips forged ones writes `x-ms-client-principal`. */
  readonly trustPrincipal: boolean;
  /** When there is a list, nobody without a key of it gets in. */
  readonly keys: CallerKeys | undefined;
  readonly proxiesInFront: number;
}

const BEARER = /^bearer +(\S+) *$/i;

/**
 * Who is calling, by the strongest evidence there is. The body is never asked.
 * @throws ServiceError unauthorized, with the same words whatever was wrong
 */
export function identifyCaller(evidence: CallerEvidence, rules: CallerRules): Caller {
  const principal = rules.trustPrincipal ? evidence.header('x-ms-client-principal') : undefined;
  if (principal !== undefined) {
    const id = entraPrincipal(principal);
    if (id === undefined) throw unauthorized();
    return { id: `entra:${id}`, kind: 'entra' };
  }
  if (rules.keys !== undefined) return callerByKey(evidence, rules.keys);
  return { id: `address:${clientAddress(evidence.forwardedFor, rules)}`, kind: 'address' };
}

/** Both headers are looked at in any case, so that the time tells nothing about either. */
function callerByKey({ header }: CallerEvidence, keys: CallerKeys): Caller {
  const bearer = BEARER.exec(header('authorization') ?? '')?.[1];
  const byBearer = findCaller(keys, bearer ?? '');
  const byApiKey = findCaller(keys, header('x-api-key')?.trim() ?? '');
  const name = byBearer ?? byApiKey;
  if (name === undefined) throw unauthorized();
  return { id: `key:${name}`, kind: 'key' };
}

function unauthorized(): ServiceError {
  return new ServiceError('unauthorized', 'Valid credentials are required');
}
