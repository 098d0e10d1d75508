import { isIPv4, isIPv6 } from 'node:net';

export interface ClientAddressOptions {
  /** Proxies of our own between the platform's front end and the client, such as a gateway. */
  readonly proxiesInFront: number;
}

/** All whose address nobody can tell share one identity, so garbage opens no door. */
export const UNKNOWN_ADDRESS = 'unknown';

const IPV4_WITH_PORT = /^([\d.]+):\d{1,5}$/;
const IPV6_IN_BRACKETS = /^\[([^\]]+)\](?::\d{1,5})?$/;

/**
 * The network that a request came from, as an identity. Of the forwarded addresses only the last
 * ones were written by machines that we trust: what stands before them is the client's own word.
 */
export function clientAddress(
  forwardedFor: string | undefined,
  { proxiesInFront }: ClientAddressOptions,
): string {
  const entries = (forwardedFor ?? '').split(',');
  return normaliseAddress(entries.at(-1 - proxiesInFront) ?? '');
}

/** An IPv4 address as it is, an IPv6 address by its /64: one subscriber has all of that. */
export function normaliseAddress(text: string): string {
  const address = withoutPort(text.trim());
  if (isIPv4(address)) return address;
  const [bare = ''] = address.split('%');
  if (!isIPv6(bare)) return UNKNOWN_ADDRESS;
  const groups = expand(bare);
  return embeddedIpv4(groups) ?? `${groups.slice(0, 4).map(toHex).join(':')}::/64`;
}

function withoutPort(text: string): string {
  return IPV4_WITH_PORT.exec(text)?.[1] ?? IPV6_IN_BRACKETS.exec(text)?.[1] ?? text;
}

/** The eight groups of an address in any spelling; the URL parser knows them all. */
function expand(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right];
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** An IPv4 client that reached a socket of IPv6 is the same client. */
function embeddedIpv4(groups: readonly number[]): string | undefined {
  const [mark, high = 0, low = 0] = groups.slice(5);
  if (mark !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return undefined;
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

function toHex(group: number): string {
  return group.toString(16);
}
