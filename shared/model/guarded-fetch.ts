import { readText } from './read-body.ts';

/** The part of an error body that is read: enough for code and message, not for a web page. */
const MAX_ERROR_BYTES = 64 * 1024;
/** What goes upstream. Clients add platform details and headers from the environment; none of it. */
const SENT_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'api-key',
  'authorization',
  'content-type',
  'traceparent',
  'user-agent',
]);

/**
 * A `fetch` that never follows a redirect (the key would go along), sends only the headers that are
 * meant, and hands on error bodies with a cap.
 */
export function createGuardedFetch(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const headers = new Headers();
    for (const [name, value] of new Headers(init?.headers)) {
      if (SENT_HEADERS.has(name)) headers.set(name, value);
    }
    const response = await send(input, { ...init, headers, redirect: 'manual' });
    return response.ok ? response : withCappedBody(response);
  };
}

async function withCappedBody(response: Response): Promise<Response> {
  const { status, headers } = response;
  // A body that is too long or cut off says no more than its status; an abort shows up again later.
  const text = await readText(response, MAX_ERROR_BYTES).catch(() => '');
  const hasNoBody = status === 304;
  return new Response(hasNoBody ? null : text, { status, headers });
}
