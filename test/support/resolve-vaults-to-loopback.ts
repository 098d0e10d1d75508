import dns from 'node:dns';

/**
 * Preloaded into a worker process: the names of vaults lead to this machine, as a hosts file would
 * have it. The app itself is what is deployed, with its https and its check of the challenge.
 */
const VAULT = /\.vault\.azure\.net$/;
const lookup = dns.lookup.bind(dns) as (...args: unknown[]) => void;

dns.lookup = ((hostname: string, ...rest: unknown[]): void => {
  lookup(VAULT.test(hostname) ? '127.0.0.1' : hostname, ...rest);
}) as typeof dns.lookup;
