import { AsyncLocalStorage } from 'node:async_hooks';
import { delay } from '../../resilience/abort.ts';

/** A header that proves who is calling. */
export type McpCredential =
  | { readonly header: string; readonly value: string }
  | 'none'
  | 'missing';

/** The server requires a credential, and there is none. */
export class McpCredentialError extends Error {
  constructor() {
    super('The credential of the MCP server is missing');
    this.name = 'McpCredentialError';
  }
}

/** A tool result that a model can read is much smaller. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** A server decides how soon its stream is opened again, and could say at once without end. */
const MAX_STREAMS = { count: 10, windowMs: 10_000 } as const;

/** The call that a response belongs to. */
interface CallScope {
  /** The response has ended. Without a result by then, none will come. */
  readonly ended: (error: Error) => void;
  /** Aborts when the call ends early: the client library would leave its requests open. */
  readonly signal: AbortSignal;
}

export const callScope = new AsyncLocalStorage<CallScope>();

/** The fetch of one session: it adds the credential and bounds the size of each response. */
export function createBoundedFetch(credential: () => McpCredential) {
  const waitForStream = createStreamLimit();
  return async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
    if (init.method === 'GET' && init.signal) await waitForStream(init.signal);
    const headers = new Headers(init.headers);
    const known = credential();
    if (known === 'missing') throw new McpCredentialError();
    if (known !== 'none') headers.set(known.header, known.value);
    const scope = callScope.getStore();
    const signals = [init.signal, scope?.signal].filter((one) => one !== undefined && one !== null);
    const response = await fetch(url, { ...init, headers, signal: AbortSignal.any(signals) });
    const { body, status, statusText } = response;
    if (body === null) return response;
    // Within a call the client library also answers requests of the server.
    const isCall = typeof init.body === 'string' && init.body.includes('"method":"tools/call"');
    const bounded = boundBody(body, isCall ? scope : undefined);
    return new Response(bounded, { status, statusText, headers: response.headers });
  };
}

/** Waits before a stream that would be one too many. */
function createStreamLimit(): (signal: AbortSignal) => Promise<void> {
  const { count, windowMs } = MAX_STREAMS;
  let openedAt: readonly number[] = [];
  return async (signal) => {
    const now = performance.now();
    openedAt = openedAt.filter((at) => now - at < windowMs);
    const [oldest = now] = openedAt;
    if (openedAt.length >= count) await delay(oldest + windowMs - now, signal);
    openedAt = [...openedAt, performance.now()];
  };
}

/** An event with an id: the client library can continue the stream after it. */
const EVENT_ID = /(?:^|\n)id:/;

function boundBody(
  body: ReadableStream<Uint8Array>,
  scope: CallScope | undefined,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  let canResume = false;

  /** Immediates run after the promises with which the client library reads the last event. */
  function end(error: Error): void {
    setImmediate(() => scope?.ended(error));
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            controller.close();
            if (!canResume) end(new Error('The response of the MCP server had no result'));
            return;
          }
          bytes += value.byteLength;
          if (bytes > MAX_BODY_BYTES)
            throw new Error('The response of the MCP server is too large');
          canResume ||= EVENT_ID.test(Buffer.from(value).toString('latin1'));
          controller.enqueue(value);
        } catch (thrown) {
          const error = thrown instanceof Error ? thrown : new Error('The response was cut');
          controller.error(error);
          void reader.cancel(error).catch(() => undefined);
          if (!canResume || bytes > MAX_BODY_BYTES) end(error);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
