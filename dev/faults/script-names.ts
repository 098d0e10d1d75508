import dns from 'node:dns';
import { readFileSync } from 'node:fs';

/**
 * Preloaded into a worker process: one host name is looked up as a file says, so that a failing
 * name service can be shown, and its recovery. Every other name is looked up as always.
 */
const SLOW_MS = 5_000;
const MOOD_FILE = process.env['SCRIPTED_NAMES_MOOD_FILE'] ?? '';
const lookup = dns.lookup.bind(dns) as (...args: unknown[]) => void;

dns.lookup = ((hostname: string, ...rest: unknown[]): void => {
  if (hostname !== 'scripted-names.example') return lookup(hostname, ...rest);
  const mood = readFileSync(MOOD_FILE, 'utf8');
  const answer = rest.at(-1) as (error: Error | null) => void;
  if (mood === 'well') lookup('127.0.0.1', ...rest);
  else if (mood === 'slow') setTimeout(() => lookup('127.0.0.1', ...rest), SLOW_MS).unref();
  else {
    const error = Object.assign(new Error(`getaddrinfo ${mood} ${hostname}`), { code: mood });
    setImmediate(answer, error);
  }
}) as typeof dns.lookup;
