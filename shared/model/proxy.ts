import { BlockList, isIP } from 'node:net';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Returns the URL of the proxy for an address; undefined for a direct connection. */
export type ProxySelector = (url: URL) => string | undefined;

export interface ProxyOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly telemetry: Telemetry;
}

/**
 * Selects proxies by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, each also in lower case, which
 * takes precedence. Loopback addresses never go through a proxy. A value that is not the URL of an
 * HTTP proxy is ignored with a log line that names the variable.
 */
export function createProxySelector({ environment, telemetry }: ProxyOptions): ProxySelector {
  function read(name: string): string | undefined {
    const value = (environment[name.toLowerCase()] || environment[name] || '').trim();
    if (value === '') return undefined;
    const proxy = URL.parse(value.includes('://') ? value : `http://${value}`);
    if (proxy !== null && ['http:', 'https:'].includes(proxy.protocol)) return proxy.href;
    telemetry.warn('proxy variable ignored', { variable: name });
    return undefined;
  }
  const all = read('ALL_PROXY');
  const proxies = new Map([
    ['http:', read('HTTP_PROXY') ?? all],
    ['https:', read('HTTPS_PROXY') ?? all],
  ]);
  if ([...proxies.values()].some(Boolean) && !supportsProxies(process.versions.node)) {
    telemetry.error('proxies need a newer Node', { version: process.versions.node });
  }
  const isBypassed = createBypass(environment['no_proxy'] || environment['NO_PROXY'] || '');
  return (url) => {
    const proxy = proxies.get(url.protocol);
    return proxy === undefined || isBypassed(url) ? undefined : proxy;
  };
}

/** Agents of older versions ignore their proxy. */
export function supportsProxies(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major === 22) return minor >= 21;
  return major === 24 ? minor >= 5 : major > 24;
}

/** Hosts of this machine: loopback, and the metadata service that issues identity tokens. */
const LOCAL_HOSTS = ['localhost', '.localhost', '127.0.0.1', '::1', '[::1]', '169.254.169.254'];
const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'] as const;

/**
 * Rewrites the proxy variables for the clients of the Azure SDK, which read them by other rules:
 * they prefer upper case, need a scheme, and know in NO_PROXY only exact hosts and `.domain`. The
 * hosts of this machine are added.
 */
export function prepareProxyVariables(environment: Record<string, string | undefined>): void {
  const entries = (environment['no_proxy'] || environment['NO_PROXY'] || '').split(/[\s,]+/);
  const isDirect = entries.includes('*');
  for (const name of PROXY_VARIABLES) {
    const value = (environment[name.toLowerCase()] || environment[name] || '').trim();
    delete environment[name.toLowerCase()];
    if (value === '' || isDirect) delete environment[name];
    else environment[name] = value.includes('://') ? value : `http://${value}`;
  }
  delete environment['no_proxy'];
  const hosts = entries.filter((entry) => entry !== '').flatMap(hostsOf);
  environment['NO_PROXY'] = [...new Set([...hosts, ...LOCAL_HOSTS])].join(',');
}

/** An entry in its own form, which the model client reads, and in the forms of the SDK. */
function hostsOf(entry: string): string[] {
  const isName = /^[*.]*[a-z][\w.-]*(?::\d+)?$/i.test(entry);
  if (!isName) return [entry];
  const domain = entry
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/:\d+$/, '');
  return [entry, domain, `.${domain}`];
}

/** The entries of NO_PROXY besides `*`: a host with its subdomains, an address or a network. */
function createBypass(noProxy: string): (url: URL) => boolean {
  const entries = noProxy.split(/[\s,]+/).filter((entry) => entry !== '');
  const addresses = new BlockList();
  addresses.addSubnet('127.0.0.0', 8);
  addresses.addAddress('::1', 'ipv6');
  for (const entry of entries) addAddress(addresses, entry);
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const family = isIP(host);
    if (family !== 0) return addresses.check(host, family === 4 ? 'ipv4' : 'ipv6');
    if (host === 'localhost' || host.endsWith('.localhost')) return true;
    return entries.some((entry) => isMatch(entry, { host, port: portOf(url) }));
  };
}

function addAddress(addresses: BlockList, entry: string): void {
  const [address = '', prefix] = entry.replace(/^\[|\]$/g, '').split('/');
  const family = isIP(address);
  if (family === 0) return;
  const name = family === 4 ? 'ipv4' : 'ipv6';
  const bits = Number(prefix ?? (family === 4 ? 32 : 128));
  const isPrefix = Number.isInteger(bits) && bits >= 0 && bits <= (family === 4 ? 32 : 128);
  if (isPrefix) addresses.addSubnet(address, bits, name);
}

function isMatch(
  entry: string,
  { host, port }: { readonly host: string; readonly port: string },
): boolean {
  if (entry === '*') return true;
  const [pattern = '', onlyPort = port] = entry.toLowerCase().split(':');
  const domain = pattern.replace(/^\*?\./, '');
  return onlyPort === port && domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

function portOf({ port, protocol }: URL): string {
  if (port !== '') return port;
  return protocol === 'https:' ? '443' : '80';
}
