import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { AuthLevel } from '../app-functions.ts';
import type { RequestHeaders } from './request-headers.ts';

export interface HostKeys {
  /** Passes everything. */
  readonly master: string;
  /** By name; each passes every function. */
  readonly host?: Readonly<Record<string, string>>;
  /** By function name, then by key name. */
  readonly functions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What a caller may do with the key that came with a request. */
export type Grant = 'admin' | 'function' | 'none';

const HEADER = 'x-functions-key';

/** Fresh keys, for a host that enforces them and was given none. */
export function createKeys(): Required<Pick<HostKeys, 'master' | 'host'>> {
  return { master: createKey(), host: { default: createKey() } };
}

/** The key of a request: the first header wins over the query, even when it is wrong. */
export function keyOf(headers: RequestHeaders, query: () => URLSearchParams): string {
  const header = headers.get(HEADER)?.values[0];
  if (header !== undefined) return header;
  const [, code = ''] = [...query()].find(([name]) => name.toLowerCase() === 'code') ?? [];
  return code;
}

/** What a key is good for; with a function name, keys of that function count as well. */
export function grantOf(key: string, { keys, functionName }: KeyRing): Grant {
  if (key === '') return 'none';
  if (isEqual(key, keys.master)) return 'admin';
  const own = Object.entries(keys.functions ?? {}).filter(
    ([name]) => functionName === undefined || name.toLowerCase() === functionName.toLowerCase(),
  );
  const candidates = [keys.host ?? {}, ...own.map(([, byName]) => byName)].flatMap((byName) =>
    Object.values(byName),
  );
  return candidates.some((candidate) => isEqual(key, candidate)) ? 'function' : 'none';
}

export interface KeyRing {
  readonly keys: HostKeys;
  /** Undefined: the keys of every function count. */
  readonly functionName?: string;
}

/** Whether a grant is enough for a function. */
export function maySatisfy(grant: Grant, level: AuthLevel): boolean {
  if (level === 'anonymous') return true;
  return level === 'function' ? grant !== 'none' : grant === 'admin';
}

function createKey(): string {
  return randomBytes(32).toString('base64url');
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
