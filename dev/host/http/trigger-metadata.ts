import { mergeObject, setIgnoringCase } from '../merge-metadata.ts';
import type { RpcData } from '../worker/messages.ts';
import { flattenHeaders } from './request-headers.ts';
import type { RequestHeaders } from './request-headers.ts';

export interface HttpMetadataInput {
  readonly headers: RequestHeaders;
  readonly query: URLSearchParams;
  /** The text of the body; only of a body that announced its length. */
  readonly body: string | undefined;
  readonly routeValues: Readonly<Record<string, string>>;
}

/**
 * The trigger metadata that the platform's HTTP binding makes of a request: properties of a JSON body, then query, then
 * route values, and `Query` and `Headers` only where no such name is taken yet, in any letter case. So
 * a caller can replace the headers that the app sees.
 */
export function buildHttpMetadata(input: HttpMetadataInput): Record<string, RpcData> {
  const metadata: Record<string, RpcData> = {};
  const names = new Map<string, string>();
  if (input.body !== undefined) mergeObject(metadata, { names, text: input.body });
  const query = joinRepeated(input.query);
  for (const [name, value] of Object.entries(query)) {
    if (name.toLowerCase() === 'code') continue;
    setIgnoringCase(metadata, { names, name, value: { string: value } });
  }
  for (const [name, value] of Object.entries(input.routeValues)) {
    setIgnoringCase(metadata, { names, name, value: { string: value } });
  }
  if (!names.has('query')) metadata['Query'] = { json: JSON.stringify(query) };
  if (!names.has('headers')) {
    metadata['Headers'] = { json: JSON.stringify(flattenHeaders(input.headers)) };
  }
  return metadata;
}

/** The query by name, letter case ignored; the values of a repeated name are joined with commas. */
export function joinRepeated(query: URLSearchParams): Record<string, string> {
  const result: Record<string, string> = {};
  const names = new Map<string, string>();
  for (const [name, value] of query) {
    const known = names.get(name.toLowerCase());
    if (known === undefined) names.set(name.toLowerCase(), name);
    result[known ?? name] = known === undefined ? value : `${result[known]},${value}`;
  }
  return result;
}
