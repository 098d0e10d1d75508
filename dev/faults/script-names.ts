import dns from 'node:dns';
import { readFileSync } from 'node:fs';

/**
 * Preloaded into a worker process: a file controls the lookup of one host name, so that a name
 * service can fail and recover. Lookups of other names are unchanged.
 */
const SLOW_MS = 5_000;
const STATE_FILE = process.env['SCRIPTED_NAMES_FILE'] ?? '';
const lookup = dns.lookup.bind(dns) as (...args: unknown[]) => void;

dns.lookup = ((hostname: string, ...rest: unknown[]): void => {
  if (hostname !== 'scripted-names.example') return lookup(hostname, ...rest);
  const state = readFileSync(STATE_FILE, 'utf8');
  const answer = rest.at(-1) as (error: Error | null) => void;
  if (state === 'healthy') lookup('127.0.0.1', ...rest);
  else if (state === 'slow') setTimeout(() => lookup('127.0.0.1', ...rest), SLOW_MS).unref();
  else {
    const error = Object.assign(new Error(`getaddrinfo ${state} ${hostname}`), { code: state });
    setImmediate(answer, error);
  }
}) as typeof dns.lookup;
