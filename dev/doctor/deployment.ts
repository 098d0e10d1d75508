import { setTimeout as delay } from 'node:timers/promises';

/** How long one request may take; an answer of a model takes seconds. */
const REQUEST_TIMEOUT_MS = 90_000;
/** Enough to see an outlier, and cheap. */
const BASELINE_CHATS = 10;
/** The exporter sends every 5 s. */
const EXPORT_WAIT_MS = 8_000;
const EXPORT_POLL_MS = 1_000;
/** How /ready reports that no telemetry is configured. */
const NO_EXPORTER = /"APPLICATIONINSIGHTS_CONNECTION_STRING":"none"/;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly durationMs: number;
}

/** A running app, as its callers see it. */
export interface Deployment {
  readonly url: URL;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Asks the model a question that no cache can answer. */
  chat(options?: { readonly isAnonymous?: boolean }): Promise<Reply>;
  /** Sends a body to the chat route; equal bodies may be answered by the cache. */
  post(body: unknown): Promise<Reply>;
  /** Chats one after the other, measured once for every box that reads them. */
  baseline(): Promise<readonly Reply[]>;
  /** Exports of telemetry so far; waits for the first one. */
  exports(): Promise<{ readonly sent: number; readonly dropped: number }>;
  readonly hasCredentials: boolean;
}

interface Credentials {
  /** A key of the functions. */
  readonly key?: string | undefined;
  /** A token of Entra ID, or a caller key. */
  readonly token?: string | undefined;
}

/** A client of the app at the URL. */
export function createDeployment(url: URL, { key, token }: Credentials = {}): Deployment {
  let measured: Promise<readonly Reply[]> | undefined;
  const credentials = {
    ...(key !== undefined && { 'x-functions-key': key }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };

  async function call(path: string, init: RequestInit): Promise<Reply> {
    const startedAt = performance.now();
    const response = await fetch(new URL(path, url), {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const text = await response.text();
    const { status, headers } = response;
    return { status, headers, text, durationMs: performance.now() - startedAt };
  }
  function post(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return call('/api/chat', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }
  function chat({ isAnonymous = false } = {}): Promise<Reply> {
    const message = `Repeat this id: ${crypto.randomUUID()}`;
    return post({ message }, { 'cache-control': 'no-store', ...(isAnonymous ? {} : credentials) });
  }
  async function measure(): Promise<readonly Reply[]> {
    const replies: Reply[] = [];
    for (let index = 0; index < BASELINE_CHATS; index += 1) replies.push(await chat());
    return replies;
  }
  async function waitForExports() {
    await (measured ??= measure());
    const { text: ready } = await call('/ready', {});
    if (NO_EXPORTER.test(ready)) return { sent: 0, dropped: 0 };
    const deadline = Date.now() + EXPORT_WAIT_MS;
    for (;;) {
      const { status, text } = await call('/metrics', { headers: credentials });
      if (status !== 200) return { sent: 0, dropped: 0 };
      const counts = { sent: exportsWith(text, 'sent'), dropped: exportsWith(text, 'dropped') };
      if (counts.sent + counts.dropped > 0 || Date.now() > deadline) return counts;
      await delay(EXPORT_POLL_MS);
    }
  }
  let exported: ReturnType<typeof waitForExports> | undefined;
  return {
    url,
    hasCredentials: key !== undefined || token !== undefined,
    get: (path, headers = {}) => call(path, { headers: { ...credentials, ...headers } }),
    chat,
    post: (body) => post(body, credentials),
    baseline: () => (measured ??= measure()),
    exports: () => (exported ??= waitForExports()),
  };
}

function exportsWith(text: string, outcome: string): number {
  const pattern = new RegExp(
    `^agent_telemetry_exports_total\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)`,
    'm',
  );
  return Number(pattern.exec(text)?.[1] ?? 0);
}
