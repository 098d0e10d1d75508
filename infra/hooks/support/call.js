import { setting } from './terminal.js';

/** Creates the HTTP client of the smoke test; it sends the credentials. */
export function createCaller(url, key) {
  const base = url.replace(/\/+$/, '');
  const bearer = setting('SMOKE_BEARER_TOKEN');
  const callerKey = setting('SMOKE_CALLER_KEY');
  const credentials = {
    'x-functions-key': key,
    ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
    ...(callerKey === undefined ? {} : { 'x-api-key': callerKey }),
  };
  return {
    isHttps: base.startsWith('https:'),
    get: (path, options) => call(path, { method: 'GET', ...options }),
    post: (path, body, options) =>
      call(path, {
        method: 'POST',
        body: body instanceof FormData ? body : JSON.stringify(body),
        ...options,
        headers: {
          ...(body instanceof FormData ? {} : { 'content-type': 'application/json' }),
          ...options?.headers,
        },
      }),
    request: (path, options) => call(path, options),
  };

  async function call(path, { isAuthenticated = true, headers, timeoutMs = 90_000, ...rest } = {}) {
    const response = await fetch(`${base}${path}`, {
      ...rest,
      redirect: 'manual',
      headers: { ...(isAuthenticated ? credentials : {}), ...headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const { text, pieces } = await readPieces(response);
    return { status: response.status, headers: response.headers, text, pieces };
  }
}

/** The body, and the number of pieces in which it arrived: 1 if something in front collects it. */
async function readPieces(response) {
  const decoder = new TextDecoder();
  let text = '';
  let pieces = 0;
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    pieces += 1;
  }
  return { text: text + decoder.decode(), pieces };
}

/** The parsed JSON of a body; undefined if it is not JSON. */
export function jsonOf({ text }) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Fails a check with a message of one line. */
export function expect(isTrue, what) {
  if (!isTrue) throw new Error(what);
}
