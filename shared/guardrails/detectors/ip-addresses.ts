import { isIPv4, isIPv6 } from 'node:net';
import type { TextRange } from './account-numbers.ts';
import { isDigitAt, isWordAt } from './digit-runs.ts';

/** Four numbers after one of these words are a version or a place in a document. */
const VERSION =
  /(?:\b(?:v|ver|versions?|release|build|firmware|driver|section|sect|chapter|clause|paragraph|figure|fig|table|step|oid|kernel)\.?[\s:#]{0,2}|§\s?)$/i;
const VERSION_CHARS = 16;
const IPV4 = /\d{1,3}(?:\.\d{1,3}){3}/g;
/** The longest textual IPv6 address has 45 characters. */
const IPV6 = /[0-9a-f]{0,4}:[0-9a-f:]{1,40}(?:\d{0,3}(?:\.\d{1,3}){3})?/gi;

/** IPv4 and IPv6 addresses, each with its zone and its prefix length when these follow. */
export function findIpAddresses(text: string): TextRange[] {
  const sixes = text.includes(':') ? findIpv6(text) : [];
  const fours = findIpv4(text).filter(
    ({ start }) => !sixes.some((six) => six.start <= start && start < six.end),
  );
  return [...sixes, ...fours];
}

function findIpv4(text: string): TextRange[] {
  return [...text.matchAll(IPV4)].flatMap(({ index, 0: address }) => {
    const end = index + address.length;
    if (!isIPv4(address) || isWordAt(text, index - 1) || isWordAt(text, end)) return [];
    const isLonger = /[.-]/.test(text.charAt(index - 1)) || isPartOfNumber(text, end);
    if (isLonger || VERSION.test(text.slice(Math.max(0, index - VERSION_CHARS), index))) return [];
    return [{ start: index, end: withPrefixLength(text, { end, max: 32 }) }];
  });
}

/** A fifth number makes it a version or an object id. */
function isPartOfNumber(text: string, end: number): boolean {
  return text.charAt(end) === '.' && isDigitAt(text, end + 1);
}

function findIpv6(text: string): TextRange[] {
  return [...text.matchAll(IPV6)].flatMap(({ index, 0: matched }) => {
    const address = isIPv6(matched) ? matched : matched.replace(/(?<!:):$/, '');
    const end = index + address.length;
    if (!isIPv6(address) || isWordAt(text, end) || text.charAt(end) === ':') return [];
    if (isWordAt(text, index - 1) || text.charAt(index - 1) === ':') return [];
    // "a::b" is a name in C++ and Rust; an address of that form has a digit or more parts.
    if (!/\d/.test(address) && address.split(':').length < 5) return [];
    const zone = /^%[\w.-]{1,16}/.exec(text.slice(end, end + 17))?.[0].length ?? 0;
    return [{ start: index, end: withPrefixLength(text, { end: end + zone, max: 128 }) }];
  });
}

/** The end of the address with its prefix length, if a valid one follows. */
function withPrefixLength(
  text: string,
  { end, max }: { readonly end: number; readonly max: number },
): number {
  const found = /^\/(\d{1,3})(?!\w|\.\d)/.exec(text.slice(end, end + 6));
  const [suffix = '', bits = ''] = found ?? [];
  return suffix !== '' && Number(bits) <= max ? end + suffix.length : end;
}
