import { isUtf8 } from 'node:buffer';

/** One header of a request: its name as sent first, and a value for each line that had the name. */
export interface RequestHeader {
  readonly name: string;
  readonly values: readonly string[];
}

/** The headers of a request as the platform's web server reads them, by name in lower case. */
export type RequestHeaders = ReadonlyMap<string, RequestHeader>;

/**
 * How a header name that Node's parser refuses is written for it: in hexadecimal digits behind this
 * prefix. The platform's web server accepts such names.
 */
const ENCODED_NAME = 'x-local-host-encoded-name-';

const PLAIN = /^[\t -~]*$/;

/** Reads the lines of a request head. Values are UTF-8; chunked encoding overrides a length. */
export function readHeaders(rawHeaders: readonly string[]): RequestHeaders {
  const headers = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = decodeName(rawHeaders[index] ?? '');
    const value = Buffer.from(rawHeaders[index + 1] ?? '', 'latin1').toString('utf8');
    const known = headers.get(name.toLowerCase());
    if (known === undefined) headers.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  if (headers.has('transfer-encoding')) headers.delete('content-length');
  return headers;
}

/** Whether the platform's web server refuses a value: it must be UTF-8 and have no zero byte. */
export function isRefusedValue(rawValue: string): boolean {
  if (PLAIN.test(rawValue)) return false;
  return rawValue.includes('\0') || !isUtf8(Buffer.from(rawValue, 'latin1'));
}

/** A header as one text; repeated lines are joined as the platform's forwarder joins them. */
export function joinHeader(headers: RequestHeaders, name: string): string | undefined {
  return headers.get(name)?.values.join(name === 'cookie' ? '; ' : ', ');
}

/** All headers as plain texts, by name in lower case. */
export function flattenHeaders(headers: RequestHeaders): Record<string, string> {
  return Object.fromEntries(
    [...headers.keys()].map((name) => [name, joinHeader(headers, name) ?? '']),
  );
}

export function encodeName(name: string): string {
  return ENCODED_NAME + Buffer.from(name, 'latin1').toString('hex');
}

function decodeName(name: string): string {
  if (!name.startsWith(ENCODED_NAME)) return name;
  return Buffer.from(name.slice(ENCODED_NAME.length), 'hex').toString('latin1');
}
