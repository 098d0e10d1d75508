import { setting } from './terminal.js';

/** What every call of a smoke test needs to know. */
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
    ask: (path, options) => call(path, options),
  };

  async function call(path, { isKnown = true, headers, timeoutMs = 90_000, ...rest } = {}) {
    const response = await fetch(`${base}${path}`, {
      ...rest,
      redirect: 'manual',
      headers: { ...(isKnown ? credentials : {}), ...headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  }
}

/** The value that a body holds as JSON; undefined where it is none. */
export function jsonOf({ text }) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Fails a check with what was expected and what came, in one line. */
export function expect(isTrue, what) {
  if (!isTrue) throw new Error(what);
}
