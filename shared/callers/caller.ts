import { hash } from 'node:crypto';
import * as z from 'zod';
import { type CallerKeys, findCaller } from './caller-keys.ts';
import { clientAddress } from './client-address.ts';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';

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

/** Far above what the platform sends, far below what would cost time to parse. */
const MAX_HEADER_CHARS = 32_768;

const principalSchema = z.object({
  claims: z.array(z.object({ typ: z.string(), val: z.string() })),
});

const OBJECT_ID = ['oid', 'http://schemas.microsoft.com/identity/claims/objectidentifier'];
const TENANT_ID = ['tid', 'http://schemas.microsoft.com/identity/claims/tenantid'];
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The identity in the header that Easy Auth writes: tenant and object id, which nobody can choose
 * and which outlive a change of name. Undefined where the header is not one of Entra's.
 */
export function entraPrincipal(header: string): string | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const parsed = principalSchema.safeParse(
    parseJson(Buffer.from(header, 'base64').toString('utf8')),
  );
  if (!parsed.success) return undefined;
  const tenant = claimOf(parsed.data.claims, TENANT_ID);
  const object = claimOf(parsed.data.claims, OBJECT_ID);
  return tenant === undefined || object === undefined ? undefined : `${tenant}/${object}`;
}

function claimOf(
  claims: readonly { readonly typ: string; readonly val: string }[],
  types: readonly string[],
): string | undefined {
  const values = claims.filter(({ typ }) => types.includes(typ)).map(({ val }) => val);
  const [first] = values;
  // Two different answers to "who is it" are none.
  if (first === undefined || values.some((value) => value !== first)) return undefined;
  return GUID.test(first) ? first.toLowerCase() : undefined;
}

/** A caller as the stores know it: no address, name or pattern of theirs ever reaches Redis. */
export function hashIdentifier(callerId: string): string {
  return hash('sha256', callerId, 'base64url');
}
