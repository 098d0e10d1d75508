import ipaddr from 'ipaddr.js';

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
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return address;
  if (!ipaddr.IPv6.isValid(address)) return UNKNOWN_ADDRESS;
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
