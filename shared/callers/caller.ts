import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import { hash, timingSafeEqual } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';

/** The owner of a request: the scope of limits, budgets, cache, sessions and batches. */
export interface Caller {
  /** Unique across kinds: each kind has its own prefix. */
  readonly id: string;
  readonly kind: 'entra' | 'key' | 'address';
}

/** The parts of a request that identify its sender. */
export interface CallerEvidence {
  /** A header as received on the wire, which query string and body cannot override. */
  readonly header: (name: string) => string | undefined;
  /** `x-forwarded-for` as set by the platform; it is not on the wire. */
  readonly forwardedFor: string | undefined;
}

export interface CallerRules {
  /** Whether a front end sets `x-ms-client-principal` and removes forged ones. */
  readonly trustPrincipal: boolean;
  /** The app role that a principal must have; undefined: any principal may call. */
  readonly requiredRole: string | undefined;
  /** Whether an address alone is not enough, because nothing in front of the app checks a key. */
  readonly needsCredential: boolean;
  /** If defined, every request needs one of these keys. */
  readonly keys: CallerKeys | undefined;
  readonly proxiesInFront: number;
  /** Length of the network prefix that identifies an IPv6 caller. */
  readonly ipv6PrefixBits: number;
}

const BEARER = /^bearer +(\S+) *$/i;

/**
 * Identifies the caller by the strongest evidence: Entra principal, caller key, address. The body
 * is never used.
 * @throws ServiceError unauthorized, with the same message for every reason; forbidden for a
 *   principal without the required role
 */
export function identifyCaller(evidence: CallerEvidence, rules: CallerRules): Caller {
  const principal = rules.trustPrincipal ? evidence.header('x-ms-client-principal') : undefined;
  if (principal !== undefined) {
    return callerByPrincipal(principal, rules.requiredRole);
  }
  if (rules.keys !== undefined) return callerByKey(evidence, rules.keys);
  if (rules.needsCredential) throw unauthorized();
  return { id: `address:${clientAddress(evidence.forwardedFor, rules)}`, kind: 'address' };
}

function callerByPrincipal(header: string, requiredRole: string | undefined): Caller {
  const principal = readPrincipal(header);
  if (principal === undefined) throw unauthorized();
  if (requiredRole !== undefined && !principal.roles.includes(requiredRole)) {
    throw new ServiceError('forbidden', 'The Entra token lacks the app role for this service');
  }
  return { id: `entra:${principal.id}`, kind: 'entra' };
}

/** Always checks all headers, so that the response time reveals nothing. */
function callerByKey({ header }: CallerEvidence, keys: CallerKeys): Caller {
  const bearer = BEARER.exec(header('authorization') ?? '')?.[1];
  const byBearer = findCaller(keys, bearer ?? '');
  const byApiKey = findCaller(keys, header('x-api-key')?.trim() ?? '');
  // The header of Azure OpenAI clients.
  const byAzureKey = findCaller(keys, header('api-key')?.trim() ?? '');
  const name = byBearer ?? byApiKey ?? byAzureKey;
  if (name === undefined) throw unauthorized();
  return { id: `key:${name}`, kind: 'key' };
}

function unauthorized(): ServiceError {
  return new ServiceError('unauthorized', 'Valid credentials are required');
}

/** Far above the size of real principals, far below what takes noticeable time to parse. */
const MAX_HEADER_CHARS = 32_768;

const principalSchema = z.object({
  claims: z.array(z.object({ typ: z.string(), val: z.string() })),
});

const OBJECT_ID = ['oid', 'http://schemas.microsoft.com/identity/claims/objectidentifier'];
const TENANT_ID = ['tid', 'http://schemas.microsoft.com/identity/claims/tenantid'];
/** One claim for each role; the second name is that of tokens of version 1. */
const ROLE = new Set(['roles', 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role']);
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Tenant and object id, and the app roles, from the header that Easy Auth sets. Users cannot choose
 * them, and the ids survive a change of name. Undefined if the header is not a valid Entra principal.
 */
function readPrincipal(
  header: string,
): { readonly id: string; readonly roles: readonly string[] } | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const parsed = principalSchema.safeParse(
    parseJson(Buffer.from(header, 'base64').toString('utf8')),
  );
  if (!parsed.success) return undefined;
  const { claims } = parsed.data;
  const tenant = claimOf(claims, TENANT_ID);
  const object = claimOf(claims, OBJECT_ID);
  if (tenant === undefined || object === undefined) return undefined;
  const roles = claims.filter(({ typ }) => ROLE.has(typ)).map(({ val }) => val);
  return { id: `${tenant}/${object}`, roles };
}

function claimOf(
  claims: readonly { readonly typ: string; readonly val: string }[],
  types: readonly string[],
): string | undefined {
  const values = claims.filter(({ typ }) => types.includes(typ)).map(({ val }) => val);
  const [first] = values;
  // Contradicting claims identify no caller.
  if (first === undefined || values.some((value) => value !== first)) return undefined;
  return GUID.test(first) ? first.toLowerCase() : undefined;
}

/** Each request hashes its caller more than once. */
const hashes = new LRUCache<string, string>({ max: 1_000 });

/** A caller id for stores and logs: addresses, names and patterns never reach Redis. */
export function hashIdentifier(callerId: string): string {
  const known = hashes.get(callerId);
  if (known !== undefined) return known;
  const digest = hash('sha256', callerId, 'base64url');
  hashes.set(callerId, digest);
  return digest;
}

interface ClientAddressOptions {
  /** Own proxies between the platform's front end and the client, such as a gateway. */
  readonly proxiesInFront: number;
  /** Length of the network prefix that identifies an IPv6 caller. */
  readonly ipv6PrefixBits: number;
}

/** Shared by all callers without a valid address, so that invalid values give no extra quota. */
const UNKNOWN_ADDRESS = 'unknown';

const IPV4_WITH_PORT = /^([\d.]+):\d{1,5}$/;
const IPV6_IN_BRACKETS = /^\[([^\]]+)\](?::\d{1,5})?$/;

/**
 * The network that a request came from. Only the last entries of x-forwarded-for were written by
 * trusted proxies; the client may have sent everything before them.
 */
export function clientAddress(
  forwardedFor: string | undefined,
  { proxiesInFront, ipv6PrefixBits }: ClientAddressOptions,
): string {
  const entries = (forwardedFor ?? '').split(',');
  return normalizeAddress(entries.at(-1 - proxiesInFront) ?? '', { ipv6PrefixBits });
}

/** An IPv4 address unchanged; an IPv6 address as its network; IPv4-mapped addresses as IPv4. */
export function normalizeAddress(
  text: string,
  { ipv6PrefixBits }: Pick<ClientAddressOptions, 'ipv6PrefixBits'>,
): string {
  const address = withoutPort(text.trim());
  // The checks of ipaddr.js throw and catch an error for an address of the other kind.
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return UNKNOWN_ADDRESS;
  const parsed = ipaddr.IPv6.parse(address);
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  const network = ipaddr.IPv6.networkAddressFromCIDR(
    `${parsed.toNormalizedString().replace(/%.*$/, '')}/${ipv6PrefixBits}`,
  );
  return `${network.toString()}/${ipv6PrefixBits}`;
}

function withoutPort(text: string): string {
  return IPV4_WITH_PORT.exec(text)?.[1] ?? IPV6_IN_BRACKETS.exec(text)?.[1] ?? text;
}

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
