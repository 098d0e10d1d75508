import { METHODS } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { encodeName, isRefusedValue } from './request-headers.ts';
import { readRequestTarget } from './request-target.ts';
import type { RequestTarget } from './request-target.ts';

/** Limits of the platform's web server; the first two in bytes. */
const MAX_REQUEST_LINE = 8 * 1024;
const MAX_HEADERS = 32 * 1024;
const MAX_HEADER_COUNT = 100;

/** What the platform's web server accepts as a host: a name or an address, and perhaps a port. */
const HOST = /^(?:[A-Za-z0-9!$&'()\-._~]*|\[[0-9A-Fa-f:.]+\])(?::\d+)?$/;

/** A method that Node's parser knows and that no function can have, so it is answered with 404. */
const UNROUTED_METHOD = 'PROPFIND';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A header name that the platform's web server accepts: ASCII, no zero byte and no blank. */
// oxlint-disable-next-line no-control-regex -- the platform accepts control characters in a name
const ACCEPTED_NAME = /^[\x01-\x08\x0e-\x1f!-9;-\x7e]+$/;

/** The target of a request, or the status with which the web server refuses it before the host sees it. */
export type Admission = { readonly target: RequestTarget } | { readonly status: 400 | 414 | 431 };

export function admitRequest({ url = '/', method = '', rawHeaders }: IncomingMessage): Admission {
  const lineLength = method.length + url.length + ' HTTP/1.1\r\n'.length + 1;
  if (lineLength > MAX_REQUEST_LINE) return { status: 414 };
  if (areTooLarge(rawHeaders)) return { status: 431 };
  if (areMalformed(rawHeaders)) return { status: 400 };
  // No route matches it, so it ends with 404.
  if (method === 'OPTIONS' && url === '*')
    return { target: { path: '*', search: '', forwardedPath: '*' } };
  const target = readRequestTarget(url);
  return target === undefined ? { status: 400 } : { target };
}

function areTooLarge(rawHeaders: readonly string[]): boolean {
  if (rawHeaders.length > 2 * MAX_HEADER_COUNT) return true;
  let size = 0;
  for (const text of rawHeaders) size += text.length + 2;
  return size > MAX_HEADERS;
}

function areMalformed(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? '';
    if (isRefusedValue(value)) return true;
    if (rawHeaders[index]?.toLowerCase() !== 'host') continue;
    hosts += 1;
    if (hosts > 1 || !HOST.test(value)) return true;
  }
  return false;
}

/**
 * Rewrites the head of a request that Node's parser refuses and the platform's web server accepts:
 * an unknown method, and header names that are no tokens. Undefined when that is not the reason.
 */
export function rewriteHead(packet: Buffer): Buffer | undefined {
  const text = packet.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [requestLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const rewritten = [rewriteMethod(requestLine), ...lines.map(rewriteName)].join('\r\n');
  if (rewritten === text.slice(0, end)) return undefined;
  return Buffer.from(rewritten + text.slice(end), 'latin1');
}

function rewriteMethod(requestLine: string): string {
  const [method = '', ...rest] = requestLine.split(' ');
  if (rest.length !== 2 || !TOKEN.test(method) || METHODS.includes(method)) return requestLine;
  return [UNROUTED_METHOD, ...rest].join(' ');
}

function rewriteName(line: string): string {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon));
  if (TOKEN.test(name) || !ACCEPTED_NAME.test(name)) return line;
  return encodeName(name) + line.slice(colon);
}
