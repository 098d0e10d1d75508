import ipaddr from 'ipaddr.js';
import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isIP } from 'node:net';
import * as z from 'zod';
import { defineTool, type Tool, ToolInputError } from '../tool.ts';

/** What stands between a URL and a connection. Tests replace parts of it. */
export interface SafeFetchOptions {
  /** DNS names in lower case; `*.example.com` stands for all names below it. */
  readonly allowedHosts: readonly string[];
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly isPublic?: (address: string) => boolean;
  readonly port?: number;
  /** Trusted certificates instead of the built-in ones. */
  readonly ca?: string | undefined;
}

export interface FetchedText {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** True where the body is longer than the cap. */
  readonly isCut: boolean;
}

const HTTPS_PORT = 443;
const MAX_URL_CHARS = 2_048;
const MAX_REDIRECTS = 3;
const MAX_BYTES = 1_048_576;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const TEXT_TYPES =
  /^(?:text\/[\w.+-]+|application\/(?:[\w.-]+\+)?(?:json|xml)|application\/javascript)$/;

/**
 * Reads a text by GET over HTTPS from an allowed host. The host is resolved once, every address is
 * checked, and the connection goes to a checked address, so a second answer of the DNS changes
 * nothing. Each redirect is checked like the first URL.
 * @throws ToolInputError if the URL is not allowed or has no text; Error if the host does not answer
 */
export async function safeFetch(
  url: string,
  { signal, ...options }: SafeFetchOptions & { readonly signal: AbortSignal },
): Promise<FetchedText> {
  let target = parseTarget(url, options);
  for (let redirects = 0; ; redirects += 1) {
    const address = await checkedAddress(target, options);
    const response = await get(target, { ...options, address, signal });
    const { statusCode: status = 0, headers } = response;
    if (!REDIRECTS.has(status)) return readText(response);
    response.destroy();
    if (redirects === MAX_REDIRECTS) throw new ToolInputError('"url" redirects too often');
    target = parseTarget(URL.parse(headers.location ?? '', target.href)?.href ?? '', options);
  }
}

function parseTarget(text: string, { allowedHosts, port = HTTPS_PORT }: SafeFetchOptions): URL {
  const url = text.length > MAX_URL_CHARS ? null : URL.parse(text);
  if (url === null || url.protocol !== 'https:') {
    throw new ToolInputError('"url" must be an https URL');
  }
  const isPlain = url.username === '' && url.password === '';
  if (!isPlain || Number(url.port || HTTPS_PORT) !== port) {
    throw new ToolInputError('"url" must have neither credentials nor a port');
  }
  if (!allowedHosts.some((allowed) => matchesHost(hostOf(url), allowed))) {
    throw new ToolInputError(`"url" must have one of these hosts: ${allowedHosts.join(', ')}`);
  }
  return url;
}

/** Without the brackets of an IPv6 address and the dot of the root. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function matchesHost(host: string, allowed: string): boolean {
  return allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed;
}

/** One private address among the public ones refuses the host: it would be used some time. */
async function checkedAddress(
  url: URL,
  { resolve = resolveHost, isPublic = isPublicAddress }: SafeFetchOptions,
): Promise<string> {
  const host = hostOf(url);
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  const [first] = addresses;
  if (first === undefined || !addresses.every(isPublic)) {
    throw new ToolInputError('"url" must have a host with a public address');
  }
  return first;
}

async function resolveHost(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Virtual addresses of Azure: the platform itself answers there, although they are not private. */
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16']);
/** The only range of IPv6 that is routed on the Internet. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** Whether an address belongs to the Internet; false for whatever is not an address. */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.process(text);
  if (address.range() !== 'unicast' || PLATFORM_ADDRESSES.has(address.toString())) return false;
  return address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST);
}

interface CheckedTarget extends SafeFetchOptions {
  readonly address: string;
  readonly signal: AbortSignal;
}

function get(url: URL, { address, signal, ca }: CheckedTarget): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const family = isIP(address);
  const call = request(url, {
    signal,
    ca,
    // No connection of another call is used again, and none is kept.
    agent: false,
    headers: { accept: 'text/*, application/json, application/xml', 'accept-encoding': 'identity' },
    lookup(_host, options, callback) {
      if (options.all === true) callback(null, [{ address, family }]);
      else callback(null, address, family);
    },
  });
  call.on('response', resolve).on('error', reject).end();
  return promise;
}

async function readText(response: IncomingMessage): Promise<FetchedText> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = response.headers;
  const contentType = (type.split(';')[0] ?? '').trim().toLowerCase();
  if (!TEXT_TYPES.test(contentType) || encoding !== 'identity') {
    response.destroy();
    throw new ToolInputError('"url" must lead to a text, such as HTML or JSON');
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk.subarray(0, MAX_BYTES - bytes));
    bytes += chunk.length;
    // Leaving the loop closes the connection.
    if (bytes > MAX_BYTES) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, contentType, text, isCut: bytes > MAX_BYTES };
}

/** The whole fetch with its redirects. */
const TIMEOUT_MS = 5_000;

/** Reads a page or a document from the hosts that the settings allow. */
export function createHttpFetch(options: SafeFetchOptions): Tool {
  return defineTool({
    name: 'http_fetch',
    description: `Reads a text by HTTPS from one of these hosts: ${options.allowedHosts.join(', ')}.`,
    parameters: z.strictObject({ url: z.string().describe('The https URL to read.') }),
    effect: 'none',
    dataFrom: 'the Internet',
    timeoutMs: TIMEOUT_MS,
    async run({ url }, { signal }) {
      const { status, contentType, text, isCut } = await safeFetch(url, { ...options, signal });
      const length = isCut ? ' It was cut after 1 MiB.' : '';
      return `Status ${status}, ${contentType}.${length}\n${text}`;
    },
  });
}
